"""Defines the detector of outliers."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import OutlierMixin

from aejax.core import InputError
from aejax.estimators._base import ExperimentEstimator


class AutoencoderDetector(OutlierMixin, ExperimentEstimator):
    """Detects outliers among rows, learned from rows of which some may be outliers, without labels.

    The score is the negative of `Trained.score`. In the default experiment it joins how far a denoising autoencoder's
    code of a row, and the row, lie from others (`aejax.metrics.Detector`); where an experiment has no detector it is
    the squared error of the reconstruction. As everywhere in scikit-learn, a lower score is more abnormal.

    The detector keeps up to 2,048 rows of training, which are their own nearest neighbours: they may score more normal
    than new rows like them, so that of those more than `contamination` may lie below the threshold.

    Args:
        experiment: the name of a registered experiment: see `aejax list`.
        contamination: the share of the training rows that `predict` calls outliers, above 0 and at most 0.5.
        n_components: the size of the code; None: the experiment's.
        steps: the number of training steps; None: the experiment's, or as many as its epochs take.
        batch_size: the number of rows in the batch of one step; None: the experiment's.
        learning_rate: the learning rate of the experiment's optimiser; None: the experiment's.
        settings: further settings by their paths, as `{"loss.corruption.scale": 1.0}`: see `aejax show NAME`. What
            they say counts more than the arguments above.
        example_shape: the shape in which a row's values are laid out, as `(28, 28, 1)` for convolutions; None: flat.
        random_state: the seed of weights, order and noise; None: another one at each fit.

    Attributes:
        trained_: the trained model, an `aejax.trained.Trained`.
        offset_: the score below which a row is an outlier.
        n_features_in_: the number of values of a row.
        feature_names_in_: the names of the columns, where the rows had any.
    """

    offset_: float

    def __init__(
        self,
        experiment: str = "dae-tabular",
        *,
        contamination: float = 0.1,
        n_components: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
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
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains on rows `[n, d]` of finite numbers, two at least, and sets the threshold by their scores.

        Args:
            X: the rows.
            y: not used.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for rows that cannot be used; an `InputError` for settings that cannot.
        """
        if not 0 < self.contamination <= 0.5:
            raise InputError(f"contamination is {self.contamination}: give a share above 0 and at most 0.5")
        super().fit(X)
        self.offset_ = float(np.percentile(self.score_samples(X), 100 * self.contamination))
        return self

    def score_samples(self, X: Any) -> Float[np.ndarray, " n"]:
        """Returns how normal each row is: the higher, the more like the training rows."""
        return -self._applied(lambda x: self.trained_.score(x), X).astype(np.float64)

    def decision_function(self, X: Any) -> Float[np.ndarray, " n"]:
        """Returns the scores less the threshold: below zero for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Int[np.ndarray, " n"]:
        """Returns -1 for outliers, and 1 for all other rows."""
        return np.where(self.decision_function(X) < 0, -1, 1)
