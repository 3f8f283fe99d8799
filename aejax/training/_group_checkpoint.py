"""Keeps groups in training, each in a file of its own, from which it goes on with the same bits.

It is a file of arrays, `aejax.runs.array_file`: of all members in training, of each that has ended by its name, and the
rows of metrics as JSON. What else must be known is in its metadata. A damaged one is passed over.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax.core import first_line, json_text, with_nan
from aejax.experiment import Experiment, canonical
from aejax.runs import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.training._group import Group, Population
from aejax.training.engine import Window

log = logging.getLogger("aejax")


def member_names(experiments: Sequence[Experiment], *rest: Any) -> list[str]:
    """Returns a name for each member, which is the same whenever the member would be trained in the same way.

    `rest` is whatever decides about the training beside the experiment.
    """
    settings = [canonical(item) if dataclasses.is_dataclass(item) else repr(item) for item in rest]
    return [hashed(f"{canonical(experiment)} {settings}") for experiment in experiments]


def hashed(text: str) -> str:
    """Returns sixteen hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class GroupFiles:
    """Saves the groups of a population to the files of a folder, and restores them; it reads what is there once."""

    folder: Path
    population: Population
    experiments: Sequence[Experiment]
    """The experiments of all members, resolved."""
    names: list[str]
    """The names of all members, by `member_names`."""

    @property
    def begun(self) -> list[list[int]]:
        """The groups that were left in training, each as the places of its members."""
        groups = [facts["members"] for facts in self._saved.values() if not _done(facts)]
        return [[self.names.index(name) for name in group] for group in groups if set(group) <= set(self.names)]

    def save(self, places: Sequence[int], group: Group, window: Window) -> None:
        """Writes the state of the group of the members at these places after an epoch that it has entered."""
        members = self._members(places)
        ended = {members[owner]: outcome for owner, outcome in group.ended.items()}
        facts = {
            "members": members,
            "epoch": window.epoch,
            "slots": group.slots,
            "data": dict(self.population.data.fingerprints),
            "order": self.population.order,
            "ended": {name: [outcome.failed_at, outcome.stopped_after] for name, outcome in ended.items()},
        }
        parts: dict[str, Any] = {name: outcome.trained.state for name, outcome in ended.items()}
        rows = json_text(dict(zip(members, group.rows, strict=True)))
        parts |= {"members": window.state, "rows": np.frombuffer(rows.encode(), np.uint8)}
        path = group_file(self.folder, members)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_arrays(path, named_arrays(parts), {"group": json_text(facts)})
        except OSError as error:
            log.warning("%s cannot be written (%s): after a stop its trials would start again", path, error)

    def restore(self, places: Sequence[int]) -> Group | None:
        """Restores the group of the members at these places as it was saved; None where no whole file has it.

        Of a group that has ended the file may have other members too.
        """
        members = self._members(places)
        for path, facts in self._saved.items():
            if facts["members"] == members or (_done(facts) and set(members) <= set(facts["members"])):
                with damage_told(path):
                    return self._restored(facts, read_arrays(path)[0], places)
        return None

    def remove(self, places: Sequence[int]) -> None:
        """Removes the file of the group of the members at these places, if there is one."""
        group_file(self.folder, self._members(places)).unlink(missing_ok=True)

    def _members(self, places: Sequence[int]) -> list[str]:
        return [self.names[place] for place in places]

    @cached_property
    def _saved(self) -> dict[Path, dict[str, Any]]:
        """What is known of each group that has some of the members, and was trained as they would be, by its file."""
        found = {}
        data, order = dict(self.population.data.fingerprints), self.population.order
        for path in sorted(self.folder.glob("[!.]*.safetensors")):
            with damage_told(path):
                facts = json.loads(read_arrays(path)[1]["group"])
                if not set(facts["members"]) & set(self.names):
                    continue
                if facts.get("data", data) != data:  # files of older versions do not say what they were trained on
                    log.warning("%s was trained on other data: its trials start again", path)
                elif facts.get("order", order) != order:
                    log.warning("%s has another order of examples, of another buffer: its trials start again", path)
                else:
                    found[path] = facts
        return found

    def _restored(self, facts: dict[str, Any], arrays: dict[str, Any], places: Sequence[int]) -> Group:
        members, population = self._members(places), self.population
        experiments = [self.experiments[place] for place in places]
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


def group_file(folder: Path, members: Sequence[str]) -> Path:
    """Returns the path of the file of a group in a folder, by the names of its members."""
    return folder / f"{hashed(' '.join(members))}.safetensors"


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Logs a warning of a file that cannot be read in the context, in place of raising; of one that is gone nothing."""
    try:
        yield
    except FileNotFoundError:
        pass
    except Exception as error:  # damage can raise any exception, and all of them mean the same
        log.warning("%s is damaged (%s): its trials start again", path, first_line(error))


def _done(facts: dict[str, Any]) -> bool:
    return len(facts["ended"]) == len(facts["members"])
