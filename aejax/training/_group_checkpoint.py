"""Keeps a group in training in one file, from which it goes on with the same bits.

The file has a line of JSON, with the members' names and a checksum of the rest, and then the arrays as MessagePack.
It is written whole or not at all; a damaged one is passed over.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from flax import serialization

from aejax.core import first_line, named_leaves
from aejax.experiment import Experiment, as_first_written, canonical
from aejax.runs import write_atomically
from aejax.training._group import Group, GroupEpoch, Program
from aejax.training._member_log import MemberLog

Tree = TypeVar("Tree")

log = logging.getLogger("aejax")


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
    for path in folder.glob("[!.]*.msgpack"):
        with contextlib.suppress(Exception):  # a warning of a damaged file is logged when it is to be restored
            header, _ = _read(path)
            known = _as_written(members, header)
            if not header["done"] and set(header["members"]) <= set(known):
                groups.append([known.index(name) for name in header["members"]])
    return groups


@dataclass(frozen=True)
class GroupCheckpoint:
    """Saves one group to its file, in a folder of such files, and restores it."""

    folder: Path
    """The folder of the files of all groups."""
    members: list[MemberName]
    """The names of the group's members, by `member_names`."""

    def save(self, epoch: GroupEpoch, member_log: MemberLog) -> None:
        """Writes the state of the group after `epoch`, which the member log has entered."""
        ended = {
            name: {
                "failed_at": member_log.ended[owner].failed_at,
                "stopped_after": member_log.ended[owner].stopped_after,
                "state": dict(_arrays(member_log.ended[owner].trained.state)),
            }
            for owner, name in enumerate(map(str, self.members))
            if owner in member_log.ended
        }
        content = serialization.msgpack_serialize(
            {
                "epoch": epoch.number,
                "slots": epoch.slots,
                "members": dict(_arrays(epoch.members)),
                "rows": json.dumps(dict(zip(self.members, member_log.rows, strict=True))),
                "ended": ended,
            }
        )
        done = len(ended) == len(self.members)
        header = {"members": self.members, "done": done, "crc32": zlib.crc32(content)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, lambda file: file.write(json.dumps(header).encode() + b"\n" + content))
        except OSError as error:
            log.warning("%s cannot be written (%s): after a stop its trials would start again", self._path, error)

    def restore(self, program: Program, member_log: MemberLog) -> Group | None:
        """Restores the group as it was saved, and fills its member log; None where no whole file has it."""
        for path in self._candidates():
            try:
                header, content = _read(path)
                members = _as_written(self.members, header)
                if header["members"] == members or (header["done"] and set(members) <= set(header["members"])):
                    return _restored(content, members, program, member_log)
            except FileNotFoundError:
                continue
            except Exception as error:  # damage can raise any exception, and all of them mean the same
                log.warning("%s is damaged (%s): its trials start again", path, first_line(error))
        return None

    def remove(self) -> None:
        """Removes the file, if there is one, and that of version 0.1.0."""
        self._path.unlink(missing_ok=True)
        self._file([name.first for name in self.members]).unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._file(self.members)

    def _file(self, members: Sequence[str]) -> Path:
        return self.folder / f"{_hash(' '.join(members))}.msgpack"

    def _candidates(self) -> Iterator[Path]:
        """Yields the group's own file, then those of other groups, which may have held these members too."""
        yield self._path
        yield from (path for path in sorted(self.folder.glob("[!.]*.msgpack")) if path != self._path)


def _as_written(members: Sequence[MemberName], header: dict[str, Any]) -> list[str]:
    """Returns the members' names as the file with this header has them, which may be those of version 0.1.0."""
    return [name.first if name.first in header["members"] else str(name) for name in members]


def _arrays(tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    return ((name, np.asarray(leaf)) for name, leaf in named_leaves(tree))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    first, _, content = path.read_bytes().partition(b"\n")
    header = json.loads(first)
    if header["crc32"] != zlib.crc32(content):
        raise ValueError("its checksum does not match")
    return header, serialization.msgpack_restore(content)


def _restored(content: dict[str, Any], members: list[str], program: Program, member_log: MemberLog) -> Group:
    slots, rows = list(content["slots"]), json.loads(content["rows"])
    ended = {owner: content["ended"][name] for owner, name in enumerate(members) if name in content["ended"]}
    group = program.begin(member_log.experiments, slots if len(ended) < len(members) else [0])
    one = jax.tree.map(lambda leaf: leaf[0], group.members.state)
    states = {owner: _like(one, item["state"]) for owner, item in ended.items()}
    if len(ended) < len(members):
        group.members = jax.tree.map(
            lambda leaf, fresh: jax.device_put(leaf, fresh.sharding),
            _like(group.members, content["members"]),
            group.members,
        )
    else:
        group.slots = []
    group.done = content["epoch"]
    # The member log is filled only once the whole file is known to be sound.
    for owner, name in enumerate(members):
        member_log.rows[owner] = rows[name]
    for owner, state in states.items():
        member_log.end(owner, state, failed_at=ended[owner]["failed_at"], stopped_after=ended[owner]["stopped_after"])
    return group


def _like(tree: Tree, arrays: dict[str, np.ndarray]) -> Tree:
    """Puts arrays in the places of a tree's leaves. Raises `ValueError` unless they have its shapes and types."""
    needed = {name: (leaf.shape, leaf.dtype) for name, leaf in named_leaves(tree)}
    if {name: (leaf.shape, leaf.dtype) for name, leaf in arrays.items()} != needed:
        raise ValueError("its arrays are not those of the experiment")
    return jax.tree.unflatten(jax.tree.structure(tree), [arrays[name] for name in needed])
