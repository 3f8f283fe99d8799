"""Defines the density that a variational autoencoder learns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from aejax.core import InputError
from aejax.estimators._base import ExperimentEstimator
from aejax.experiment import Experiment
from aejax.metrics import NegativeLogLikelihood
from aejax.models import require


class VAEDensity(DensityMixin, ExperimentEstimator):
    """Estimates the density of rows by a variational autoencoder, and draws new rows from it.

    The log-density is estimated by importance sampling of codes (Burda et al. 2016, equation 8), which on average is
    too low, the less so the more samples. All rows share the noise of the codes, so that a row's estimate depends
    on nothing but the row.

    Args:
        experiment: the name of a registered experiment whose model has a prior: see `aejax list`.
        n_components: the size of the code; None: the experiment's.
        steps: the number of training steps; None: the experiment's, or as many as its epochs take.
        batch_size: the number of rows in the batch of one step; None: the experiment's.
        learning_rate: the learning rate of the experiment's optimiser; None: the experiment's.
        samples: the number of codes by which the density of a row is estimated.
        settings: further settings by their paths, as `{"loss.likelihood.minimum": 0.1}`: see `aejax show NAME`. What
            they say counts more than the arguments above.
        example_shape: the shape in which a row's values are laid out, as `(28, 28, 1)` for convolutions; None: flat.
        random_state: the seed of weights, order and noise; None: another one at each fit.

    Attributes:
        trained_: the trained model, an `aejax.trained.Trained`.
        n_features_in_: the number of values of a row.
        feature_names_in_: the names of the columns, where the rows had any.
    """

    def __init__(
        self,
        experiment: str = "vae-tabular",
        *,
        n_components: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        samples: int = 100,
        settings: Mapping[str, Any] | None = None,
        example_shape: tuple[int, ...] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        super().__init__(
            experiment,
            n_components=n_components,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            settings=settings,
            example_shape=example_shape,
            random_state=random_state,
        )
        self.samples = samples

    def score_samples(self, X: Any) -> Float[np.ndarray, " n"]:
        """Returns the log-density of each row in nats, in the units of the rows of training.

        For a likelihood of grey levels or of binary values it is the logarithm of a mass. Values that the
        preprocessing clips count as what they are clipped to.
        """
        return self._applied(lambda x: self.trained_.log_prob(x, samples=self.samples), X).astype(np.float64)

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the mean log-density of the rows, in nats a row: what `GridSearchCV` compares.

        Args:
            X: the rows.
            y: not used.
        """
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> Float[np.ndarray, "n d"]:
        """Draws rows: codes from the prior, and values from the likelihood that they decode to.

        Args:
            n_samples: the number of rows.
            random_state: the seed of the draws; None: other rows at each call.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        rows = self.trained_.sample(n_samples, seed=seed, draw=True)
        return rows.reshape(len(rows), -1)

    def _chosen(self) -> Experiment:
        """Returns the experiment. Raises `InputError` where no density can be had of it."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}: give at least 1")
        experiment = super()._chosen()
        require(NegativeLogLikelihood(samples=self.samples), experiment.model)
        return experiment
