"""The factors of variation behind a data set: its labels number their combinations."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from aejax.core import InputError


@dataclass(frozen=True)
class Factors:
    """Named factors and how many values each has; a label counts their combinations, the last factor fastest."""

    sizes: dict[str, int]

    def __len__(self) -> int:
        """The number of combinations."""
        return int(np.prod(list(self.sizes.values())))

    def values(self, label: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n factors"]:
        """The value of each factor, counted from 0, behind each label. Raises `InputError` for labels beyond them."""
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
"""By the name of the data set."""
