"""The run directory: configuration, metrics, checkpoints, result. The only writer to disk.

    runs/NAME/ID/experiment.json   the experiment, facts of its data and its start, versions, commit
                 metrics.jsonl     a row for each epoch and part: the truth
                 tensorboard/      the same, mirrored
                 checkpoints/      Orbax, one folder a step
                 figures/          PNG
                 result.json       test metrics, time, hardware

What Orbax does not write is written to a temporary name and renamed.
"""

import importlib.metadata
import json
import logging
import os
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from aejax.errors import InputError
from aejax.experiment import Experiment, from_json, to_json
from aejax.timing import span

Tree = TypeVar("Tree")

log = logging.getLogger("aejax")

CHECKPOINTS_KEPT = 3
CHECKSUM = "crc32"
FRESH = "fresh"


class Run:
    """One run's folder on disk."""

    def __init__(self, path: Path) -> None:
        """Opens an existing run. Raises `InputError` where `path` is not one."""
        self.path = Path(path)
        content = self._read("experiment.json")
        self.experiment = from_json(content.get("experiment"))
        if not isinstance(self.experiment, Experiment):
            raise InputError(f"{self.path / 'experiment.json'} holds no experiment: it is not one that aejax wrote")
        self.shape: tuple[int, ...] = from_json(content.get("shape"))
        self.steps_per_epoch: int = content.get("steps_per_epoch", 1)
        self.params: str = content.get("params", FRESH)

    @classmethod
    def create(
        cls, folder: Path, experiment: Experiment, shape: tuple[int, ...], steps_per_epoch: int, params: Any = None
    ) -> "Run":
        """Starts a run of an experiment as it was given, in a new folder below `folder`.

        Of params that it does not make afresh, it keeps a checksum: its settings alone do not repeat it.
        Raises `InputError` where it cannot be written.
        """
        start = FRESH if params is None else f"given, {CHECKSUM} {_checksum_of_arrays(params):08x}"
        try:
            path = _new_folder(Path(folder) / experiment.name)
            _write_experiment(path, experiment, shape, steps_per_epoch, start)
        except OSError as error:
            raise InputError(
                f"the run's folder cannot be written below {folder} ({error.strerror}): name another with --out"
            ) from None
        return cls(path)

    def update(self, experiment: Experiment) -> None:
        """Writes the experiment anew: a resumed run may have more epochs than it began with."""
        self.experiment = experiment
        _write_experiment(self.path, experiment, self.shape, self.steps_per_epoch, self.params)

    # Metrics

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Appends rows to metrics.jsonl and mirrors their numbers to TensorBoard."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        for row in rows:
            numbers = {name: value for name, value in row.items() if name.endswith(("_nats", "_second"))}
            for name, value in numbers.items():
                self._board.add_scalar(f"{name}/{row['split']}", value, row["step"])

    def close(self) -> None:
        """Ends the TensorBoard mirror, which writes behind."""
        self._board.close()

    def rows(self) -> list[dict[str, Any]]:
        """All rows logged so far; a line cut short by a kill is passed over."""
        path = self.path / "metrics.jsonl"
        return list(_complete_rows(path.read_text())) if path.exists() else []

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Forgets rows and checkpoints after `step`, which a resumed run will write again; returns the other rows."""
        for later in [later for later in self._checkpoints.all_steps() if later > step]:
            self._checkpoints.delete(later)
        rows = [row for row in self.rows() if row["step"] <= step]
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    @cached_property
    def _board(self) -> Any:
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(self.path / "tensorboard"))

    # Checkpoints

    def save(self, step: int, tree: Any) -> None:
        """Saves a tree of arrays as the checkpoint of `step`, with a checksum of its files."""
        import orbax.checkpoint as ocp

        with span("checkpoint"):
            arrays = {name: np.asarray(leaf) for name, leaf in _named_leaves(tree)}
            self._checkpoints.save(step, args=ocp.args.StandardSave(arrays), force=True)
            self._checkpoints.wait_until_finished()
            write_atomically(self._step_folder(step) / CHECKSUM, str(_checksum(self._step_folder(step))))

    def restore(self, like: Tree) -> Tree:
        """The newest checkpoint that loads whole, as a tree like `like` (whose leaves need only shape and dtype).

        A damaged one is passed over with one line of warning. Raises `InputError` where none loads.
        """
        for step in sorted(self._checkpoints.all_steps(), reverse=True):
            try:
                return self._restore_step(step, like)
            except (OSError, ValueError) as error:
                log.warning("the checkpoint of step %d in %s is damaged (%s)", step, self.path, error)
        raise InputError(f"{self.path} has no checkpoint that can be loaded: train it again")

    def _restore_step(self, step: int, like: Tree) -> Tree:
        import orbax.checkpoint as ocp

        # Checked before Orbax reads a byte: it meets damage with many lines of many threads.
        if (self._step_folder(step) / CHECKSUM).read_text() != str(_checksum(self._step_folder(step))):
            raise ValueError("its checksum does not match")
        arrays = self._checkpoints.restore(step, args=ocp.args.StandardRestore())
        saved = {name: (leaf.shape, leaf.dtype) for name, leaf in arrays.items()}
        if saved != {name: (leaf.shape, leaf.dtype) for name, leaf in _named_leaves(like)}:
            raise ValueError("its arrays are not those of the experiment")
        return jax.tree.unflatten(
            jax.tree.structure(like), [jnp.asarray(arrays[name]) for name, _ in _named_leaves(like)]
        )

    def _step_folder(self, step: int) -> Path:
        return self.path / "checkpoints" / str(step)

    @cached_property
    def _checkpoints(self) -> Any:
        import orbax.checkpoint as ocp

        options = ocp.CheckpointManagerOptions(max_to_keep=CHECKPOINTS_KEPT, enable_async_checkpointing=False)
        return ocp.CheckpointManager((self.path / "checkpoints").absolute(), options=options)

    # Results

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json."""
        write_atomically(self.path / "result.json", json.dumps(result, indent=2))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.path / name).read_text())
        except OSError:
            raise InputError(
                f"{self.path} is not a run directory (it has no readable {name}): give a folder like runs/NAME/ID"
            ) from None
        except ValueError as error:
            raise InputError(f"{self.path / name} is damaged, it is not JSON: {error}") from None
        if not isinstance(content, dict):
            raise InputError(f"{self.path / name} is damaged: it should hold a JSON object")
        return content


def _write_experiment(
    path: Path, experiment: Experiment, shape: tuple[int, ...], steps_per_epoch: int, params: str
) -> None:
    content = {
        "experiment": to_json(experiment),
        "shape": list(shape),
        "steps_per_epoch": steps_per_epoch,
        "params": params,
        "versions": versions(),
        "commit": commit(),
    }
    write_atomically(path / "experiment.json", json.dumps(content, indent=2))


def write_atomically(path: Path, content: str | Callable[[IO[bytes]], object]) -> None:
    """Writes a whole file or none: to a temporary name beside it, synced, then renamed.

    `content` is text, or a function that writes bytes to the open file it is given.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    packages = ("aejax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def commit() -> str | None:
    """The commit of the source that runs, with a + where it was changed since; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def hardware() -> dict[str, Any]:
    """What the run is timed on."""
    device = jax.devices()[0]
    name = device.device_kind if device.platform != "cpu" else _processor()
    return {
        "platform": device.platform,
        "device": name,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


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


def _complete_rows(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            log.warning("a damaged line of metrics.jsonl is passed over: %.60s", line)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def _checksum(folder: Path) -> int:
    crc = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUM):
        crc = zlib.crc32(path.read_bytes(), zlib.crc32(str(path.relative_to(folder)).encode(), crc))
    return crc


def _checksum_of_arrays(tree: Any) -> int:
    crc = 0
    for name, leaf in _named_leaves(tree):
        crc = zlib.crc32(np.asarray(leaf, np.float32).tobytes(), zlib.crc32(name.encode(), crc))
    return crc
