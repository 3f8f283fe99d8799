"""Training on data that stays on disk: grain reads the next batches while the device trains on those before."""

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

_READ = 2  # chunks that are read at once, and ahead

_CHUNKS = 8  # whose bytes are in memory at once: two are trained on, one is next, and one being read takes up to three

_LONGEST = 2**24  # bytes of a chunk: a longer one saves no more, and the first is waited for


def source_for(
    experiment: Experiment, dataset: Dataset, preprocess: Preprocess, parallel: Parallel, buffer: float
) -> Source:
    """For a resolved experiment and layout: from memory, or from disk where data there is larger than the buffer.

    `buffer` is in gigabytes. Raises `InputError` where it is too small to stream through.
    """
    if isinstance(dataset.train, Stored) and dataset.train.x.nbytes > 1e9 * buffer:
        return StreamedSource(experiment, dataset, preprocess, parallel, 1e9 * buffer)
    train, validation = dataset.train.read(), dataset.validation.read()
    return ResidentSource(experiment, replace(dataset, train=train, validation=validation), preprocess, parallel)


@dataclass
class StreamedSource:
    """Data larger than memory: an epoch is the one of `ResidentSource`, dispatched in chunks of several steps.

    Of each example only labels and places in the order are held, some twenty bytes. The iterator's state is the
    state's step: with the seed it says which batches are left, so that grain's own state is not saved.
    """

    experiment: Experiment
    """Resolved."""
    dataset: Dataset
    preprocess: Preprocess
    """Fitted, its numbers arrays."""
    parallel: Parallel
    """Resolved."""
    limit: float
    """Bytes of examples that may be in memory at once."""
    _reading: tuple[int, Iterator[Examples]] = field(default=(-1, iter(())), init=False)
    """What is being read ahead, and the step it has come to."""

    def __post_init__(self) -> None:
        """Raises `InputError` for what cannot be streamed."""
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
        """Of one epoch."""
        return len(self.dataset.train) // self.experiment.batch_size

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """What is left of the epoch, in chunks; waits where two that were dispatched are not finished, or for input."""
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
        """The loss and its terms over the validation part."""
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
        """The batches from that step on, which are read by now if those before were the last asked for."""
        if self._reading[0] != step:
            last = self.experiment.epochs * self.steps
            length = self._steps_in(self.experiment.batch_size)
            given = self.dataset.train, self.parallel, self.experiment.seed, self.experiment.batch_size
            chunks = TrainingChunks(*given, length, step, last)
            self._reading = step, _ahead(chunks)
        return next(self._reading[1])

    def _steps_in(self, batch_size: int) -> int:
        """Of a chunk."""
        return int(min(self.limit / _CHUNKS, max(_LONGEST, batch_size * self._bytes)) // (batch_size * self._bytes))

    @property
    def _bytes(self) -> int:
        """Of one example."""
        return self.dataset.train.x.nbytes // len(self.dataset.train)

    @cached_property
    def _key(self) -> Key[Array, ""]:
        return jax.random.key(self.experiment.seed)


@dataclass(frozen=True)
class TrainingChunks:
    """The chunks of a run that are left from step `first` to `last`: a source of random access, as grain reads one.

    None reaches over the end of an epoch. Of several hosts each reads its own share of every batch.
    """

    part: Examples
    parallel: Parallel
    seed: int
    batch_size: int
    length: int
    """Steps of a chunk."""
    first: int
    last: int
    _orders: dict[int, np.ndarray] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        """How many there are."""
        return self._number(self.last - 1) - self._number(self.first) + 1

    def __getitem__(self, chunk: int) -> Examples:
        """Its batches, given out to the devices."""
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
        """Of the chunk with that step, counted from the beginning of the run."""
        epoch, rest = divmod(step, self._steps)
        return epoch * self._an_epoch + rest // self.length

    def _order(self, begin: int) -> Int[np.ndarray, "steps batch"]:
        """Of the epoch that begins at that step; made once, and kept while its chunks are read."""
        with self._lock:
            if begin not in self._orders:
                for done in [step for step in self._orders if step < begin - self._steps]:
                    del self._orders[done]
                self._orders[begin] = devices.shuffled(self.seed, begin, len(self.part), self.batch_size)
            return self._orders[begin]


@dataclass(frozen=True)
class EvaluationChunks:
    """A part in its own order, several batches at a time, the last filled up with the first examples."""

    part: Examples
    parallel: Parallel
    batch_size: int
    length: int
    """Batches of a chunk."""

    def __len__(self) -> int:
        """How many there are."""
        return -(-len(self.part) // (self.batch_size * self.length))

    def __getitem__(self, number: int) -> Examples:
        """On every device."""
        batches = -(-len(self.part) // self.batch_size)
        start, stop = (min(at * self.length, batches) * self.batch_size for at in (number, number + 1))
        return self.parallel.everywhere(self.part.take(np.arange(start, stop) % len(self.part)).read())


def _ahead(source: Any) -> Iterator[Examples]:
    """All that a source holds, in order, read by threads before it is asked for; tells how long it is waited for."""
    import grain

    options = grain.ReadOptions(num_threads=_READ, prefetch_buffer_size=_READ)
    reader = iter(grain.MapDataset.source(source).to_iter_dataset(options))
    for _ in range(len(source)):
        with span("input"):
            part = next(reader)
        yield part
