"""Defines the loss of a classifier on codes."""

from dataclasses import field, replace

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from aejax.core import Examples, configurable
from aejax.losses.corruption import Clean, Corruption
from aejax.models import Classifier


@configurable
class CrossEntropy:
    """Measures the softmax cross-entropy of the labels in nats, and whether the answer is wrong."""

    corruption: Corruption = field(default_factory=Clean)
    """The corruption of the input in training; evaluation uses clean input."""

    def __call__(
        self, model: Classifier, batch: Examples, train: bool = False, step: Int[Array, ""] | None = None
    ) -> dict[str, Float[Array, " batch"]]:
        """Returns `loss_nats` and `error` (0 or 1) of each example.

        Args:
            model: the classifier, bound to its variables.
            batch: the examples with their labels.
            train: whether the model is being trained.
            step: not used.
        """
        assert batch.label is not None  # `aejax.evaluation.probes` refuses data without labels
        x = self.corruption(batch.x, model.make_rng("corruption")) if train else batch.x
        logits = model.classify(replace(batch, x=x), train)
        return {
            "loss_nats": optax.softmax_cross_entropy_with_integer_labels(logits, batch.label),
            "error": jnp.not_equal(jnp.argmax(logits, axis=1), batch.label).astype(jnp.float32),
        }
