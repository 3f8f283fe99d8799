"""Trains on data that stays on disk: grain reads the next batches while the device trains on those before."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from aejax import devices
from aejax.core import CHUNK, Batches, Examples, InputError
from aejax.data import Dataset, Preprocess, StaticBinarise, Stored
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.runs import span
from aejax.training._sources import Chunk, ResidentSource, Source, piece

_READ = 2  # chunks that are read at once, and how many are read ahead

_CHUNKS = 8  # chunks that memory holds: two are trained on, one is next, and one being read takes up to three

_LONGEST = 2**24  # bytes of a chunk: a longer one is no faster, and training waits for the first to be read


def source_for(
    experiment: Experiment, dataset: Dataset, preprocess: Preprocess, parallel: Parallel, buffer: float
) -> Source:
    """Chooses the source of batches: from memory, or from disk where data there is larger than the buffer.

    Args:
        experiment: the resolved experiment.
        dataset: its data.
        preprocess: the fitted preprocessing.
        parallel: the resolved layout.
        buffer: gigabytes of the training part that may be in memory.

    Raises:
        InputError: where the data cannot be streamed through the buffer.
    """
    if not streams(dataset, buffer):
        return ResidentSource.of(experiment, dataset, preprocess, parallel)
    if isinstance(preprocess, StaticBinarise):
        raise InputError(
            "StaticBinarise draws a whole part at once, which does not fit the buffer: use "
            "--data.preprocess binarise, or a larger --buffer"
        )
    last = experiment.steps_in(len(dataset.train) // experiment.batch_size)
    return StreamedSource(dataset, parallel, experiment.batch_size, experiment.seed, last, 1e9 * buffer)


def streams(dataset: Dataset, buffer: float) -> bool:
    """Tells whether a data set's training part is read from disk while it is trained on, with a buffer in gigabytes."""
    return isinstance(dataset.train, Stored) and dataset.train.x.nbytes > 1e9 * buffer


@dataclass
class StreamedSource:
    """Feeds data larger than memory: the batches are those of `ResidentSource`, read in chunks of several steps.

    Of each example only the label and the place in the order are held, some twenty bytes. The step and the seed
    say which batches are left, so that grain's own state is not saved.
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
    _next: int = field(default=-1, init=False)
    """The step of the next chunk that the reader gives."""
    _reader: Iterator[Examples] = field(default=iter(()), init=False)
    """Reads chunks ahead, from step `_next` on."""
    _rest: Examples | None = field(default=None, init=False)
    """The end of a chunk that was asked for in part: the batches from `_next` on."""

    def __post_init__(self) -> None:
        """Checks the size of the buffer. Raises `InputError` where it is too small."""
        if self._steps_in(self.batch_size) < 1:
            raise InputError(
                f"the buffer holds {self.limit / 1e6:.3g} MB, but streaming needs {_CHUNKS} batches of "
                f"{self.batch_size * self._bytes / 1e6:.3g} MB: give a larger --buffer or smaller batches"
            )

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.dataset.train) // self.batch_size

    def batches(self, start: int, stop: int) -> Iterator[Batches]:
        """Yields the batches from step `start` to before step `stop` in chunks, and waits for each to be read."""
        if self._next != start:
            length = self._steps_in(self.batch_size)
            chunks = TrainingChunks(
                self.dataset.train, self.parallel, self.seed, self.batch_size, length, start, self.last
            )
            self._next, self._rest, self._reader = start, None, _ahead(chunks)
        while self._next < stop:
            chunk = next(self._reader) if self._rest is None else self._rest
            left = stop - self._next
            self._rest = piece(chunk, left, len(chunk) - left, axis=0) if len(chunk) > left else None
            given = piece(chunk, 0, min(left, len(chunk)), axis=0)
            self._next += len(given)
            yield Batches(given)

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

    def _steps_in(self, batch_size: int) -> int:
        """Returns the number of batches of this size in a chunk."""
        return int(min(self.limit / _CHUNKS, max(_LONGEST, batch_size * self._bytes)) // (batch_size * self._bytes))

    @property
    def _bytes(self) -> int:
        """The bytes of one example."""
        return self.dataset.train.x.nbytes // len(self.dataset.train)


def _shapes(part: Examples, *leading: int) -> Any:
    one = part.take(np.arange(1)).read()
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*leading, *leaf.shape[1:]), leaf.dtype), one)


@dataclass(frozen=True)
class TrainingChunks:
    """Lists the chunks of a run from step `first` to `last`, with random access, as grain reads a source.

    No chunk reaches over the end of an epoch. Of several hosts each reads its own share of every batch.
    """

    part: Examples
    parallel: Parallel
    seed: int
    batch_size: int
    length: int
    """Number of steps in a chunk."""
    first: int
    """The first step that is left, counted from the beginning of the run."""
    last: int
    """The step after the last one."""
    _orders: dict[int, np.ndarray] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        """Returns the number of chunks."""
        return self._number(self.last - 1) - self._number(self.first) + 1

    def __getitem__(self, chunk: int) -> Examples:
        """Reads the batches of a chunk, and gives them out to the devices."""
        epoch, number = divmod(self._number(self.first) + chunk, self._an_epoch)
        begin = epoch * self._steps
        start, stop = (begin + min(step * self.length, self._steps) for step in (number, number + 1))
        index = self._order(begin)[max(start, self.first) - begin : stop - begin]
        share = self.parallel.share(index)
        read = self.part.take(share.reshape(-1)).read()
        return self.parallel.distribute(jax.tree.map(lambda leaf: leaf.reshape(*share.shape, *leaf.shape[1:]), read))

    @property
    def _steps(self) -> int:
        return len(self.part) // self.batch_size

    @property
    def _an_epoch(self) -> int:
        return -(-self._steps // self.length)

    def _number(self, step: int) -> int:
        """Returns the number of the chunk that has this step, counted from the beginning of the run."""
        epoch, rest = divmod(step, self._steps)
        return epoch * self._an_epoch + rest // self.length

    def _order(self, begin: int) -> Int[np.ndarray, "steps batch"]:
        """Returns the order of the epoch that begins at this step; made once, and kept while its chunks are read."""
        with self._lock:
            if begin not in self._orders:
                for done in [step for step in self._orders if step < begin - self._steps]:
                    del self._orders[done]
                self._orders[begin] = devices.epoch_order_on_host(self.seed, begin, len(self.part), self.batch_size)
            return self._orders[begin]


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
