"""Defines the detector as one of PyOD's, where a higher score is more abnormal: `pip install "aejax[pyod]"`."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from aejax.core import import_extra
from aejax.estimators.detector import AutoencoderDetector

try:
    from pyod.models.base import BaseDetector
except ImportError:  # the class is there without PyOD too, and says what it needs when one is made
    BaseDetector = object


class AutoencoderOD(BaseDetector):
    """Is `AutoencoderDetector` under PyOD's contract: scores rise with abnormality, and outliers have the label 1.

    Args:
        contamination: the share of the training rows that are called outliers, above 0 and at most 0.5; or a threshold
            of PyThresh.
        experiment: the name of a registered experiment: see `aejax list`.
        n_components: the size of the code; None: the experiment's.
        steps: the number of training steps; None: the experiment's, or as many as its epochs take.
        batch_size: the number of rows in the batch of one step; None: the experiment's.
        learning_rate: the learning rate of the experiment's optimiser; None: the experiment's.
        settings: further settings by their paths: see `AutoencoderDetector`.
        example_shape: the shape in which a row's values are laid out, as `(28, 28, 1)` for convolutions; None: flat.
        random_state: the seed of weights, order and noise; None: another one at each fit.

    Attributes:
        detector_: the fitted `AutoencoderDetector`.
        decision_scores_: the score of each training row.
        threshold_: the score above which a row is an outlier.
        labels_: the label of each training row, 1 for outliers and 0 for all others.
    """

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        experiment: str = "dae-tabular",
        n_components: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        settings: Mapping[str, Any] | None = None,
        example_shape: tuple[int, ...] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        import_extra("pyod.models.base", "pyod")
        super().__init__(contamination=contamination)
        self.experiment = experiment
        self.n_components = n_components
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.settings = settings
        self.example_shape = example_shape
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains on rows, scores them, and sets threshold and labels by the contamination.

        Args:
            X: the rows `[n, d]` of finite numbers, two at least.
            y: labels, of which PyOD counts the classes; nothing is learned from them.
        """
        self._set_n_classes(y)
        own = {name: value for name, value in self.get_params(deep=False).items() if name != "contamination"}
        self.detector_ = AutoencoderDetector(**own).fit(X)
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: Any) -> Float[np.ndarray, " n"]:
        """Returns how abnormal each row is: the higher, the less like the training rows."""
        check_is_fitted(self, "detector_")
        return -self.detector_.score_samples(X)
