"""Trains through windows of steps: dispatches one window, and lets the one before be read meanwhile."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import Metrics
from aejax.devices import Program
from aejax.training._sources import Source
from aejax.training.intervals import Stop

T = TypeVar("T")

_finite = jax.jit(lambda tree: jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all())


@dataclass(frozen=True)
class Window:
    """Holds consecutive steps as they were dispatched; reading the metrics waits for them."""

    start: int
    """The number of steps made before the window."""
    stop: int
    """The number of steps made after it."""
    metrics: dict[str, Metrics]
    """The metrics of each part: train with an axis of steps, and validation where it was wanted."""
    ends: bool
    """Whether the window ends at a stop."""
    state: Any
    """At a stop a copy of the state, where the engine makes copies; it stays on the devices."""
    finite: jax.Array | None
    """At a stop of one state, whether every parameter is finite; the members of a group say it themselves."""
    dispatched: float
    """The time at which the window was dispatched, by `time.perf_counter`."""


@dataclass
class Engine:
    """Trains one state, or those of a group's members, and is where they are."""

    program: Program
    source: Source
    state: Any
    """The state after all windows dispatched so far. The next window takes its memory."""
    step: int
    """The number of steps that the state has made."""
    copies: bool = True
    """Whether the state is copied at each stop, to be saved."""
    stopped: bool = False
    """Whether the windows ended because they were asked to."""

    def windows(self, stops: Iterable[Stop], asked: Callable[[], int] = lambda: 0) -> Iterator[Window]:
        """Dispatches windows, each when it is asked for, up to the last stop.

        Args:
            stops: the steps at which windows end, in order. A source cuts windows further.
            asked: asked before each window but the first; where it returns something else than 0, no more follow.
        """
        for stop in stops:
            for batches in self.source.batches(self.step, stop.step):
                clock, start = time.perf_counter(), self.step
                self.state, metrics = self.program.train(self.state, batches)
                self.step += len(batches)
                parts, ends = {"train": metrics}, self.step == stop.step
                if ends and stop.validate and (measured := self._validate()):
                    parts["validation"] = measured
                state = self.program.parallel.copied(self.state) if ends and self.copies else None
                finite = _finite(self.state.params) if ends and not self.program.key.ndim else None
                yield Window(start, self.step, parts, ends, state, finite, clock)
                if asked():
                    self.stopped = True
                    return

    def _validate(self) -> Metrics | None:
        chunks: list[Metrics] = []
        for examples, batch_size, place in self.source.validation():
            jax.block_until_ready(chunks[-2:-1])  # so that the memory of earlier chunks is free
            chunks.append(self.program.evaluate(self.state, examples, batch_size, **place))
        if len(chunks) < 2:
            return chunks[0] if chunks else None
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, -1), *chunks)


def joined(pieces: list[Metrics]) -> Metrics:
    """Joins the metrics of consecutive windows along their axis of steps.

    Several are joined on the host: on a device that would be queued behind the window that is under way.
    """
    if len(pieces) == 1:
        return pieces[0]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, -1), *jax.device_get(pieces))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields each item after the next one has been made, so that the device never waits for the host to read."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current
            current = following
        yield current
