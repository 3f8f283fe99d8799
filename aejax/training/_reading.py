"""Reads the batches of data on disk: each example from where it lies, or out of windows that are read whole."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, tee
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Int

from aejax import devices
from aejax.core import Examples
from aejax.data import Stored, blank, take_rows
from aejax.devices import Parallel
from aejax.training._order import WindowedOrder
from aejax.training.engine import one_ahead

WINDOWS = 2
"""Windows that memory holds: one is trained on, one is read."""


class Reader(Protocol):
    """Reads the batches of a run segment by segment, from what is held of each in memory."""

    def contents(self, begins: Iterable[int]) -> Iterator[Any]:
        """Yields what is held of the segments that begin at these steps of the run, which follow each other.

        It may be in the memory of the last segment but one, of which no batches are read any more.
        """

    def read(self, held: Any, steps: slice) -> Examples:
        """Reads this host's share of the batches of some steps, counted from the segment's beginning.

        The arrays are `[steps, examples, ...]`, in this host's memory.
        """


@dataclass(frozen=True)
class Shuffled:
    """Reads data in the order of a run in memory, each example from where it lies; an epoch is one segment."""

    part: Stored
    parallel: Parallel
    seed: int
    batch_size: int

    def contents(self, begins: Iterable[int]) -> Iterator[Int[np.ndarray, "steps batch"]]:
        """Yields the order of each epoch."""
        for begin in begins:
            yield devices.epoch_order_on_host(self.seed, begin, len(self.part), self.batch_size)

    def read(self, held: Int[np.ndarray, "steps batch"], steps: slice) -> Examples:
        """Reads this host's share of the batches of some steps, given the order of their epoch."""
        share = self.parallel.share(held[steps])
        read = self.part.take(share.reshape(-1)).read()
        return jax.tree.map(lambda leaf: leaf.reshape(*share.shape, *leaf.shape[1:]), read)


class Window(NamedTuple):
    """Holds a window's examples in this host's memory, and which of them each of its steps takes."""

    examples: Examples
    order: Int[np.ndarray, "steps examples"]


@dataclass(frozen=True)
class Windows:
    """Reads data window by window, each in whole blocks; a window is a segment.

    A host reads the lanes that its columns of the batches come from. Two windows share their memory with all others:
    fresh memory would take as long to get as the window to read.
    """

    part: Stored
    parallel: Parallel
    order: WindowedOrder

    def contents(self, begins: Iterable[int]) -> Iterator[Window]:
        """Reads one window after the other, each lane while the next one is on its way from the disk."""
        columns, width = self.parallel.share(np.arange(self.order.batch_size)[None])[0], self.order.width
        lanes = np.unique(columns // width)
        chosen = np.searchsorted(lanes, columns // width) * width + columns % width
        memories = cycle(self.part.blank(self.order.length * width * len(lanes)) for _ in range(WINDOWS))
        windows, again = tee(self.order.window_at(begin) for begin in begins)
        asked = one_ahead(self._asked((*window, lane) for window in again for lane in lanes.tolist()))
        for (epoch, window), memory in zip(windows, memories, strict=False):
            steps = self.order.steps_of(window)
            order = np.empty((steps, len(lanes), width), np.int32)
            for place, lane in enumerate(lanes.tolist()):
                begin = place * steps * width
                here = itemgetter(slice(begin, begin + steps * width))
                self.part.read_into(jax.tree.map(here, memory), next(asked).result())
                order[:, place] = self.order.shuffled(epoch, window, lane) + begin
            yield Window(memory, order.reshape(steps, -1)[:, chosen])

    def _asked(self, lanes: Iterable[tuple[int, int, int]]) -> Iterator[Future[Any]]:
        """Has lanes of windows of epochs asked for, in a thread of its own: it takes a processor as long as to read."""
        asking = ThreadPoolExecutor(1, "aejax-ahead")
        for lane in lanes:
            yield asking.submit(self._expect, *lane)

    def _expect(self, epoch: int, window: int, lane: int) -> Any:
        return self.part.expect(self.order.lane(epoch, window, lane))

    def read(self, held: Window, steps: slice) -> Examples:
        """Gathers this host's share of the batches of some steps out of their window."""
        at = held.order[steps]
        return jax.tree.map(lambda leaf: _gathered(leaf, at), held.examples)


def _gathered(array: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns the rows of an array at the given places, in memory that no other array has."""
    out = blank((*at.shape, *array.shape[1:]), array.dtype)
    take_rows(array, at.reshape(-1), out.reshape(-1, *array.shape[1:]))
    return out
