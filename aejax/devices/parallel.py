"""Lays training out over devices: a layout is a value that says where each array is held."""

import dataclasses
import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from aejax.core import BATCH_AXIS, InputError, parts_within, path_name
from aejax.devices import hosts

if TYPE_CHECKING:
    from aejax.experiment import Experiment

T = TypeVar("T")

Strategy = Literal["jit", "pmap"]

_MODEL = "model"


@dataclass(frozen=True)
class Parallel:
    """Says which devices train together, and how they share the work.

    A layout is no part of an experiment: results differ by rounding alone. Every device holds the data and takes
    its share of each batch. `jit` lets XLA divide the epoch of one device, noise included. `pmap` gives each
    device the epoch of its own share, with noise of its own, and averages gradients: the noise of a run then
    depends on the number of devices.
    """

    strategy: Strategy = "jit"
    """How devices share each batch: `jit` divides the program of one device, `pmap` maps it over all."""
    devices: int | None = None
    """Number of devices; None: as many of those there are as can share a batch evenly, with several hosts all."""
    tensor: int = 1
    """Number of devices that hold each wide layer together, a part each."""
    wide: str = "kernel$"
    """A regular expression for the paths of wide parameters: each is divided along its longer side."""

    def resolve(self, experiment: "Experiment") -> Self:
        """Fills in the number of devices. Raises `InputError` where the experiment cannot be laid out so."""
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
        for part in parts_within((experiment.model, experiment.loss)):
            if getattr(part, "of_batch", False) and not getattr(part, "across_devices", False):
                raise InputError(
                    f"{type(part).__name__} is a statistic of the whole batch, of which a device sees its share alone "
                    "under pmap: use jit"
                )

    @cached_property
    def mesh(self) -> Mesh:
        """The mesh of devices of a resolved layout: those that share a batch by those that share a layer."""
        assert self.devices is not None
        shape = (self.devices // self.tensor, self.tensor)
        chosen = jax.devices()[: self.devices]
        return jax.make_mesh(shape, (BATCH_AXIS, _MODEL), axis_types=(AxisType.Auto,) * 2, devices=chosen)

    @property
    def whole(self) -> NamedSharding:
        """The sharding of an array that every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    def divided(self, batch: T) -> T:
        """Divides arrays over the devices along their leading axis of examples, inside a compiled program."""
        return jax.lax.with_sharding_constraint(batch, NamedSharding(self.mesh, PartitionSpec(BATCH_AXIS)))

    def of_state(self, state: T) -> T:
        """Returns the sharding of each array of a state.

        Wide layers are divided, and so is the optimiser's state for them; all other arrays are whole.
        """
        return jax.tree_util.tree_map_with_path(lambda path, leaf: self._sharding(path, leaf.shape), state)

    def of_members(self, tree: T) -> T:
        """Returns the sharding of arrays with a leading axis of members: shared out over the devices.

        Where the number of devices does not divide that of the members, every device holds all of them.
        """
        divided = NamedSharding(self.mesh, PartitionSpec(BATCH_AXIS))
        return jax.tree.map(lambda leaf: self.whole if leaf.shape[0] % self.mesh.size else divided, tree)

    def spread(self, members: T) -> T:
        """Shares out arrays with a leading axis of members over the devices, as `of_members` says."""
        return jax.device_put(members, self.of_members(members))

    def _sharding(self, path: Any, shape: tuple[int, ...]) -> NamedSharding:
        named = path_name(path)
        if self.tensor == 1 or len(shape) < 2 or not re.search(self.wide, named):
            return self.whole
        side = len(shape) - (1 if shape[-1] >= shape[-2] else 2)
        if shape[side] % self.tensor:
            return self.whole
        return NamedSharding(self.mesh, PartitionSpec(*[None] * side, _MODEL))

    def share(self, order: np.ndarray) -> np.ndarray:
        """Selects, of the examples of batches, `[steps, examples]`, those that this host reads for its devices.

        Where a group of devices that holds layers together spans several hosts, each of these hosts reads the
        examples of the group.
        """
        parts = zip(np.split(order, len(self.mesh.devices), axis=1), self.mesh.devices, strict=True)
        here = jax.process_index()
        return np.concatenate([part for part, group in parts if here in {dev.process_index for dev in group}], axis=1)

    def distribute(self, batches: T) -> T:
        """Gives each device its part of every batch, out of this host's share of them, `[steps, examples, ...]`."""
        sharding = NamedSharding(self.mesh, PartitionSpec(None, BATCH_AXIS))
        return jax.tree.map(partial(jax.make_array_from_process_local_data, sharding), batches)

    def everywhere(self, part: T) -> T:
        """Places arrays that every host has on every device, whole.

        Any thread may call it, because the hosts do not compare their arrays.
        """
        return jax.tree.map(partial(jax.make_array_from_process_local_data, self.whole), part)

    def place(self, state: T) -> T:
        """Copies a state to the devices, laid out for training. Training may take the memory of the copy."""
        # Not `device_put(may_alias=False)`: on the original's device, a copy for several shares the original's memory.
        own = jax.tree.map(lambda leaf: jnp.copy(leaf) if isinstance(leaf, jax.Array) else leaf, state)
        return jax.device_put(own, self.of_state(state))

    def check_divided(self, state: Any) -> None:
        """Raises `InputError` where wide layers are to be divided, and no array of the state can be."""
        if self.tensor > 1 and all(sharding.is_fully_replicated for sharding in jax.tree.leaves(self.of_state(state))):
            raise InputError(
                f"no parameter has a path that matches {self.wide!r} and a longer side that {self.tensor} divides: "
                "choose others, or no tensor parallelism"
            )

    @property
    def over_hosts(self) -> bool:
        """Whether several hosts train, and layers are divided: no host may be able to hold them whole."""
        return hosts.several() and self.tensor > 1

    def copied(self, state: T) -> T:
        """Copies a state where it lies, so that training may take the memory of the original.

        Every host must call it.
        """
        return _copied(state)

    def to_host(self, state: T) -> T:
        """Returns the arrays of a state in this host's memory, whole, unless layers are divided over hosts."""
        return jax.device_get(jax.tree.map(_own, state))


def _own(leaf: jax.Array) -> jax.Array:
    """Returns an array that this process has whole: of one that every device has, this process's copy."""
    return leaf if leaf.is_fully_addressable else leaf.addressable_data(0)


@jax.jit
def _copied(tree: T) -> T:
    return jax.tree.map(jnp.copy, tree)


ALL_DEVICES = Parallel()
"""The default layout: as many devices as can share a batch evenly, by jit."""
