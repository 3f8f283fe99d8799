"""Summarises in one pass over a part how each unit of a code is used, and by which examples most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from aejax.core import CHUNK, Examples
from aejax.trained import Trained

BINS = 32
"""Number of bins of a unit's histogram, a power of two."""

_MOST_VALUES = 2**24
"""The most values of codes that are held at once."""


@dataclass
class UnitUse:
    """Counts how each unit is used; what it holds does not depend on how the examples were cut into chunks.

    A unit's strength for an example is the absolute value of its code, and it is active where that is above a
    threshold.
    """

    examples: int
    """Number of examples that were looked at."""
    active: Int[np.ndarray, " units"]
    """Number of examples for which each unit is active."""
    total: Float[np.ndarray, " units"]
    """The sum of each unit's strengths over these."""
    value: Float[np.ndarray, "units most"]
    """The codes of the examples for which each unit is strongest, the strongest first; 0 where there are fewer."""
    row: Int[np.ndarray, "units most"]
    """The numbers of these examples; -1 where there are fewer. Of equal strengths the first example comes first."""
    counts: Int[np.ndarray, "units bins"]
    """How many of the strengths lie in each of `BINS` bins of equal width, from 0 to `end`."""
    end: Float[np.ndarray, " units"]
    """The least power of two above all strengths of a unit; 0 of one that was never active."""

    @classmethod
    def empty(cls, units: int, most: int) -> "UnitUse":
        """Returns what is known before any example.

        Args:
            units: the number of units.
            most: how many examples are kept for each unit.
        """
        row, counts = np.full((units, most), -1), np.zeros((units, BINS), int)
        return cls(0, np.zeros(units, int), np.zeros(units), np.zeros((units, most)), row, counts, np.zeros(units))

    def add(self, code: Float[np.ndarray, "n units"], threshold: float = 0.0) -> None:
        """Adds the codes of the next examples, whose numbers go on from those before.

        Args:
            code: the codes.
            threshold: the strength above which a unit is active.
        """
        row, unit = np.nonzero(np.abs(code) > threshold)
        value = code[row, unit].astype(np.float64)
        self._count(unit, np.abs(value))
        self._rank(unit, value, row + self.examples)
        self.examples += len(code)

    def _count(self, unit: Int[np.ndarray, " k"], strength: Float[np.ndarray, " k"]) -> None:
        units = len(self.active)
        self.active += np.bincount(unit, minlength=units)
        self.total += np.bincount(unit, strength, minlength=units)
        largest = np.zeros(units)
        np.maximum.at(largest, unit, strength)
        needed = np.where(largest > 0, np.ldexp(1.0, np.frexp(largest)[1]), 0)
        # Two bins become one each time that the end doubles: so the counts are those of bins of the final width.
        for grown in np.flatnonzero(needed > self.end):
            if self.end[grown]:
                factor = int(min(needed[grown] / self.end[grown], BINS))
                self.counts[grown] = np.bincount(np.arange(BINS) // factor, self.counts[grown], minlength=BINS)
            self.end[grown] = needed[grown]
        place = unit * BINS + (strength / self.end[unit] * BINS).astype(int)
        self.counts += np.bincount(place, minlength=units * BINS).reshape(units, BINS)

    def _rank(self, unit: Int[np.ndarray, " k"], value: Float[np.ndarray, " k"], row: Int[np.ndarray, " k"]) -> None:
        most = self.value.shape[1]
        worth = np.abs(value) > np.abs(self.value[unit, -1])
        unit, value, row = unit[worth], value[worth], row[worth]
        order = np.lexsort((-np.abs(value), unit))
        unit, value, row = unit[order], value[order], row[order]
        touched, first, which = np.unique(unit, return_index=True, return_inverse=True)
        rank = np.arange(len(unit)) - first[which]
        best = rank < most
        values, rows = np.zeros((len(touched), most)), np.full((len(touched), most), -1)
        values[which[best], rank[best]], rows[which[best], rank[best]] = value[best], row[best]
        values = np.concatenate([self.value[touched], values], axis=1)
        rows = np.concatenate([self.row[touched], rows], axis=1)
        kept = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :most]  # of equal ones those of before
        self.value[touched] = np.take_along_axis(values, kept, axis=1)
        self.row[touched] = np.take_along_axis(rows, kept, axis=1)


def unit_use(trained: Trained, part: Examples, most: int, threshold: float = 0.0) -> UnitUse:
    """Takes a part through a model, some examples at a time, and keeps what each unit does.

    Args:
        trained: the trained model.
        part: the examples, which may be on disk.
        most: how many examples are kept for each unit.
        threshold: the absolute value of a code above which a unit is active.
    """
    units = trained.experiment.model.latent.size
    use, size = UnitUse.empty(units, most), _size(units)
    for start in range(0, len(part), size):
        few = part.take(np.arange(start, min(start + size, len(part)))).read()
        use.add(trained.encode(few.x, few.label), threshold)
    return use


def codes_at(
    trained: Trained, part: Examples, row: Int[np.ndarray, " k"], unit: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """Returns the code of one unit for one example, for each of many pairs of the two.

    Args:
        trained: the trained model.
        part: the examples, which may be on disk.
        row: the number of the example in each pair.
        unit: the number of the unit in each pair.
    """
    rows, place = np.unique(row, return_inverse=True)
    codes, size = np.empty(len(row)), _size(trained.experiment.model.latent.size)
    for start in range(0, len(rows), size):
        few = part.take(rows[start : start + size]).read()
        here = (place >= start) & (place < start + size)
        codes[here] = trained.encode(few.x, few.label)[place[here] - start, unit[here]]
    return codes


def _size(units: int) -> int:
    """Returns how many examples are encoded at once, a power of two."""
    return min(CHUNK, 1 << max(0, (_MOST_VALUES // units).bit_length() - 1))
