"""How training is laid out over devices: a value, and what it says of where arrays are."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from aejax.core import BATCH_AXIS, InputError
from aejax.devices import hosts

if TYPE_CHECKING:
    from aejax.experiment import Experiment

T = TypeVar("T")

Strategy = Literal["jit", "pmap"]

_MODEL = "model"


@dataclass(frozen=True)
class Parallel:
    """The devices that train together, and how. It is no part of an experiment: results differ by rounding alone.

    Every device holds the data and takes its share of each batch. `jit` lets XLA divide the epoch of
    one device, noise and all. `pmap` gives each device the epoch of its own share, with noise of its
    own, and averages gradients: the noise of a run depends on the number of devices then.
    """

    strategy: Strategy = "jit"
    devices: int | None = None
    """How many; None: as many of those there are as can share a batch evenly, and all of them with several hosts."""
    tensor: int = 1
    """So many of them hold each wide layer together, a part each."""
    wide: str = "kernel$"
    """Which parameters are wide, as a regular expression for their paths: the longer side of each is divided."""

    def resolve(self, experiment: "Experiment") -> Self:
        """With the number of devices filled in. Raises `InputError` for what cannot be laid out so."""
        there, batch = jax.device_count(), experiment.batch_size
        if not 1 <= self.tensor <= there:
            raise InputError(f"tensor is {self.tensor}, but there are {there} devices: give 1 to {there}")
        count = self._count(there, batch)
        if hosts.several() and count != there:
            raise InputError(f"{count} devices were asked for, but several processes train with all of theirs: {there}")
        if not 1 <= count <= there:
            raise InputError(f"{count} devices were asked for, but there are {there}: ask for 1 to {there}")
        if count % self.tensor:
            raise InputError(
                f"{count} devices cannot hold wide layers in groups of {self.tensor}: let tensor divide their number"
            )
        if batch % (count // self.tensor):
            raise InputError(
                f"batch_size is {batch}, which {count // self.tensor} devices cannot share evenly: choose a multiple "
                "of their number, or other --devices"
            )
        self._check_pattern()
        if self.strategy == "pmap" and count > 1:
            self._check_mapped(experiment)
        return dataclasses.replace(self, devices=count)

    def _count(self, there: int, batch: int) -> int:
        if self.devices is not None:
            return self.devices
        if hosts.several():
            return there
        return next(n for n in range(there, 0, -1) if n % self.tensor == 0 and batch % (n // self.tensor) == 0)

    def _check_pattern(self) -> None:
        try:
            re.compile(self.wide)
        except re.error as error:
            raise InputError(f"wide is {self.wide!r}, which is no regular expression: {error}") from None

    def _check_mapped(self, experiment: "Experiment") -> None:
        if self.tensor > 1:
            raise InputError("pmap gives every device the whole model, it has no tensor parallelism: use jit")
        for part in _parts((experiment.model, experiment.loss)):
            if getattr(part, "of_batch", False):
                raise InputError(
                    f"{type(part).__name__} is a statistic of the whole batch, of which a device sees its share alone "
                    "under pmap: use jit"
                )

    @cached_property
    def mesh(self) -> Mesh:
        """The devices of a resolved layout: those that share a batch by those that share a layer."""
        assert self.devices is not None
        shape = (self.devices // self.tensor, self.tensor)
        chosen = jax.devices()[: self.devices]
        return jax.make_mesh(shape, (BATCH_AXIS, _MODEL), axis_types=(AxisType.Auto,) * 2, devices=chosen)

    @property
    def whole(self) -> NamedSharding:
        """On every device all of it."""
        return NamedSharding(self.mesh, PartitionSpec())

    def divided(self, batch: T) -> T:
        """Arrays of a compiled program with an axis of examples, a share of it on each device."""
        return jax.lax.with_sharding_constraint(batch, NamedSharding(self.mesh, PartitionSpec(BATCH_AXIS)))

    def of_state(self, state: T) -> T:
        """The sharding of each array of a state: whole, but for wide layers and what the optimiser knows of them."""
        return jax.tree_util.tree_map_with_path(lambda path, leaf: self._sharding(path, leaf.shape), state)

    def _sharding(self, path: Any, shape: tuple[int, ...]) -> NamedSharding:
        named = jax.tree_util.keystr(path, simple=True, separator=".")
        if self.tensor == 1 or len(shape) < 2 or not re.search(self.wide, named):
            return self.whole
        side = len(shape) - (1 if shape[-1] >= shape[-2] else 2)
        if shape[side] % self.tensor:
            return self.whole
        return NamedSharding(self.mesh, PartitionSpec(*[None] * side, _MODEL))

    def share(self, order: np.ndarray) -> np.ndarray:
        """Which examples of batches, `[steps, examples]`, this host reads: all that one of its devices is to get.

        Where a group that holds layers together reaches over several hosts, each of them reads its examples.
        """
        parts = zip(np.split(order, len(self.mesh.devices), axis=1), self.mesh.devices, strict=True)
        here = jax.process_index()
        return np.concatenate([part for part, group in parts if here in {dev.process_index for dev in group}], axis=1)

    def distribute(self, batches: T) -> T:
        """This host's share of some batches, `[steps, examples, ...]`, given out to the devices for training.

        Each device gets its part of every batch, under pmap with an axis of devices before the others.
        """
        if self.strategy == "jit":
            sharding = NamedSharding(self.mesh, PartitionSpec(None, BATCH_AXIS))
            return jax.tree.map(partial(jax.make_array_from_process_local_data, sharding), batches)
        sharding = NamedSharding(self.mesh, PartitionSpec(BATCH_AXIS))
        here = len(self.mesh.local_devices)

        def distributed(leaf: np.ndarray) -> jax.Array:
            shares = np.stack(np.split(leaf, here, axis=1))
            return jax.make_array_from_process_local_data(sharding, shares)

        return jax.tree.map(distributed, batches)

    def everywhere(self, part: T) -> T:
        """Arrays that every host has, on every device; from any thread, for the hosts do not compare theirs."""
        return jax.tree.map(partial(jax.make_array_from_process_local_data, self.whole), part)

    def place(self, state: T) -> T:
        """A copy of a state, laid out for training, which may take its memory.

        Raises `InputError` where a layer was to be divided, and there is none that can be.
        """
        shardings = self.of_state(state)
        if self.tensor > 1 and all(sharding.is_fully_replicated for sharding in jax.tree.leaves(shardings)):
            raise InputError(
                f"no parameter has a path that matches {self.wide!r} and a longer side that {self.tensor} divides: "
                "choose others, or no tensor parallelism"
            )
        # Not `device_put(may_alias=False)`: a copy for several devices has the original's memory on the original's.
        return jax.device_put(jax.tree.map(jnp.copy, state), shardings)

    def keep(self, state: T) -> T:
        """A copy in this host's memory, made while the devices go on: training may take the memory of the original."""
        own = jax.tree.map(lambda leaf: leaf.addressable_data(0), _gathering(self.whole)(state))
        return jax.device_put(own, jax.memory.Space.Host, may_alias=False)


@cache
def _gathering(sharding: NamedSharding) -> Any:
    """Compiled once: gives arrays that sharding."""
    return jax.jit(lambda tree: tree, out_shardings=sharding)


def _parts(settings: Any) -> Iterator[Any]:
    """Every module and every setting in a tree of them."""
    if isinstance(settings, dict | tuple):
        for item in settings.values() if isinstance(settings, dict) else settings:
            yield from _parts(item)
    elif dataclasses.is_dataclass(settings):
        yield settings
        for field in dataclasses.fields(settings):
            yield from _parts(getattr(settings, field.name, None))


ALL_DEVICES = Parallel()
