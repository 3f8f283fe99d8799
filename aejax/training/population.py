"""Trains many settings and seeds, those of one structure together: the host's side of `core.population`.

Experiments share a structure where they differ in nothing but traced numbers (those of the loss and
the optimiser) and in their seeds.
"""

import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from aejax import devices
from aejax.core import BUFFER, InputError, as_arrays
from aejax.data import Dataset, as_dataset, load as load_data, settled
from aejax.devices import step_flop
from aejax.experiment import Experiment, differences
from aejax.training._group import Group, Population
from aejax.training._group_checkpoint import GroupFiles, member_names
from aejax.training._older_groups import convert_older, older_names
from aejax.training.observer import Observer
from aejax.training.outcome import Outcome
from aejax.training.selection import Selection, require_validation

SAVE_EVERY = 60.0
"""The least number of seconds between two times that a group in training is saved."""

SMALL = 5e6
"""Number of operations in a step up to which a CPU core gains from training many members side by side.

Most of the time of so small a step goes to calls.
"""


def structure(experiment: Experiment) -> Hashable:
    """Returns what members of a population must share: equal for two experiments exactly where they can be stacked."""
    settings = as_arrays((experiment.loss, experiment.optimizer))
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves(settings))
    rest = (experiment.model, str(experiment.data), experiment.batch_size, experiment.epochs, experiment.steps)
    return jax.tree.structure(settings), shapes, rest


def by_structure(experiments: Sequence[Experiment]) -> list[list[int]]:
    """Groups experiments that can be trained as one population; returns the places of each group's in their order."""
    found: dict[Hashable, list[int]] = {}
    for place, experiment in enumerate(experiments):
        found.setdefault(structure(experiment), []).append(place)
    return list(found.values())


def fit_each(
    experiments: Sequence[Experiment],
    *,
    dataset: Any = None,
    shared_order: bool = False,
    selection: Selection | None = None,
    memory: int | None = None,
    buffer: float = BUFFER,
    keep: Path | None = None,
    observers: Sequence[Observer] = (),
) -> Iterator[Outcome]:
    """Trains experiments of one structure together; each ends as it would alone, up to rounding.

    An accelerator trains them side by side, as one program. Each core of a CPU trains a group of its own:
    one member after the other, or where they are `SMALL` all of its share side by side.

    Args:
        experiments: of one `structure`.
        dataset: in place of the one that their `data` names, as `training.fit` takes it.
        shared_order: every member sees the batches of the first one's seed; its noise stays its own. So it is
            always where the data are streamed, so that one read of a batch serves all members.
        selection: drops members early, by validation loss; one that compares them trains them side by side.
        memory: bytes that the program may take; None: most of what the device has left. A larger
            population is split into equal groups, by what its compiled programs say they need.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory,
            by each group that trains at the same time.
        keep: a folder for the state of groups in training: the same call goes on with what it finds there,
            and ends with the same bits as if it had never stopped.
        observers: called after every epoch of a group with the rows of the members that it trained, each with
            `member`, the place of its experiment, and with the `Members` after it; one call after the other.

    Returns:
        The outcome of each experiment, in their order, each as soon as its group has ended.

    Raises:
        InputError: for experiments of different structure, settings that cannot be trained, or a
            selection without a validation part.
    """
    if not experiments:
        raise InputError("a population needs at least one experiment: none was given")
    experiments, dataset = _on_given(experiments, dataset)
    resolved, dataset = _prepared(experiments, dataset, selection)
    population = Population.of(resolved[0], dataset, shared_order, buffer)
    lanes, size = _at_once(population, resolved, selection, devices.free_memory() if memory is None else memory)
    kept = None
    if keep is not None:
        rest = selection, resolved[0].seed if population.shared_order else None
        names = member_names(resolved, *rest)
        convert_older(keep, dict(zip(older_names(resolved, *rest), names, strict=True)))
        kept = GroupFiles(keep, population, resolved, names)
    groups = _groups(len(resolved), size, [] if kept is None else kept.begun)
    return _Training(population, resolved, size, selection, kept, _in_turn(observers)).outcomes(groups, lanes)


def fit_many(
    experiments: Sequence[Experiment],
    *,
    dataset: Any = None,
    selection: Selection | None = None,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> list[Outcome]:
    """Trains experiments, those of one structure together, and returns how each ended, in their order.

    Args:
        experiments: of any structures; those of one train as one population, one population after the other.
        dataset: in place of those that their `data` name, as `training.fit` takes it.
        selection: drops members early, by validation loss; one that compares them compares those of one structure.
        observers: as of `fit_each`; `member` is the place among all experiments.
        options: others of `fit_each`.

    Raises:
        InputError: as `fit_each`, for any of the experiments before one of them trains.
    """
    if not experiments:
        raise InputError("a population needs at least one experiment: none was given")
    experiments, dataset = _on_given(experiments, dataset)
    groups = by_structure(experiments)
    for places in groups if len(groups) > 1 else ():
        _prepared([experiments[place] for place in places], dataset, selection)
    outcomes: dict[int, Outcome] = {}
    for places in groups:
        watching = [_of_all(observe, places) for observe in observers]
        group = [experiments[place] for place in places]
        ended = fit_each(group, dataset=dataset, selection=selection, observers=watching, **options)
        outcomes |= zip(places, ended, strict=True)
    return [outcomes[place] for place in range(len(experiments))]


def _on_given(experiments: Sequence[Experiment], dataset: Any) -> tuple[Sequence[Experiment], Dataset | None]:
    """Returns experiments that say so where their data were given as arrays, and these as a data set."""
    if dataset is None or isinstance(dataset, Dataset):
        return experiments, dataset
    experiments = [experiment.on_arrays() for experiment in experiments]
    return experiments, as_dataset(dataset, experiments[0].data)


def _of_all(observe: Observer, places: Sequence[int]) -> Observer:
    """Returns an observer of one population whose rows name the places of its members among all experiments."""
    return lambda rows, state: observe([row | {"member": places[row["member"]]} for row in rows], state)


def _prepared(
    experiments: Sequence[Experiment], dataset: Dataset | None, selection: Selection | None
) -> tuple[list[Experiment], Dataset]:
    """Returns the resolved experiments of a population, and their data. Raises `InputError` as `fit_each`."""
    data = experiments[0].data
    dataset = settled(load_data(data) if dataset is None else dataset, data.preprocess)
    resolved = [experiment.resolve(dataset) for experiment in experiments]
    for experiment in resolved[1:]:
        if structure(experiment) != structure(resolved[0]):
            changed = ", ".join(differences(resolved[0], experiment))
            raise InputError(f"members of a population may differ in traced numbers and seeds alone, not in: {changed}")
    if selection is not None:
        require_validation(dataset, "a selection")
    return resolved, dataset


def side_by_side(
    first: Experiment, shape: tuple[int, ...], members: int, selection: Selection | None
) -> tuple[int, int]:
    """Returns how many groups train at the same time, and how many members are in each, if memory is no limit.

    Args:
        first: any of the members' experiments, resolved.
        shape: the shape of one example.
        members: how many members there are.
        selection: the selection that drops members early, if there is one.
    """
    lanes = 1 if selection is not None and selection.compares else devices.lanes()
    if lanes > 1 and step_flop(first, shape) > SMALL:
        return lanes, 1
    return lanes, -(-members // lanes)


def _at_once(
    population: Population, experiments: Sequence[Experiment], selection: Selection | None, memory: int
) -> tuple[int, int]:
    """Returns how many groups train at the same time and how many members make one, within the given memory.

    On the way it compiles the programs of such a group.
    """
    lanes, share = side_by_side(experiments[0], population.dataset.shape, len(experiments), selection)
    each = max(population.memory(experiments[:share]), 1) / share
    fitting = max(int((memory - population.fixed_bytes) / each), 1)
    size = devices.rounded(-(-share // -(-share // max(fitting // lanes, 1))))
    if size != share:
        population.memory(([*experiments] * size)[:size])
    return min(lanes, max(fitting // size, 1)), size


def _groups(members: int, size: int, begun: list[list[int]]) -> list[list[int]]:
    """Divides members into groups, each a list of places.

    Members that were begun together stay together, if their places are consecutive.
    """
    groups, place = [], 0
    for first, *rest in sorted(begun):
        if [first, *rest] != list(range(first, first + 1 + len(rest))) or first < place:
            continue
        groups += _slices(place, first, size)
        groups.append([first, *rest])
        place = first + 1 + len(rest)
    return groups + _slices(place, members, size)


def _slices(start: int, end: int, size: int) -> list[list[int]]:
    return [list(range(first, min(first + size, end))) for first in range(start, end, size)]


def _in_turn(observers: Sequence[Observer]) -> Observer:
    """Joins observers to one that may be called from several threads."""
    lock = threading.Lock()

    def observe(rows: list[dict[str, Any]], state: Any) -> None:
        with lock:
            for each in observers:
                each(rows, state)

    return observe


@dataclass(frozen=True)
class _Training:
    """Trains the members of a population, one group in each lane."""

    population: Population
    experiments: Sequence[Experiment]
    size: int
    """The number of slots of a group, those of padding included."""
    selection: Selection | None
    kept: GroupFiles | None
    observe: Observer

    def outcomes(self, groups: Sequence[list[int]], lanes: int) -> Iterator[Outcome]:
        """Trains `lanes` groups at a time, each given by the places of its members; yields the outcomes in order.

        Groups in training stop when the iterator is closed.
        """
        stop = threading.Event()
        with ThreadPoolExecutor(lanes, "members") as pool:
            try:
                futures = [pool.submit(self._train, places, stop) for places in groups]
                for places, future in zip(groups, futures, strict=True):
                    yield from future.result()
                    if self.kept is not None:
                        self.kept.remove(places)
            finally:
                stop.set()

    def _train(self, places: list[int], stop: threading.Event) -> list[Outcome]:
        """Trains a group and returns how each of its members ended; nothing where it was stopped before."""
        if stop.is_set():
            return []
        group, saved = self._begin(places), time.monotonic()
        # A selection decides which members the next epoch trains, so that epoch is dispatched only after it has.
        for window in group.epochs(ahead=self.selection is None) if group.training else ():
            rows = group.enter(window)
            self.observe([{"member": places[owner], **row} for owner, row in rows], window.state)
            if self.selection is not None:
                group.select(self.selection, window)
            # When a kill comes, some of the members that have ended may have their results and others not.
            now = stop.is_set() if group.training else len(places) > 1
            if self.kept is not None and (now or time.monotonic() - saved > SAVE_EVERY):
                self.kept.save(places, group, window)
                saved = time.monotonic()
            if not group.training:
                break
            if stop.is_set():
                return []
            if self.selection is not None:
                group.narrow()
        return group.outcomes()

    def _begin(self, places: list[int]) -> Group:
        group = None if self.kept is None else self.kept.restore(places)
        if group is None:
            experiments = [self.experiments[place] for place in places]
            return Group(self.population, experiments, list(range(max(self.size, len(places)))))
        if self.selection is not None:
            group.narrow()
        return group
