"""Trains on data that stays on disk: grain reads the next batches while the device trains on those before."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from aejax import devices
from aejax.core import CHUNK, Batches, Examples, InputError
from aejax.data import Dataset, Preprocess, StaticBinarise, Stored, blank, take_rows
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.runs import span
from aejax.training._order import WindowedOrder
from aejax.training._sources import Chunk, ResidentSource, Source, piece

_READ = 2  # chunks that are read at once, and how many are read ahead

_CHUNKS = 8  # chunks that memory holds: two are trained on, one is next, and one being read takes up to three

_WINDOWS = 2  # windows that memory holds: one is trained on, one is read

_LONGEST = 2**24  # bytes of a chunk: a longer one is no faster, and training waits for the first to be read


def source_for(
    experiment: Experiment,
    dataset: Dataset,
    preprocess: Preprocess,
    parallel: Parallel,
    buffer: float,
    windowed: bool | None = None,
) -> Source:
    """Chooses the source of batches: from memory, or from disk where data there is larger than the buffer.

    Args:
        experiment: the resolved experiment.
        dataset: its data.
        preprocess: the fitted preprocessing.
        parallel: the resolved layout.
        buffer: gigabytes of the training part that may be in memory.
        windowed: whether examples are shuffled within windows, as in the steps before of a run that is resumed, whose
            buffer may have been another; None: only where windows are smaller than data that are streamed.

    Raises:
        InputError: where the data cannot be streamed through the buffer, or cannot be read in windows that they were
            read in before.
    """
    if windowed and not isinstance(dataset.train, Stored):
        raise InputError(
            "the run was trained on packed data that were shuffled in windows, and has no such order for data in "
            "memory: resume it with the packed data (--data)"
        )
    if not windowed and not streams(dataset, buffer):
        return ResidentSource.of(experiment, dataset, preprocess, parallel)
    if isinstance(preprocess, StaticBinarise):
        raise InputError(
            "StaticBinarise draws a whole part at once, which does not fit the buffer: use "
            "--data.preprocess binarise, or a larger --buffer"
        )
    last = experiment.steps_in(len(dataset.train) // experiment.batch_size)
    window = experiment.data.window
    if not window > 0:
        raise InputError(f"data.window is {window:g}: give a number of megabytes above 0")
    window = math.inf if windowed is False else window
    return StreamedSource(dataset, parallel, experiment.batch_size, experiment.seed, last, 1e9 * buffer, window)


def streams(dataset: Dataset, buffer: float) -> bool:
    """Tells whether a data set's training part is read from disk while it is trained on, with a buffer in gigabytes."""
    return isinstance(dataset.train, Stored) and dataset.train.nbytes > 1e9 * buffer


@dataclass
class StreamedSource:
    """Feeds data larger than memory, read in chunks of several steps.

    Where a window holds all examples, the batches are those of `ResidentSource`; else those of `WindowedOrder`. The
    step and the seed say which batches are left, so that grain's own state is not saved.
    """

    dataset: Dataset
    parallel: Parallel
    """The resolved layout."""
    batch_size: int
    """The number of examples in a batch of training."""
    seed: int
    """The seed of the order of examples."""
    last: int
    """The step after the last one of the run, up to which chunks are read ahead."""
    limit: float
    """Bytes of examples that may be in memory at once."""
    window: float
    """Megabytes of examples that are shuffled together."""
    _chunks: "TrainingChunks | None" = field(default=None, init=False)
    """What is read, since it was last begun at another step than the next one."""
    _next: int = field(default=-1, init=False)
    """The step after the last one that was given out."""
    _reader: Iterator[Examples] = field(default=iter(()), init=False)
    """Reads the chunks ahead."""
    _begun: tuple[Examples, int] | None = field(default=None, init=False)
    """A chunk that was asked for in part, and the number of its steps before `_next`."""

    def __post_init__(self) -> None:
        """Checks the size of the buffer. Raises `InputError` where it is too small."""
        if self._steps_in(self.batch_size) < 1:
            windows = f" beside {_WINDOWS} windows of {self.window:g} MB" if self.windowed else ""
            smaller = "smaller batches, or a smaller --data.window" if self.windowed else "smaller batches"
            raise InputError(
                f"the buffer holds {self.limit / 1e6:.3g} MB, but streaming needs {_CHUNKS} batches of "
                f"{self.batch_size * self._bytes / 1e6:.3g} MB{windows}: give a larger --buffer, or {smaller}"
            )

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.dataset.train) // self.batch_size

    @property
    def windowed(self) -> bool:
        """Whether the examples take more than a window, and are shuffled within windows."""
        return self._train.nbytes > 1e6 * self.window

    def batches(self, start: int, stop: int) -> Iterator[Batches]:
        """Yields the batches from step `start` to before step `stop` in chunks, and waits for each to be read."""
        if self._chunks is None or self._next != start:
            length = self._steps_in(self.batch_size)
            self._chunks = TrainingChunks(self._order(start), self.parallel, length, start, self.last)
            self._next, self._begun, self._reader = start, None, _ahead(self._chunks)
        while self._next < stop:
            chunk, used = self._begun or (next(self._reader), 0)
            count = min(stop - self._next, len(chunk) - used)
            if not self._chunks.has(self._next, self._next + count):
                count = 1 << count.bit_length() - 1  # a power of two, so that few lengths are ever compiled
            self._begun = (chunk, used + count) if used + count < len(chunk) else None
            self._next += count
            yield Batches(piece(chunk, used, count, axis=0))

    def validation(self) -> Iterator[Chunk]:
        """Yields the validation part in chunks, and waits for each to be read; nothing where there is none."""
        part = self.dataset.validation
        if not len(part):
            return
        size, first = min(CHUNK, len(part)), 0
        for chunk in _ahead(EvaluationChunks(part, self.parallel, size, max(1, self._steps_in(size)))):
            yield Chunk(chunk, size, {"first": jnp.int32(first), "size": jnp.int32(len(part))})
            first += len(chunk) // size

    def of_members(self, key: Key[Array, " members"] | None) -> "StreamedSource":
        """Returns another reader of the same data: all members share its order, and no others can have one."""
        assert key is None
        return replace(self)

    def shapes(self) -> tuple[Batches, Examples | None]:
        """Returns the shapes of the longest chunk of training, and of one of validation where there is one."""
        train = _shapes(self.dataset.train, self._steps_in(self.batch_size), self.batch_size)
        part = self.dataset.validation
        size = min(CHUNK, len(part))
        held = _shapes(part, max(1, self._steps_in(size)) * size) if size else None
        return Batches(train), held

    def _order(self, start: int) -> "Order":
        if not self.windowed:
            return Shuffled(self._train, self.parallel, self.seed, self.batch_size)
        order = WindowedOrder.of(len(self._train), self._bytes, self.batch_size, self.window, self.seed)
        return Windows(self._train, self.parallel, order, start, self.last)

    def _steps_in(self, batch_size: int) -> int:
        """Returns the number of batches of this size in a chunk."""
        room = self.limit - (_WINDOWS * 1e6 * self.window if self.windowed else 0)
        return int(min(room / _CHUNKS, max(_LONGEST, batch_size * self._bytes)) // (batch_size * self._bytes))

    @property
    def _bytes(self) -> int:
        """The bytes of one example."""
        return self._train.nbytes // len(self._train)

    @property
    def _train(self) -> Stored:
        part = self.dataset.train
        assert isinstance(part, Stored)
        return part


def _shapes(part: Examples, *leading: int) -> Any:
    one = part.take(np.arange(1)).read()
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*leading, *leaf.shape[1:]), leaf.dtype), one)


class Order(Protocol):
    """Reads the batches of an epoch's steps, of which those of one segment are read from one place."""

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""

    @property
    def segment(self) -> int:
        """The number of steps in a segment; the last one of an epoch may have fewer."""

    def read(self, epoch: int, start: int, stop: int) -> Examples:
        """Reads this host's share of the batches from step `start` of an epoch to before `stop`, in one segment.

        The arrays are `[steps, examples, ...]`, in this host's memory.
        """


@dataclass(frozen=True)
class TrainingChunks:
    """Lists the chunks of a run from step `first` to `last`, with random access, as grain reads a source.

    No chunk reaches over the end of a segment of the order, or of an epoch. Of several hosts each reads its own share
    of every batch.
    """

    order: Order
    parallel: Parallel
    length: int
    """Number of steps in a chunk."""
    first: int
    """The first step that is left, counted from the beginning of the run."""
    last: int
    """The step after the last one."""

    def __len__(self) -> int:
        """Returns the number of chunks."""
        return self._number(self.last - 1) - self._number(self.first) + 1

    def __getitem__(self, chunk: int) -> Examples:
        """Reads the batches of a chunk, and gives them out to the devices."""
        start, stop = self._steps(self._number(self.first) + chunk)
        epoch, begin = divmod(max(start, self.first), self.order.steps)
        return self.parallel.distribute(self.order.read(epoch, begin, stop - epoch * self.order.steps))

    def has(self, start: int, stop: int) -> bool:
        """Tells whether a chunk has just the steps from `start` to before `stop`, counted from the run's beginning."""
        return self._steps(self._number(start)) == (start, stop)

    def _steps(self, number: int) -> tuple[int, int]:
        """Returns the first step of a chunk by its number in the run, and the step after its last one."""
        epoch, number = divmod(number, self._number(self.order.steps - 1) + 1)
        segment, place = divmod(number, self._a_segment)
        start = segment * self.order.segment + place * self.length
        stop = min(start + self.length, (segment + 1) * self.order.segment, self.order.steps)
        return epoch * self.order.steps + start, epoch * self.order.steps + stop

    @property
    def _a_segment(self) -> int:
        return -(-self.order.segment // self.length)

    def _number(self, step: int) -> int:
        """Returns the number of the chunk that has this step, counted from the beginning of the run."""
        epoch, rest = divmod(step, self.order.steps)
        segment, place = divmod(rest, self.order.segment)
        before = epoch * (self._number(self.order.steps - 1) + 1) if epoch else 0
        return before + segment * self._a_segment + place // self.length


@dataclass
class Shuffled:
    """Reads data in the order of a run in memory, each example from where it lies; an epoch is one segment."""

    part: Stored
    parallel: Parallel
    seed: int
    batch_size: int
    _orders: dict[int, np.ndarray] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.part) // self.batch_size

    @property
    def segment(self) -> int:
        """The number of steps of an epoch."""
        return self.steps

    def read(self, epoch: int, start: int, stop: int) -> Examples:
        """Reads this host's share of the batches.

        Args:
            epoch: the number of the epoch.
            start: the first step.
            stop: the step after the last one.
        """
        share = self.parallel.share(self._order(epoch)[start:stop])
        read = self.part.take(share.reshape(-1)).read()
        return jax.tree.map(lambda leaf: leaf.reshape(*share.shape, *leaf.shape[1:]), read)

    def _order(self, epoch: int) -> Int[np.ndarray, "steps batch"]:
        """Returns the order of an epoch; made once, and kept while its chunks are read."""
        with self._lock:
            if epoch not in self._orders:
                for done in [number for number in self._orders if number < epoch - 1]:
                    del self._orders[done]
                begin = epoch * self.steps
                self._orders[epoch] = devices.epoch_order_on_host(self.seed, begin, len(self.part), self.batch_size)
            return self._orders[epoch]


class Window(NamedTuple):
    """Holds a window's examples in this host's memory, and which of them each of its steps takes."""

    examples: Examples
    order: Int[np.ndarray, "steps examples"]


@dataclass
class Windows:
    """Reads data window by window, each in whole blocks, the next one while one is trained on; a window is a segment.

    A host reads the lanes that its columns of the batches come from. The memory of a window all of whose batches were
    gathered takes the one after the next: fresh memory would take as long to get as the window to read.
    """

    part: Stored
    parallel: Parallel
    order: WindowedOrder
    first: int
    """The first step that is left of the run."""
    last: int
    """The step of the run up to which windows are read ahead."""
    _reads: dict[int, Future[Window]] = field(default_factory=dict)
    """The windows that are read or being read, by their numbers in the run."""
    _left: dict[int, int] = field(default_factory=dict)
    """The number of steps of each whose batches were not gathered yet."""
    _free: list[Examples] = field(default_factory=list)
    """The memory of windows that no batches are left of."""
    _newest: int = -1
    """The highest number of a window that was begun to be read."""
    _coming: dict[int, Future[Any]] = field(default_factory=dict)
    """The first lane of a window that was asked for while the last one of the window before was read, by its number."""
    _pool: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "aejax-window"))
    _asking: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "aejax-ahead"))
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return self.order.steps

    @property
    def segment(self) -> int:
        """The number of steps that share a window."""
        return self.order.length

    def read(self, epoch: int, start: int, stop: int) -> Examples:
        """Gathers this host's share of the batches out of their window.

        Args:
            epoch: the number of the epoch.
            start: the first step.
            stop: the step after the last one.
        """
        number = epoch * self._an_epoch + start // self.order.length
        held = self._window(number).result()
        begin = start - start % self.order.length
        at = held.order[start - begin : stop - begin]
        batches = jax.tree.map(lambda leaf: _gathered(leaf, at), held.examples)
        self._leave(number, held, stop - start)
        return batches

    @property
    def _an_epoch(self) -> int:
        """The number of windows of an epoch."""
        return -(-self.order.steps // self.order.length)

    @property
    def _windows(self) -> int:
        """The number of windows of all epochs."""
        return -(-self.last // self.order.steps) * self._an_epoch

    def _window(self, number: int) -> Future[Window]:
        """Returns a window by its number in the run, and has the one after it read while there is room for it."""
        with self._lock:
            if number not in self._reads:
                self._begin(number)
            self._go_on()
            return self._reads[number]

    def _leave(self, number: int, held: Window, steps: int) -> None:
        """Counts steps whose batches were gathered; after the last of a window another one takes its memory."""
        with self._lock:
            self._left[number] -= steps
            if not self._left[number]:
                del self._reads[number], self._left[number]
                self._free.append(held.examples)
                self._go_on()

    def _go_on(self) -> None:
        """Begins to read the window after the newest one, where the run has it and there is room for it."""
        if len(self._reads) < _WINDOWS and self._newest + 1 < self._windows:
            self._begin(self._newest + 1)

    def _begin(self, number: int) -> None:
        self._newest = max(self._newest, number)
        epoch, window = divmod(number, self._an_epoch)
        begin = epoch * self.order.steps + window * self.order.length
        self._left[number] = begin + self.order.steps_of(window) - max(begin, self.first)
        memory = self._free.pop() if self._free else None
        self._reads[number] = self._pool.submit(self._read, number, memory)

    def _read(self, number: int, memory: Examples | None) -> Window:
        """Reads the lanes of a window that this host needs, each while the next one is on its way from the disk."""
        epoch, window = divmod(number, self._an_epoch)
        columns, lanes = self._lanes
        width, steps = self.order.width, self.order.steps_of(window)
        count = steps * width
        if memory is None:
            memory = self.part.blank(self.order.length * width * len(lanes))
        coming = self._coming.pop(number, None) or self._ask(number, 0)
        order = np.empty((steps, len(lanes), width), np.int32)
        for place, lane in enumerate(lanes.tolist()):
            here, asked = slice(place * count, (place + 1) * count), coming
            if place + 1 < len(lanes):
                coming = self._ask(number, place + 1)
            elif number + 1 < self._windows:
                self._coming[number + 1] = self._ask(number + 1, 0)
            self.part.read_into(jax.tree.map(itemgetter(here), memory), asked.result())
            order[:, place] = self.order.shuffled(epoch, window, lane) + place * count
        chosen = np.searchsorted(lanes, columns // width) * width + columns % width
        return Window(memory, order.reshape(steps, -1)[:, chosen])

    def _ask(self, number: int, place: int) -> Future[Any]:
        """Has a lane of a window asked for in a thread of its own, because that takes a processor as long as to read.

        `place` is that of the lane among those that this host reads.
        """
        return self._asking.submit(self._expect, number, self._lanes[1][place].item())

    def _expect(self, window: int, lane: int) -> Any:
        return self.part.expect(self.order.lane(*divmod(window, self._an_epoch), lane))

    @cached_property
    def _lanes(self) -> tuple[np.ndarray, np.ndarray]:
        """This host's columns of the batches, and the lanes that they come from."""
        columns = self.parallel.share(np.arange(self.order.batch_size)[None])[0]
        return columns, np.unique(columns // self.order.width)


def _gathered(array: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns the rows of an array at the given places, in memory that no other array has."""
    out = blank((*at.shape, *array.shape[1:]), array.dtype)
    take_rows(array, at.reshape(-1), out.reshape(-1, *array.shape[1:]))
    return out


@dataclass(frozen=True)
class EvaluationChunks:
    """Lists the chunks of a part in its own order, several batches each; the first examples pad the last batch."""

    part: Examples
    parallel: Parallel
    batch_size: int
    length: int
    """Number of batches in a chunk."""

    def __len__(self) -> int:
        """Returns the number of chunks."""
        return -(-len(self.part) // (self.batch_size * self.length))

    def __getitem__(self, number: int) -> Examples:
        """Reads a chunk, and places it on every device."""
        batches = -(-len(self.part) // self.batch_size)
        start, stop = (min(at * self.length, batches) * self.batch_size for at in (number, number + 1))
        return self.parallel.everywhere(self.part.take(np.arange(start, stop) % len(self.part)).read())


def _ahead(source: Any) -> Iterator[Examples]:
    """Yields all chunks of a source, in order, which threads read ahead; reports how long each is waited for."""
    import grain

    options = grain.ReadOptions(num_threads=_READ, prefetch_buffer_size=_READ)
    reader = iter(grain.MapDataset.source(source).to_iter_dataset(options))
    for _ in range(len(source)):
        with span("input"):
            part = next(reader)
        yield part
