"""Trains a model for benchmarks as `aejax.fit` does: one compiled call for an epoch, with the data on the device."""

from typing import Any

import jax
import numpy as np

from aejax import devices
from aejax.core import BUFFER, Adam, Examples
from aejax.data import Data, Dataset, Scale
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.training import source_for


class Training:
    """Trains a model on the examples in a .npy file by Adam, on one device.

    Args:
        model: the model.
        loss: its loss.
        path: the .npy file.
        batch: the batch size.
        optimizer: the settings of Adam, if others than its defaults.
    """

    def __init__(self, model: Any, loss: Any, path: str, batch: int, **optimizer: float) -> None:
        x = np.load(path)
        self.experiment = Experiment(model, loss, Data(path), Adam(**optimizer), batch).resolve_for(
            x.shape[1:], len(x) // batch
        )
        parallel = Parallel(devices=1).resolve(self.experiment)
        self.program = Program.of(self.experiment, Scale(), parallel)
        dataset = Dataset(path, Examples(x), Examples(x[:0]), Examples(x[:0]))
        self.source = source_for(self.experiment, dataset, Scale(), parallel, BUFFER)
        self.part, self.loss = jax.device_put(Examples(x)), self.program.loss
        self.state, self.metrics, self.step = parallel.place(self.program.init(x.shape[1:])), None, 0

    def epoch(self, times: int = 1) -> None:
        """Trains one epoch or several, and waits for the last one; no metrics are read."""
        for _ in range(times):
            for batches in self.source.batches(self.step, self.step + self.source.steps):
                self.state, self.metrics = self.program.train(self.state, batches)
            self.step += self.source.steps
        jax.block_until_ready((self.state, self.metrics))

    def mean(self, measure: Any, name: str, part: Examples, batch_size: int) -> float:
        """Returns the mean over a part of one metric of a measure.

        Args:
            measure: the measure.
            name: the metric's name.
            part: the examples.
            batch_size: the number of examples that are measured at once.
        """
        settings = (self.program.model, (measure,), Scale(), self.state, part, self.program.key)
        metric = devices.evaluate(*settings, batch_size=batch_size)[name]
        return float(metric.sum.sum() / metric.count.sum())
