"""Trains on data that stays on disk: threads read the next batches while the device trains on those before."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from aejax.core import CHUNK, Batches, Examples, InputError
from aejax.data import Dataset, Preprocess, StaticBinarise, Stored
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.runs import span
from aejax.training._order import WindowedOrder
from aejax.training._reading import WINDOWS, Reader, Shuffled, Windows
from aejax.training._sources import Chunk, ResidentSource, Source, piece

T = TypeVar("T")

_READ = 2  # chunks that are read at once, and how many are read ahead

_CHUNKS = 8  # chunks that memory is counted for: two trained on, one next, two being read (up to three each)

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


class Steps(NamedTuple):
    """Holds a chunk of training: the batches of consecutive steps, on the devices."""

    start: int
    """The step at which the chunk begins; of one that the run began inside of, only the last steps are there."""
    stop: int
    """The step after its last one."""
    examples: Examples


@dataclass
class StreamedSource:
    """Feeds data larger than memory, read in chunks of several steps.

    Where a window holds all examples, the batches are those of `ResidentSource`; else those of `WindowedOrder`. The
    step and the seed say which batches are left. No chunk reaches over the end of a window, or of an epoch. Of several
    hosts each reads its own share of every batch.
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
    _next: int = field(default=-1, init=False)
    """The step after the last one that was given out."""
    _chunks: Iterator[Steps] = field(default=iter(()), init=False)
    """The chunks that are left, read ahead since the source was last asked for another step than the next one."""
    _begun: Steps | None = field(default=None, init=False)
    """A chunk that was given out in part."""

    def __post_init__(self) -> None:
        """Checks the size of the buffer. Raises `InputError` where it is too small."""
        if self._steps_in(self.batch_size) < 1:
            windows = f" beside {WINDOWS} windows of {self.window:g} MB" if self.windowed else ""
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
        if self._next != start:
            self._next, self._begun, self._chunks = start, None, _ahead(self._reads(start))
        while self._next < stop:
            chunk = self._begun or next(self._chunks)
            count = min(stop, chunk.stop) - self._next
            if (self._next, self._next + count) != (chunk.start, chunk.stop):
                count = 1 << count.bit_length() - 1  # a power of two, so that few lengths are ever compiled
            first = self._next - chunk.stop + len(chunk.examples)
            self._next += count
            self._begun = chunk if self._next < chunk.stop else None
            yield Batches(piece(chunk.examples, first, count, axis=0))

    def validation(self) -> Iterator[Chunk]:
        """Yields the validation part in chunks, and waits for each to be read; nothing where there is none.

        The first examples pad the last batch.
        """
        part, readers = self.dataset.validation, ThreadPoolExecutor(_READ, "aejax-chunk")
        size = max(1, min(CHUNK, len(part)))
        batches = -(-len(part) // size)
        firsts = range(0, batches, max(1, self._steps_in(size)))

        def read(first: int) -> Examples:
            index = np.arange(first * size, min(first + firsts.step, batches) * size) % len(part)
            return self.parallel.everywhere(part.take(index).read())

        for first, chunk in zip(firsts, _ahead(readers.submit(read, first) for first in firsts), strict=True):
            yield Chunk(chunk, size, {"first": jnp.int32(first), "size": jnp.int32(len(part))})

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

    def _reads(self, first: int) -> Iterator[Future[Steps]]:
        reader: Reader = Shuffled(self._train, self.parallel, self.seed, self.batch_size)
        segment = self.steps
        if self.windowed:
            order = WindowedOrder.of(len(self._train), self._bytes, self.batch_size, self.window, self.seed)
            reader, segment = Windows(self._train, self.parallel, order), order.length
        return reads(reader, self.parallel, (self.steps, segment, self._steps_in(self.batch_size)), first, self.last)

    def _steps_in(self, batch_size: int) -> int:
        """Returns the number of batches of this size in a chunk."""
        room = self.limit - (WINDOWS * 1e6 * self.window if self.windowed else 0)
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


def reads(
    reader: Reader, parallel: Parallel, lengths: tuple[int, int, int], first: int, last: int
) -> Iterator[Future[Steps]]:
    """Begins to read the chunks of a run, each when it is asked for, and meanwhile what the next segment is read from.

    Args:
        reader: what reads the examples in their order.
        parallel: the resolved layout.
        lengths: the numbers of steps in an epoch, in a segment of the order, and in a chunk.
        first: the first step that is left of the run.
        last: the step after its last one; a chunk that has steps after it too is read to its end.
    """
    epoch, segment, length = lengths
    readers, holder = ThreadPoolExecutor(_READ, "aejax-chunk"), ThreadPoolExecutor(1, "aejax-segment")
    contents = reader.contents(begin for begin, _ in _segments(first, last, epoch, segment))
    begun = WeakSet[Future[Steps]]()  # weak, because each of them has the chunk that it has read
    held = holder.submit(next, contents)

    def read(held: Future[Any], begin: int, first: int, start: int, stop: int) -> Steps:
        examples = reader.read(held.result(), slice(first - begin, stop - begin))
        return Steps(start, stop, parallel.distribute(examples))

    for begin, end in _segments(first, last, epoch, segment):
        following = holder.submit(_next_after, begun, contents)
        begun = WeakSet()
        while first < min(end, last):
            start = first - (first - begin) % length
            stop = min(start + length, end)
            begun.add(chunk := readers.submit(read, held, begin, first, start, stop))
            yield chunk
            first = stop
        held = following


def _segments(first: int, last: int, epoch: int, segment: int) -> Iterator[tuple[int, int]]:
    """Yields where segments with steps from `first` to before `last` begin and end; none is in two epochs."""
    while first < last:
        start = first - first % epoch
        begin = first - (first - start) % segment
        first = min(begin + segment, start + epoch)
        yield begin, first


def _next_after(chunks: Iterable[Future[Any]], contents: Iterator[T]) -> T | None:
    """Returns the next of the contents, which may take the memory from which these chunks are being read."""
    wait(list(chunks))
    return next(contents, None)


def _ahead(reads: Iterable[Future[T]]) -> Iterator[T]:
    """Yields what is read, in order, and begins to read ahead; reports how long each is waited for."""
    begun = deque[Future[T]]()
    for read in reads:
        begun.append(read)
        if len(begun) > _READ:
            yield _waited(begun.popleft())
    while begun:
        yield _waited(begun.popleft())


def _waited(read: Future[T]) -> T:
    with span("input"):
        return read.result()
