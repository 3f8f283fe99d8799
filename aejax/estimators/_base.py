"""Holds what the estimators have in common: their settings, how they train, and how rows go through the model."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aejax import training
from aejax.core import Examples, InputError, Stopped
from aejax.data import Dataset
from aejax.experiment import Experiment, get, vary
from aejax.trained import Trained

ROWS = 256
"""Number of rows that go through the model at once: always as many, so that no row's result depends on the others."""

KINDS = (np.float64, np.float32)
"""The types of numbers that are taken as they are; all others become the first."""

_PATHS = {
    "n_components": "model.latent.size",
    "steps": "steps",
    "batch_size": "batch_size",
    "learning_rate": "optimizer.learning_rate",
}
"""The setting of the experiment that each argument of a constructor stands for."""


class ExperimentEstimator(BaseEstimator):
    """Is an estimator whose model is that of a registered experiment; None leaves a setting as it is there."""

    trained_: Trained

    def __init__(
        self,
        experiment: str,
        *,
        n_components: int | None,
        steps: int | None,
        batch_size: int | None,
        learning_rate: float | None,
        settings: Mapping[str, Any] | None,
        example_shape: tuple[int, ...] | None,
        random_state: int | np.random.RandomState | None,
    ) -> None:
        self.experiment = experiment
        self.n_components = n_components
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.settings = settings
        self.example_shape = example_shape
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains on rows `[n, d]` of finite numbers, two at least.

        Args:
            X: the rows.
            y: not used.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for rows that cannot be used; an `InputError` for settings that cannot, and of a density for an
                experiment whose model has none.
        """
        x = validate_data(self, X, dtype=KINDS, ensure_min_samples=2)
        rows = self._laid_out(x)
        chosen = self._chosen()
        chosen = dataclasses.replace(chosen, batch_size=min(chosen.batch_size, len(x))).on_arrays()
        part, none = Examples(rows), Examples(rows[:0])
        try:
            self.trained_ = training.train(chosen, Dataset(chosen.data.name, part, none, none)).for_use
        except Stopped as stopped:  # which a search would take for a failed candidate, and go on
            raise KeyboardInterrupt from stopped
        return self

    def _chosen(self) -> Experiment:
        """Returns the registered experiment with the settings that were given, and the seed."""
        given = {path: getattr(self, name) for name, path in _PATHS.items() if getattr(self, name) is not None}
        experiment = vary(get(self.experiment), given | dict(self.settings or {}))
        state = self.random_state
        drawn = state if isinstance(state, Integral) else check_random_state(state).randint(2**31 - 1)
        return dataclasses.replace(experiment, seed=int(drawn))

    def _laid_out(self, x: np.ndarray) -> np.ndarray:
        """Returns rows in the shape of an example. Raises `InputError` where they have other numbers of values."""
        if self.example_shape is None:
            return x
        if math.prod(self.example_shape) != x.shape[1]:
            raise InputError(
                f"example_shape is {tuple(self.example_shape)}, but the rows have {x.shape[1]} values: give a shape "
                "of as many"
            )
        return x.reshape(len(x), *self.example_shape)

    def _applied(self, function: Callable[[np.ndarray], np.ndarray], X: Any) -> np.ndarray:
        """Applies a function of examples to rows, `ROWS` at a time; the last one stands in for those that are missing.

        Raises `NotFittedError` before `fit`, and `ValueError` for rows that are not like those of training.
        """
        check_is_fitted(self)
        x = self._laid_out(validate_data(self, X, dtype=KINDS, reset=False))
        return in_chunks(function, x)


def in_chunks(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Applies a function to `ROWS` rows at a time, the last of which are copies of the last row."""
    chunks = (x[start : start + ROWS] for start in range(0, len(x), ROWS))
    made = [function(_filled(chunk))[: len(chunk)] for chunk in chunks]
    return np.concatenate(made)


def _filled(chunk: np.ndarray) -> np.ndarray:
    return np.concatenate([chunk, np.repeat(chunk[-1:], ROWS - len(chunk), axis=0)])
