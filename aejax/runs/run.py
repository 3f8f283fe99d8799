"""Reads and writes the run directory: configuration, metrics, checkpoints, result. It is the only writer to disk.

    runs/NAME/ID/experiment.json   the experiment, facts of its data and its start, and what each part was made with
                 metrics.jsonl     a row for each epoch and part: the truth
                 tensorboard/      the same, mirrored
                 checkpoints/      one file a step: see `aejax.runs.checkpoints`
                 figures/          PNG
                 result.json       test metrics, time, hardware
                 state.json        how it ended, and notes.json what its user says of it: see `aejax.runs.status`
                 lock              empty: held by the process that writes

Each file is there whole or not at all, whenever the process is killed: it is written to a temporary name and
renamed. Only the last row of metrics may be cut short.
"""

import logging
import math
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import DISK_ERRORS, DiskError, InputError, json_text, named_leaves, similar
from aejax.data import DataRecord
from aejax.experiment import Experiment, from_json, origins, registry, require_code, require_names, to_json
from aejax.runs.checkpoints import Checkpoints
from aejax.runs.files import locked, read_json, write_atomically
from aejax.runs.metric_log import TensorBoardMirror, validation_losses, whole_rows
from aejax.runs.provenance import hardware, provenance_after, versions
from aejax.runs.status import NO_NOTES, Notes, add_notes, failures_recorded, write_state

FRESH, NEWEST, BEST = "fresh", "newest", "best"

log = logging.getLogger("aejax")

_RATES = 1001
"""Number of places at which two courses of the learning rate are compared."""

_MOST_VALUES = 2**26
"""Largest number of values in one example."""


class Run:
    """Reads and writes the folder of one run."""

    def __init__(self, path: Path) -> None:
        """Opens an existing run. Raises `InputError` where `path` is not one."""
        self.path = Path(path)
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self._board = TensorBoardMirror(self.path / "tensorboard")
        content = self._read("experiment.json")
        self.experiment = _experiment_in(content, self.path / "experiment.json")
        if "changed" not in content:  # an older version kept the figure whatever was changed
            self.experiment = registry.without_others_figure(self.experiment)
        self.shape: tuple[int, ...] = from_json(content.get("shape"))
        self.steps_per_epoch: int = content.get("steps_per_epoch", 1)
        self.params: str = content.get("params", FRESH)
        self.data: DataRecord | None = self._record(content.get("data"))
        self.provenance: list[dict[str, Any]] = content.get("provenance", [_provenance_of_older(content)])
        self.lengthened: list[dict[str, Any]] = content.get("lengthened", [])
        self.windowed: bool | None = content.get("windowed")
        self._check()

    @classmethod
    def create(
        cls,
        folder: Path,
        experiment: Experiment,
        shape: tuple[int, ...],
        steps_per_epoch: int,
        params: Any = None,
        data: DataRecord | None = None,
        origin: Mapping[str, Any] | None = None,
        windowed: bool | None = None,
        notes: Notes = NO_NOTES,
    ) -> "Run":
        """Starts a run in a new folder below `folder`.

        Args:
            folder: where the run's folder is made, as `folder/NAME/ID`.
            experiment: the experiment as it was given, not resolved.
            shape: the shape of one example.
            steps_per_epoch: the number of steps in an epoch.
            params: the parameters that training starts from; None: fresh ones. Only a checksum of them is kept,
                to tell that the settings alone do not repeat the run.
            data: what the run is trained on, for everything that reads data later to compare; None: unknown.
            origin: entries of the provenance that say where a state was trained, when not here and now.
            windowed: whether examples are shuffled within windows of data on disk; None: unknown.
            notes: what the user says of the run.

        Raises:
            InputError: where the folder cannot be written, and for a class that has no name to be saved by.
        """
        require_names(experiment)
        start = FRESH if params is None else f"given, crc32 {_checksum_of_arrays(params):08x}"
        try:
            path = _new_folder(Path(folder) / experiment.name)
            made = [provenance_after(0) | {**(origin or {})}]
            write_experiment(path, experiment, shape, steps_per_epoch, start, data, made, [], windowed)
            write_state(path, "stopped")
            add_notes(path, notes)
        except OSError as error:
            raise InputError(
                f"the run's folder cannot be written below {folder} ({error.strerror}): name another with --out"
            ) from None
        return cls(path)

    def update(self, experiment: Experiment, step: int) -> None:
        """Writes the experiment anew when it is resumed after a step, as it may have more epochs than it began with.

        What the steps after it are made with is added to the provenance, unless its last entry says so already. Where
        a schedule spans other steps than before, a warning says what the learning rate does, and the run keeps it. Its
        data may lie elsewhere by then: `data` is written too.
        """
        if change := self._change_of_rate(experiment, step):
            log.warning("%s", _said_of(change, self.path, type(experiment.optimizer.schedule).__name__))
            self.lengthened.append(change)
        self.experiment, last, now = experiment, self.provenance[-1], provenance_after(step)
        if step < last["step"] or now | {"step": last["step"]} != last:
            self.provenance.append(now)
        made_with = (self.params, self.data, self.provenance, self.lengthened, self.windowed)
        write_experiment(self.path, experiment, self.shape, self.steps_per_epoch, *made_with)
        write_state(self.path, "stopped")

    def _change_of_rate(self, experiment: Experiment, step: int) -> dict[str, Any] | None:
        """Says what the learning rate does after `step` steps; None where those were made at the experiment's rates."""
        both = self.experiment, experiment
        totals = [each.steps_in(self.steps_per_epoch) for each in both]
        at = np.unique(np.linspace(0, step, _RATES, dtype=int))
        before, now = (each.optimizer.over(total).learning_rates(at) for each, total in zip(both, totals, strict=True))
        if step == 0 or np.array_equal(before, now):
            return None
        return {"step": step, "steps": totals, "learning_rates": [float(before[-1]), float(now[-1])]}

    def changes(self) -> list[str]:
        """Returns the versions and the hardware that the run was made with, where they are not the present ones."""
        made_with = [self.provenance[-1].get(name) for name in ("versions", "hardware")]
        then = {name: value for part in made_with if isinstance(part, dict) for name, value in part.items()}
        now = versions() | hardware()
        return [f"{name} {then.get(name)}, not {value}" for name, value in now.items() if then.get(name) != value]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Opens the run for writing: everything that writes to it happens in the context; at its end all is on disk.

        Raises `InputError` where another process writes to it, and `DiskError` where it cannot be written.
        """
        try:
            busy = f"another process writes to {self.path}: wait until it has ended, or stop it"
            with locked(self.path / "lock", refusal=busy), failures_recorded(self.path):
                try:
                    yield
                finally:
                    self._close()
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            raise self._disk_error(f"{error.filename or self.path} cannot be written ({error.strerror})") from error
        except DiskError as error:
            raise self._disk_error(str(error)) from error

    def _disk_error(self, what: str) -> DiskError:
        name = self.experiment.name
        again = registry.with_imports(f"aejax train {name} --resume {self.path}", name)
        return DiskError(f"{what}; what was saved before is whole: make room, then {again} goes on")

    def _close(self) -> None:
        try:
            self.checkpoints.wait()
        finally:
            self._board.close()

    # Metrics

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Appends rows to metrics.jsonl and mirrors their numbers to TensorBoard."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json_text(row) + "\n" for row in rows)
        self._board.write(rows)

    def rows(self) -> list[dict[str, Any]]:
        """Returns all rows logged so far; a line cut short by a kill is passed over."""
        path = self.path / "metrics.jsonl"
        return list(whole_rows(path.read_text(errors="replace"))) if path.exists() else []

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Removes rows and checkpoints after `step`, which a resumed run will write again; returns the other rows."""
        self.checkpoints.clean(step)
        for left in self.path.glob(".*.json*.[0-9]*"):  # files that a kill has left
            left.unlink()
        rows = [row for row in self.rows() if row["step"] <= step]
        write_atomically(self.path / "metrics.jsonl", "".join(json_text(row) + "\n" for row in rows))
        self._board.clear()
        self._board.write(rows)
        return rows

    # Checkpoints

    def restore(self, like: Mapping[str, Any], which: str = NEWEST) -> dict[str, Any]:
        """Restores parts of a checkpoint: of the newest, of the best by validation loss, or of that of a step.

        Where the newest or the best is damaged, the next one takes its place, with one line of warning.

        Args:
            like: the parts that are needed by their names, each a tree whose leaves need only shape and dtype; see
                `checkpoint_template`.
            which: "newest", "best" or the number of a step.

        Returns:
            These parts, as they were saved.

        Raises:
            InputError: where there is no such checkpoint, or none loads.
        """
        steps = self.checkpoints.steps()[::-1]
        if which == BEST:
            losses = validation_losses(self.rows())
            steps = sorted((step for step in steps if step in losses), key=losses.__getitem__)
        elif which != NEWEST:
            steps = [step for step in steps if str(step) == which]
        if not steps and which != NEWEST:
            known = ", ".join(map(str, self.checkpoints.steps())) or "none"
            raise InputError(f"{self.path} has no checkpoint {which!r}: it has {known} (best needs validation rows)")
        return self.checkpoints.restore(steps, like)

    # Results

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes the results of a run, such as its test metrics, to result.json: it is done."""
        write_atomically(self.path / "result.json", json_text(result, indent=2))
        write_state(self.path, "done")

    def mirror_result(self, test: Mapping[str, float], step: int, figures: Sequence[Path]) -> None:
        """Mirrors test metrics and figures, which were measured and drawn after a step, to TensorBoard."""
        self._board.write([{"split": "test", "step": step, **test}])
        self._board.show(figures, step)

    def result(self) -> dict[str, Any] | None:
        """Returns what `write_result` has written; None where nothing has been, or where it is damaged."""
        try:
            content = read_json(self.path / "result.json")
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return _object_in(self.path / name)
        except OSError:
            raise no_run(self.path, f" (it has no readable {name})") from None

    def _record(self, content: Any) -> DataRecord | None:
        """Returns what the run was trained on; None for one of an older version. Raises `InputError` for damage."""
        try:
            return None if content is None else DataRecord.from_json(content)
        except ValueError as error:
            raise InputError(f"{self.path / 'experiment.json'} is damaged: its data are {error}") from None

    def _check(self) -> None:
        """Checks the facts that were read, before memory is taken by them. Raises `InputError` for impossible ones."""
        sizes = (*self.shape, self.steps_per_epoch) if isinstance(self.shape, tuple) else ()
        whole = all(type(size) is int and size > 0 for size in sizes) and isinstance(self.params, str)
        if not whole or not 1 < len(sizes) < 5 or math.prod(self.shape) > _MOST_VALUES:
            raise InputError(
                f"{self.path / 'experiment.json'} is damaged: its shape is {self.shape}, its steps_per_epoch "
                f"{self.steps_per_epoch}, its params {self.params}"
            )
        if not isinstance(self.lengthened, list):
            raise InputError(f"{self.path / 'experiment.json'} is damaged: its lengthened should be a list")
        if not isinstance(self.windowed, bool | None):
            raise InputError(f"{self.path / 'experiment.json'} is damaged: its windowed should be true or false")
        parts = self.provenance if isinstance(self.provenance, list) else []
        if not parts or not all(isinstance(part, dict) and type(part.get("step")) is int for part in parts):
            raise InputError(
                f"{self.path / 'experiment.json'} is damaged: its provenance should be a list of objects with a step"
            )


def read_experiment(path: Path) -> Experiment:
    """Reads the settings of an experiment, to begin anew with them.

    Args:
        path: a run directory, its experiment.json, or a file as `aejax show` prints it.

    Returns:
        The experiment, with the published figure only where the settings are as registered.

    Raises:
        InputError: where there is no such file, or it holds no experiment.
    """
    file = path / "experiment.json" if path.is_dir() else path
    try:
        content = _object_in(file)
    except OSError as error:
        advice = _offered(path) or "give a run directory, or a file as `aejax show NAME` prints it"
        raise InputError(f"{file} cannot be read ({error.strerror}): {advice}") from None
    whole = content if "class" not in content else {"experiment": content}
    return registry.without_others_figure(_experiment_in(whole, file))


def no_run(path: Path, why: str = "") -> InputError:
    """Returns the error of a path that is no run directory, which offers runs that it may mean; `why` goes on it."""
    return InputError(f"{path} is not a run directory{why}: {_offered(path) or 'give a folder like runs/NAME/ID'}")


def _offered(path: Path) -> str:
    """Returns a question that offers three runs at most, or nothing: those in a folder, or of folders of like names."""
    missing = [part for part in (path, *path.parents) if not part.is_dir()]
    try:
        if not missing:
            runs = _runs_in(path)
        else:
            first = missing[-1]
            near = similar(first.name, (part.name for part in first.parent.iterdir() if part.is_dir()))
            folders = [first.parent / name for name in near]
            runs = [run for folder in folders for run in _runs_in(folder / path.relative_to(first)) or _runs_in(folder)]
    except OSError:  # a folder that may not be read offers nothing
        return ""
    return f"did you mean {' or '.join(map(str, runs[:3]))}?" if runs else ""


def _runs_in(folder: Path) -> list[Path]:
    """Returns the runs at a folder, in it, and in the folders in it: the newest first."""
    files = [file for deep in ("", "*/", "*/*/") for file in folder.glob(f"{deep}experiment.json")]
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]


def _object_in(file: Path) -> dict[str, Any]:
    """Reads a JSON object. Raises `OSError` where the file cannot be read, and `InputError` where it is damaged."""
    try:
        content = read_json(file)
    except ValueError as error:
        raise InputError(f"{file} is damaged, it is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} is damaged: it should hold a JSON object")
    return content


def _experiment_in(content: dict[str, Any], file: Path) -> Experiment:
    """Returns the experiment in the content of a file. Raises `InputError` where there is none, or its code is not."""
    code = content.get("code", {})
    require_code(code if isinstance(code, dict) else {}, str(file.parent))
    experiment = from_json(content.get("experiment"))
    if not isinstance(experiment, Experiment):
        raise InputError(f"{file} holds no experiment: it is not one that aejax wrote")
    return experiment


def write_experiment(
    path: Path,
    experiment: Experiment,
    shape: tuple[int, ...],
    steps_per_epoch: int,
    params: str,
    data: DataRecord | None,
    made_with: list[dict[str, Any]],
    lengthened: list[dict[str, Any]],
    windowed: bool | None = None,
    code: Mapping[str, str] | None = None,
) -> None:
    """Writes the experiment.json of a folder: the settings, facts of the data and of the start, and the provenance.

    Args:
        path: the folder.
        experiment: the experiment as it was given, not resolved.
        shape: the shape of one example.
        steps_per_epoch: the number of steps in an epoch.
        params: what training began from, or what the folder holds in place of checkpoints.
        data: what the model was trained on; None: unknown.
        made_with: the provenance of each part of training.
        lengthened: what resuming for more steps changed of the learning rate.
        windowed: whether examples are shuffled within windows of data on disk; None: unknown.
        code: where classes are defined that are not aejax's own; None: see `aejax.experiment.origins`.
    """
    content = {
        "experiment": to_json(experiment),
        "changed": registry.changes(experiment),
        "code": origins(experiment) if code is None else dict(code),
        "shape": list(shape),
        "steps_per_epoch": steps_per_epoch,
        "params": params,
        **({} if data is None else {"data": data.to_json()}),
        "provenance": made_with,
        "lengthened": lengthened,
        **({} if windowed is None else {"windowed": windowed}),
    }
    write_atomically(path / "experiment.json", json_text(content, indent=2))


def _said_of(change: dict[str, Any], path: Path, schedule: str) -> str:
    (old, new), (before, now) = change["steps"], change["learning_rates"]
    return (
        f"{path} is lengthened from {old:,} to {new:,} steps, and {schedule} spans all of them: at step "
        f"{change['step']:,} the learning rate was {before:.3g} and is now {now:.3g}, so that the run does not become "
        f"that of {new:,} steps at once: for its bits, train it anew, without resuming"
    )


def _provenance_of_older(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the provenance of a run of version 0.1.0, which kept that of its last part alone."""
    return {"step": 0} | {name: content.get(name) for name in ("versions", "hardware", "commit")}


def _new_folder(parent: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = parent / (stamp if attempt == 0 else f"{stamp}-{attempt}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            if not parent.is_dir():
                raise
    raise FileExistsError(f"too many runs in {parent} this second")


def _checksum_of_arrays(tree: Any) -> int:
    crc = 0
    for name, leaf in named_leaves(tree):
        crc = zlib.crc32(np.asarray(leaf, np.float32).tobytes(), zlib.crc32(name.encode(), crc))
    return crc
