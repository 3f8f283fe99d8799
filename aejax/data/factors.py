"""Describes the factors of variation of a data set whose labels number their combinations."""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from aejax.core import InputError


@dataclass(frozen=True)
class Factors:
    """Holds the names of the factors, and how many values each has.

    A label numbers the combinations of values from 0, and the value of the last factor changes fastest.
    """

    sizes: dict[str, int]

    def __len__(self) -> int:
        """Returns the number of combinations."""
        return int(np.prod(list(self.sizes.values())))

    def values(self, label: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n factors"]:
        """Returns the value of each factor, counted from 0, for each label: `[n, factors]`.

        Raises `InputError` for labels that number no combination.
        """
        if len(label) and not 0 <= label.min() <= label.max() < len(self):
            raise InputError(
                f"the labels run from {label.min()} to {label.max()}, but there are {len(self)} combinations of "
                f"{', '.join(self.sizes)}: give labels that number them from 0"
            )
        return np.stack(np.unravel_index(label, tuple(self.sizes.values())), axis=1)


FACTORS = {
    "sprites": Factors({"shape": 3, "scale": 6, "rotation": 10, "x": 16, "y": 16}),
    # Matthey et al. 2017; named as TFDS names its labels
    "tfds:dsprites": Factors(
        {
            "label_shape": 3,
            "label_scale": 6,
            "label_orientation": 40,
            "label_x_position": 32,
            "label_y_position": 32,
        }
    ),
}
"""The factors of the data sets for which they are known, by the data set's name without a version."""


def factors_of(name: str) -> Factors | None:
    """Returns the factors of the data set with that name, which may end in a version; None where none are known."""
    return FACTORS.get(re.sub(r":[\d.*]+$", "", name))
