"""Trains on data that stays on disk: grain reads the next batches while the device trains on those before."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from aejax import devices
from aejax.core import CHUNK, Examples, InputError, Metrics, State, as_arrays
from aejax.data import Dataset, Preprocess, StaticBinarise, Stored
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.runs import span
from aejax.training._sources import ResidentSource, Source

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
        preprocess: the fitted preprocessing, its numbers arrays.
        parallel: the resolved layout.
        buffer: gigabytes of the training part that may be in memory.

    Raises:
        InputError: where the buffer is too small to stream through.
    """
    if isinstance(dataset.train, Stored) and dataset.train.x.nbytes > 1e9 * buffer:
        return StreamedSource(experiment, dataset, preprocess, parallel, 1e9 * buffer)
    train, validation = dataset.train.read(), dataset.validation.read()
    return ResidentSource(experiment, replace(dataset, train=train, validation=validation), preprocess, parallel)


@dataclass
class StreamedSource:
    """Feeds data larger than memory: an epoch is that of `ResidentSource`, dispatched in chunks of several steps.

    Of each example only the label and the place in the order are held, some twenty bytes. The step of the state
    and the seed say which batches are left, so that grain's own state is not saved.
    """

    experiment: Experiment
    """The resolved experiment."""
    dataset: Dataset
    preprocess: Preprocess
    """The fitted preprocessing, its numbers arrays."""
    parallel: Parallel
    """The resolved layout."""
    limit: float
    """Bytes of examples that may be in memory at once."""
    _reading: tuple[int, Iterator[Examples]] = field(default=(-1, iter(())), init=False)
    """The step of the next chunk, and the iterator that reads chunks ahead from there."""

    def __post_init__(self) -> None:
        """Checks that the data can be streamed. Raises `InputError` where it cannot."""
        if isinstance(self.preprocess, StaticBinarise):
            raise InputError(
                "StaticBinarise draws a whole part at once, which does not fit the buffer: use "
                "--data.preprocess binarise, or a larger --buffer"
            )
        if self._steps_in(self.experiment.batch_size) < 1:
            raise InputError(
                f"the buffer holds {self.limit / 1e6:.3g} MB, but streaming needs {_CHUNKS} batches of "
                f"{self.experiment.batch_size * self._bytes / 1e6:.3g} MB: give a larger --buffer or smaller batches"
            )

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.dataset.train) // self.experiment.batch_size

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """Dispatches what is left of the epoch, in chunks.

        It waits for input, and where two chunks that were dispatched are not finished.
        """
        settings = self.experiment.model, *as_arrays((self.experiment.loss, self.experiment.optimizer)), self.preprocess
        at = int(state.step)
        end = at - at % self.steps + self.steps
        chunks: list[Metrics] = []
        while at < end:
            chunk = self._next_chunk(at)
            jax.block_until_ready(chunks[-2:-1])
            state, metrics = devices.shared_epoch(self.parallel, *settings, state, chunk, self._key, batch_size=None)
            chunks.append(metrics)
            at += len(metrics["loss_nats"].count)
            self._reading = at, self._reading[1]
            yield state, metrics

    def validate(self, state: State) -> Metrics | None:
        """Measures the loss and its terms on the validation part, in chunks; None where the data holds none out."""
        part = self.dataset.validation
        if not len(part):
            return None
        size = min(CHUNK, len(part))
        chunks_to_measure = EvaluationChunks(part, self.parallel, size, max(1, self._steps_in(size)))
        settings = self.experiment.model, (as_arrays(self.experiment.loss),), self.preprocess
        first = 0
        chunks: list[Metrics] = []
        for chunk in _ahead(chunks_to_measure):
            jax.block_until_ready(chunks[-2:-1])
            place = {"batch_size": size, "first": jnp.int32(first), "size": jnp.int32(len(part))}
            chunks.append(devices.shared_evaluate(self.parallel, *settings, state, chunk, self._key, **place))
            first += len(chunk) // size
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *chunks)

    def _next_chunk(self, step: int) -> Examples:
        """Returns the batches from a step on, which are read ahead where the last chunk asked for ended there."""
        if self._reading[0] != step:
            last = self.experiment.epochs * self.steps
            length = self._steps_in(self.experiment.batch_size)
            given = self.dataset.train, self.parallel, self.experiment.seed, self.experiment.batch_size
            chunks = TrainingChunks(*given, length, step, last)
            self._reading = step, _ahead(chunks)
        return next(self._reading[1])

    def _steps_in(self, batch_size: int) -> int:
        """Returns the number of batches of this size in a chunk."""
        return int(min(self.limit / _CHUNKS, max(_LONGEST, batch_size * self._bytes)) // (batch_size * self._bytes))

    @property
    def _bytes(self) -> int:
        """The bytes of one example."""
        return self.dataset.train.x.nbytes // len(self.dataset.train)

    @cached_property
    def _key(self) -> Key[Array, ""]:
        return jax.random.key(self.experiment.seed)


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
                self._orders[begin] = devices.shuffled(self.seed, begin, len(self.part), self.batch_size)
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
