"""Keeps a group in training in one file, from which it goes on with the same bits.

It is a file of arrays, `aejax.runs.array_file`: of all members in training, of each that has ended by its name, and the
rows of metrics as JSON. What else must be known is in its metadata. A damaged one is passed over.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax.core import first_line, json_text, with_nan
from aejax.experiment import Experiment, as_first_written, canonical
from aejax.runs import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.training._group import Group, Population
from aejax.training.engine import Window

log = logging.getLogger("aejax")

_OLDER = ".msgpack"

_SUFFIXES = (".safetensors", _OLDER)


class MemberName(str):
    """The name of a member, with the one that it had in version 0.1.0, by which its file of that version is found."""

    first: str

    @classmethod
    def of(cls, experiment: Experiment, rest: tuple[Any, ...]) -> "MemberName":
        """Returns the name of a member, given its experiment and whatever else decides about its training."""
        settings = [canonical(item) if dataclasses.is_dataclass(item) else repr(item) for item in rest]
        name = cls(_hash(f"{canonical(experiment)} {settings}"))
        name.first = _hash(f"{json.dumps(as_first_written(experiment), indent=2)} {rest}")
        return name


def member_names(experiments: Sequence[Experiment], *rest: Any) -> list[MemberName]:
    """Returns a name for each member, which is the same whenever the member would be trained in the same way.

    `rest` is whatever decides about the training beside the experiment.
    """
    return [MemberName.of(experiment, rest) for experiment in experiments]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def groups_in_training(folder: Path, members: Sequence[MemberName]) -> list[list[int]]:
    """Returns the groups among `members` that were left in training, each as the places of its members."""
    groups = []
    for path in _saved(folder):
        with contextlib.suppress(Exception):  # a warning of a damaged file is logged when it is to be restored
            facts, _ = _read(path)
            known = _as_written(members, path)
            if not _done(facts) and set(facts["members"]) <= set(known):
                groups.append([known.index(name) for name in facts["members"]])
    return groups


@dataclass(frozen=True)
class GroupCheckpoint:
    """Saves one group to its file, in a folder of such files, and restores it."""

    folder: Path
    """The folder of the files of all groups."""
    members: list[MemberName]
    """The names of the group's members, by `member_names`."""

    def save(self, group: Group, window: Window) -> None:
        """Writes the group's state after an epoch that it has entered."""
        ended = {str(self.members[owner]): outcome for owner, outcome in group.ended.items()}
        facts = {
            "members": self.members,
            "epoch": window.epoch,
            "slots": group.slots,
            "data": dict(group.population.data.fingerprints),
            "order": group.population.order,
            "ended": {name: [outcome.failed_at, outcome.stopped_after] for name, outcome in ended.items()},
        }
        rows = json_text(dict(zip(self.members, group.rows, strict=True)))
        parts: dict[str, Any] = {name: outcome.trained.state for name, outcome in ended.items()}
        parts |= {"members": window.state, "rows": np.frombuffer(rows.encode(), np.uint8)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_arrays(self._path, named_arrays(parts), {"group": json_text(facts)})
        except OSError as error:
            log.warning("%s cannot be written (%s): after a stop its trials would start again", self._path, error)

    def restore(self, population: Population, experiments: Sequence[Experiment]) -> Group | None:
        """Restores the group of these experiments as it was saved; None where no whole file has it."""
        data = dict(population.data.fingerprints)
        for path in self._candidates():
            try:
                facts, arrays = _read(path)
                members = _as_written(self.members, path)
                if facts.get("data", data) != data:  # files of older versions do not say what they were trained on
                    log.warning("%s was trained on other data: its trials start again", path)
                    continue
                if facts.get("order", population.order) != population.order:
                    log.warning("%s has another order of examples, of another buffer: its trials start again", path)
                    continue
                if facts["members"] == members or (_done(facts) and set(members) <= set(facts["members"])):
                    return _restored(facts, arrays, members, population, experiments)
            except FileNotFoundError:
                continue
            except Exception as error:  # damage can raise any exception, and all of them mean the same
                log.warning("%s is damaged (%s): its trials start again", path, first_line(error))
        return None

    def remove(self) -> None:
        """Removes the group's files, if there are any."""
        for path in self._own:
            path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._own[0]

    @property
    def _own(self) -> list[Path]:
        paths = (Path(suffix) for suffix in _SUFFIXES)
        return [self.folder / f"{_hash(' '.join(_as_written(self.members, path)))}{path}" for path in paths]

    def _candidates(self) -> list[Path]:
        """Returns the group's own files, then those of other groups, which may have held these members too."""
        return self._own + [path for path in _saved(self.folder) if path not in self._own]


def _saved(folder: Path) -> list[Path]:
    """Returns all whole files of groups, those of version 0.1.0 last."""
    return [path for suffix in _SUFFIXES for path in sorted(folder.glob(f"[!.]*{suffix}"))]


def _as_written(members: Sequence[MemberName], path: Path) -> list[str]:
    """Returns the members' names as a file has them, which may be one of version 0.1.0."""
    return [name.first if path.name.endswith(_OLDER) else str(name) for name in members]


def _done(facts: dict[str, Any]) -> bool:
    return len(facts["ended"]) == len(facts["members"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads what is known of a group, and its arrays. Raises any exception where the file is damaged."""
    if path.suffix == _OLDER:
        return _read_older(path)
    arrays, metadata = read_arrays(path)
    return json.loads(metadata["group"]), arrays


def _read_older(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a file of version 0.1.0: a line of JSON with a checksum of the rest, and the rest as MessagePack."""
    from flax import serialization

    first, _, packed = path.read_bytes().partition(b"\n")
    header = json.loads(first)
    if header["crc32"] != zlib.crc32(packed):
        raise ValueError("its checksum does not match")
    content = serialization.msgpack_restore(packed)
    ended = content["ended"]
    facts = {
        "members": header["members"],
        "epoch": content["epoch"],
        "slots": list(content["slots"]),
        "ended": {name: [item["failed_at"], item["stopped_after"]] for name, item in ended.items()},
    }
    parts = {"members": content["members"]} | {name: item["state"] for name, item in ended.items()}
    arrays = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
    return facts, arrays | {"rows": np.frombuffer(content["rows"].encode(), np.uint8)}


def _restored(
    facts: dict[str, Any],
    arrays: dict[str, Any],
    members: list[str],
    population: Population,
    experiments: Sequence[Experiment],
) -> Group:
    ended = {owner: facts["ended"][name] for owner, name in enumerate(members) if name in facts["ended"]}
    shapes = population.program(experiments, facts["slots"]).shapes(population.dataset.shape)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shapes.state)
    training = len(ended) < len(members)
    parts = fill_parts({members[owner]: one for owner in ended} | ({"members": shapes} if training else {}), arrays)
    state, rows = shapes, json.loads(arrays["rows"].tobytes())
    if training:  # else nobody is left whose state is needed
        state = jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), parts["members"], shapes)
    group = Group(population, experiments, facts["slots"], facts["epoch"] * population.source.steps, state)
    group.rows = [[with_nan(row) for row in rows[name]] for name in members]
    for owner, how in ended.items():
        group.end(owner, parts[members[owner]], *how)
    return group
