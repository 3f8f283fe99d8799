"""A model in training as `aejax.fit` runs it, for benchmarks: one compiled call an epoch, the data on the device."""

from typing import Any

import jax
import numpy as np

from aejax import devices
from aejax.data import Part, Scale
from aejax.optim import Adam
from aejax.pytree import as_arrays
from aejax.trained import example


class Training:
    """Trains `model` on the rows of a .npy file by Adam at 1e-3; `model` knows its output's shape."""

    def __init__(self, model: Any, loss: Any, path: str, batch: int) -> None:
        self.model, self.batch, self.key = model, batch, jax.random.key(0)
        self.loss, self.optimizer = as_arrays((loss, Adam(horizon=1.0)))
        self.part = jax.device_put(Part(np.load(path)))
        self.state = devices.init(model, self.loss, self.optimizer, example(self.part.x.shape[1:]), self.key)

    def epoch(self) -> None:
        """One pass over the data, waited for."""
        settings = (self.model, self.loss, self.optimizer, Scale(), self.state, self.part, self.key)
        self.state, metrics = devices.epoch(*settings, batch_size=self.batch)
        jax.block_until_ready(metrics)

    def mean(self, measure: Any, name: str, part: Part, batch_size: int) -> float:
        """The mean over `part` of what a measure names so."""
        settings = (self.model, (measure,), Scale(), self.state, part, self.key)
        metric = devices.evaluate(*settings, batch_size=batch_size)[name]
        return float(metric.sum.sum() / metric.count.sum())
