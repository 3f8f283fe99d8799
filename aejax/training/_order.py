"""Says which examples make the batches of data that stay on disk: a function of the seed and the step, at any size.

Data that a window holds are shuffled whole, in the order of a run in memory. Larger ones are cut into blocks, which
are read at once; an epoch takes the blocks in random order, and shuffles the examples of a window of many blocks
together. No number of an example is held outside the window.

grain's `MapDataset.shuffle` and its shuffle of windows answer by number and as uniformly, but one number at a time,
which took 5 and 22 microseconds of a processor for each example, in place of 0.04 here.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int

_BLOCK = 2**20
"""Bytes that are read at once: much less, and a disk spends its time on finding them."""

_MOST = 2**22
"""The most examples of a window, whose places in it are held in memory."""

_LANES = 16
"""Shares of a window that are shuffled apart, each for its own columns of every batch: a host reads only its own."""


@dataclass(frozen=True)
class WindowedOrder:
    """Draws the order of each epoch of data that are larger than a window."""

    size: int
    """The number of examples."""
    batch_size: int
    block: int
    """The number of examples that lie together and are read together."""
    length: int
    """The number of steps that share a window."""
    seed: int

    @classmethod
    def of(cls, size: int, example_bytes: int, batch_size: int, window: float, seed: int) -> "WindowedOrder":
        """Chooses blocks and windows.

        Args:
            size: the number of examples.
            example_bytes: the bytes of one.
            batch_size: the number of examples in a batch.
            window: the megabytes of a window.
            seed: the seed of the experiment.
        """
        held = min(int(1e6 * window / example_bytes), _MOST)
        block = max(1, min(_BLOCK // example_bytes, held // 64))
        return cls(size, batch_size, block, max(1, held // batch_size), seed)

    @property
    def lanes(self) -> int:
        """The number of shares of a window that are shuffled apart."""
        return math.gcd(self.batch_size, _LANES)

    @property
    def width(self) -> int:
        """The number of a batch's examples that come from one lane."""
        return self.batch_size // self.lanes

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        return self.size // self.batch_size

    def steps_of(self, window: int) -> int:
        """Returns how many steps of an epoch share the window of a number: the last one may have fewer."""
        return min(self.length, self.steps - window * self.length)

    def window_at(self, step: int) -> tuple[int, int]:
        """Returns the number of the epoch of a step, and that of its window in the epoch."""
        return step // self.steps, step % self.steps // self.length

    def lane(self, epoch: int, window: int, lane: int) -> Int[np.ndarray, " examples"]:
        """Returns the places in the data of a lane's examples in the order in which they are read: block by block.

        The epoch begins at a random example, so that none is always among those that no whole batch is left for, and
        takes the blocks from there in a random order.
        """
        count = self.steps_of(window) * self.width
        begin = window * self.length * self.batch_size + lane * count
        whole = self.size // self.block
        slots = np.arange(begin // self.block, (begin + count - 1) // self.block + 1)
        blocks = permuted(np.minimum(slots, whole - 1), whole, _words((*self._key(epoch), 1)))
        blocks = np.where(slots < whole, blocks, whole)
        # The examples of each block follow each other: from one to the next block the places jump.
        jumps = (blocks - slots) * self.block + int(_words((*self._key(epoch), 0))[0]) % self.size
        borders = np.clip(slots * self.block, begin, None), np.clip((slots + 1) * self.block, None, begin + count)
        places = np.arange(begin, begin + count) + np.repeat(jumps, borders[1] - borders[0])
        places[places >= self.size] -= self.size
        return places

    def shuffled(self, epoch: int, window: int, lane: int) -> Int[np.ndarray, "steps width"]:
        """Returns which of a lane's examples each step of a window takes."""
        steps = self.steps_of(window)
        # RandomState's streams are frozen for good; those of numpy.random.Generator may change.
        random = np.random.RandomState([*self._key(epoch), 2, window & 0xFFFFFFFF, window >> 32, lane])
        return random.permutation(steps * self.width).reshape(steps, self.width)

    def _key(self, epoch: int) -> tuple[int, ...]:
        return self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF, epoch


@lru_cache(maxsize=4)
def _words(key: tuple[int, ...]) -> Int[np.ndarray, " six"]:
    return np.random.RandomState(key).randint(0, 2**64, 6, np.uint64)


def permuted(place: Int[np.ndarray, " n"], size: int, words: Int[np.ndarray, " rounds"]) -> Int[np.ndarray, " n"]:
    """Returns where a random permutation of the numbers below `size` puts the given ones, without making all of it.

    A Feistel network permutes the numbers of an even number of bits; one that it puts beyond `size` is put again until
    it lies below (Black & Rogaway 2002, Ciphers with arbitrary finite domains, section 3). Its round function is the
    mixer of SplitMix64 (Steele, Lea & Flood 2014).

    Args:
        place: the numbers, from 0 to before `size`.
        size: how many numbers are permuted.
        words: a random word of 64 bits for each round, which together say which permutation it is.
    """
    half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    found = place.astype(np.uint64)
    beyond = np.ones(len(found), bool)
    while beyond.any():
        left, right = found[beyond] >> half, found[beyond] & mask
        for word in words:
            left, right = right, left ^ (_mixed(right + word) & mask)
        found[beyond] = left << half | right
        beyond = found >= size
    return found.astype(np.int64)


def _mixed(word: np.ndarray) -> np.ndarray:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
