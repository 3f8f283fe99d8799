"""Codes indices by asymmetric numeral systems: the bits are those of their probabilities, but for a few a stream.

Duda 2013 (Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding), the variant by ranges. Several states, the lanes, take turns, so that a step codes as many indices
at once. A state is kept in [2^31, 2^63) by words of 32 bits, which lie on a stack: the encoder goes backwards, and the
decoder takes them off in the order of the positions.

    2 bytes   number of lanes, little-endian as all that follows
    8 bytes   the state of each lane
    the rest  words, 4 bytes each
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from aejax.trained._fixed_point import PRECISION

_LEAST, _WORD = np.uint64(2**31), np.uint64(32)

_BITS_A_LANE = 2**14
"""A lane costs 64 bits: there is one for so many bits of content, so that they are less than half a percent of it."""

_MOST_LANES = 64


def encode(starts: Int[np.ndarray, "positions n"], counts: Int[np.ndarray, "positions n"]) -> bytes:
    """Codes an index of each of `n` examples at each position.

    Args:
        starts: the sum of the frequencies of all lower indices.
        counts: the frequency of the index itself, of 2^24.
    """
    bits = float(np.sum(PRECISION - np.log2(counts)))
    lanes = int(np.clip(bits // _BITS_A_LANE, 1, _MOST_LANES))
    states, words = np.full(lanes, _LEAST), []
    for start, count in zip(starts[::-1].astype(np.uint64), counts[::-1].astype(np.uint64), strict=True):
        for rows in reversed(list(_groups(len(start), lanes))):
            base, frequency = start[rows], count[rows]
            state = states[: len(base)]
            over = state >= frequency << np.uint64(63 - PRECISION)
            words.append(state[over].astype(np.uint32))
            state[over] >>= _WORD
            state[:] = (state // frequency << np.uint64(PRECISION)) + state % frequency + base
    stack = np.concatenate([np.empty(0, np.uint32), *words])
    return np.asarray(lanes, "<u2").tobytes() + states.astype("<u8").tobytes() + stack.astype("<u4").tobytes()


class Decoder:
    """Takes indices off a stream, in the order of the positions."""

    def __init__(self, stream: bytes) -> None:
        """Reads the states and the words of a stream. Raises `ValueError` where it has none, as do `take` and `end`."""
        lanes = int(np.frombuffer(stream, "<u2", 1)[0])
        if not lanes:
            raise ValueError("a stream has no lanes")
        self._states = np.frombuffer(stream, "<u8", lanes, 2).astype(np.uint64)
        self._words = np.frombuffer(stream, "<u4", offset=2 + 8 * lanes).astype(np.uint64)
        self._left = len(self._words)

    def take(self, frequencies: Int[np.ndarray, "n codes"]) -> Int[np.ndarray, " n"]:
        """Returns the indices of `n` examples at the next position, whose frequencies are given."""
        ends = np.cumsum(frequencies, axis=1)
        index = np.empty(len(ends), np.int64)
        for rows in _groups(len(ends), len(self._states)):
            end, state = ends[rows], self._states[: min(len(self._states), len(ends) - rows.start)]
            slot = (state & np.uint64(2**PRECISION - 1)).astype(np.int64)
            chosen = np.sum(end <= slot[:, None], axis=1)
            places = np.arange(len(chosen))
            count = frequencies[rows][places, chosen]
            below = slot - (end[places, chosen] - count)
            state[:] = count.astype(np.uint64) * (state >> np.uint64(PRECISION)) + below.astype(np.uint64)
            under = state < _LEAST
            before, self._left = self._left, self._left - int(under.sum())
            if self._left < 0:
                raise ValueError("a stream ends too early")
            state[under] = state[under] << _WORD | self._words[self._left : before]
            index[rows] = chosen
        return index

    def end(self) -> None:
        """Checks that nothing is left: the states are what the encoder began with."""
        if self._left or (self._states != _LEAST).any():
            raise ValueError("a stream goes on")


def _groups(n: int, lanes: int) -> Iterator[slice]:
    """Yields the rows that are coded at once: the lanes take turns."""
    return (slice(start, min(start + lanes, n)) for start in range(0, n, lanes))
