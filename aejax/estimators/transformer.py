"""Defines the transformer: rows to codes and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from aejax.core import Examples, InputError
from aejax.estimators._base import KINDS, ExperimentEstimator, in_chunks
from aejax.models import Autoencoder


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ExperimentEstimator):
    """Reduces rows to the codes of an autoencoder, and reconstructs rows from codes.

    A row's code is the mean of its posterior, and does not depend on the rows that are transformed with it. Codes are
    float32. Every fit trains anew on all rows; a batch is no larger than their number.

    Args:
        experiment: the name of a registered experiment: see `aejax list`.
        n_components: the size of the code; None: the experiment's.
        steps: the number of training steps; None: the experiment's, or as many as its epochs take.
        batch_size: the number of rows in the batch of one step; None: the experiment's.
        learning_rate: the learning rate of the experiment's optimiser; None: the experiment's.
        settings: further settings by their paths, as `{"model.encoder.hidden": [128], "data.preprocess": "scale"}`:
            see `aejax show NAME`. What they say counts more than the arguments above.
        example_shape: the shape in which a row's values are laid out, as `(28, 28, 1)` for convolutions; None: flat.
        random_state: the seed of weights, order and noise; None: another one at each fit.

    Attributes:
        trained_: the trained model, an `aejax.trained.Trained`.
        n_features_in_: the number of values of a row.
        feature_names_in_: the names of the columns, where the rows had any.
    """

    def __init__(
        self,
        experiment: str = "ae-tabular",
        *,
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

    def transform(self, X: Any) -> Float[np.ndarray, "n latent"]:
        """Returns the code of each row."""
        return self._applied(lambda x: self.trained_.encode(x), X)

    def inverse_transform(self, X: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, "n d"]:
        """Returns the row to which each code decodes, in the units of the rows of training.

        Raises `InputError` for codes of another size.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=KINDS)
        if codes.shape[1] != self._n_features_out:
            raise InputError(f"the codes have {codes.shape[1]} values, but those of this model {self._n_features_out}")
        rows = in_chunks(self.trained_.decode, codes)
        return rows.reshape(len(rows), -1)

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the share of the rows' variance that their reconstructions explain: the higher the better, at most 1.

        It is one minus the squared error over the squared distance from the rows' mean, both summed over rows and
        columns in the units that the model sees: of standardised columns each counts as much.

        Args:
            X: the rows.
            y: not used.
        """
        seen = self._applied(lambda x: self.trained_.apply(_values, x), X).astype(np.float64)
        error = float(self._applied(lambda x: self.trained_.score(x, "squared_error"), X).sum(dtype=np.float64))
        spread = float(((seen - seen.mean(axis=0)) ** 2).sum())
        return 1 - error / spread if spread else float(not error)

    @property
    def _n_features_out(self) -> int:
        """The size of the code, by which scikit-learn names its dimensions."""
        return self.trained_.experiment.model.latent.size

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _values(model: Autoencoder, batch: Examples) -> Float[Array, "batch values"]:
    """Returns the values of each example as the model sees it."""
    return batch.x.reshape(len(batch), -1)
