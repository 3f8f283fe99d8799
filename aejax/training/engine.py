"""Trains through windows of steps: dispatches one window, and lets the one before be read meanwhile."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
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
    """Holds the steps from one row to the next as they were dispatched; reading the metrics waits for them."""

    start: int
    """The number of steps made before the window."""
    stop: int
    """The number of steps made after it."""
    epoch: int
    """The number of its epoch, from 1; a window lies in one."""
    pieces: list[Metrics]
    """The metrics of training in consecutive pieces, each with an axis of steps."""
    validation: Metrics | None
    """The metrics of the validation part, where it was wanted and there is one."""
    save: bool
    """Whether a checkpoint is due by time."""
    state: Any
    """A copy of the state after the window, where the engine makes copies; it stays on the devices."""
    finite: jax.Array | None
    """Whether every parameter of one state is finite; the members of a group say it themselves."""

    @cached_property
    def metrics(self) -> dict[str, Metrics]:
        """The metrics of each part, on the host; those of training have an axis of all steps."""
        pieces, validation = jax.device_get((self.pieces, self.validation))
        train = jax.tree.map(lambda *leaves: np.concatenate(leaves, -1), *pieces)
        return {"train": train} | ({} if validation is None else {"validation": validation})


@dataclass
class Engine:
    """Trains one state, or those of a group's members, and is where they are."""

    program: Program
    source: Source
    state: Any
    """The state after all steps dispatched so far. The next ones take its memory."""
    step: int
    """The number of steps that the state has made."""
    copies: bool = True
    """Whether the state is copied at the end of each window."""
    pace: float = field(default=math.nan, init=False)
    """The least number of seconds that a step took in any piece so far; NaN before the first was waited for."""

    def windows(
        self, stops: Iterable[Stop], *, ahead: bool = True, asked: Callable[[], int] = lambda: 0
    ) -> Iterator[Window]:
        """Trains up to the last stop, and yields a window wherever a row is due.

        Args:
            stops: the steps at which pieces end, in order. A source cuts them further.
            ahead: whether the next piece is dispatched before a window is yielded.
            asked: asked after each piece; where it returns something else than 0, the last window ends there.
        """
        pieces = self._pieces(stops, asked)
        return filter(None, one_ahead(pieces) if ahead else pieces)

    def _pieces(self, stops: Iterable[Stop], asked: Callable[[], int]) -> Iterator[Window | None]:
        """Dispatches a piece each time it is asked; yields the window that the piece ends, or None inside of one."""
        start, pieces, ready = self.step, list[Metrics](), 0.0
        under_way, lengths, compiles = list[tuple[Metrics, int, float]](), set[int](), False
        for stop in stops:
            for batches in self.source.batches(self.step, stop.step):
                if len(under_way) > 1:  # else a fast source would fill the memory with batches
                    ready = self._wait_for(*under_way.pop(0), math.inf if compiles else ready)
                compiles = len(batches) not in lengths
                lengths.add(len(batches))
                self.state, metrics = self.program.train(self.state, batches)
                self.step += len(batches)
                under_way.append((metrics, len(batches), time.perf_counter()))
                pieces.append(metrics)
                if stop.row and self.step == stop.step:
                    yield self._window(start, pieces, stop)
                    start, pieces = self.step, []
                else:
                    yield None
                if asked():
                    if pieces:
                        yield self._window(start, pieces, Stop(self.step, validate=False))
                    return

    def _wait_for(self, metrics: Metrics, steps: int, dispatched: float, ready: float) -> float:
        """Waits for a piece, and returns the time.

        It takes the piece's pace by the time `ready` at which the piece before was ready; none where that is infinite,
        because a compilation came between.
        """
        jax.block_until_ready(metrics)
        now = time.perf_counter()
        if ready < math.inf:
            self.pace = float(np.fmin(self.pace, (now - max(dispatched, ready)) / steps))
        return now

    def _window(self, start: int, pieces: list[Metrics], stop: Stop) -> Window:
        validation = self._validate() if stop.validate else None
        state = self.program.parallel.copied(self.state) if self.copies else None
        finite = None if self.program.key.ndim else _finite(self.state.params)
        epoch = -(-self.step // self.source.steps)
        return Window(start, self.step, epoch, pieces, validation, stop.save, state, finite)

    def _validate(self) -> Metrics | None:
        chunks: list[Metrics] = []
        for examples, batch_size, place in self.source.validation():
            jax.block_until_ready(chunks[-2:-1])  # so that the memory of earlier chunks is free
            chunks.append(self.program.evaluate(self.state, examples, batch_size, **place))
        if len(chunks) < 2:
            return chunks[0] if chunks else None
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, -1), *chunks)


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields each item after the next one has been made, so that the device never waits for the host to read."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current
            current = following
        yield current
