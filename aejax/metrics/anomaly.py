"""Detects anomalies by a score for each example, which is higher for what is less like the training data.

Thresholds are chosen on scores of the validation part, whose examples all count as normal. An example whose score is
not a finite number is less like the training data than any other: its score is infinite, and it is always flagged.
"""

import math
from collections.abc import Callable
from dataclasses import field
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from aejax.core import Examples, InputError, configurable, static
from aejax.losses import Bernoulli, Likelihood, flat
from aejax.models import Autoencoder

Score = Literal["squared_error", "nats"]
"""The names of the scores, each summed over an example's values.

`squared_error` is that of the reconstruction, `nats` the negative log-likelihood.
"""


@configurable
class AnomalyScore:
    """Measures an example's distance from its own reconstruction, both as the model sees them; nothing is corrupted."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, which gives the decoder's output its meaning."""
    kind: Score = static(default="squared_error")
    """Which score is taken."""

    def __call__(self, model: Autoencoder, batch: Examples) -> Float[Array, " batch"]:
        """Returns the score of each example, reconstructed from its mean code; `model` is bound to its variables.

        Raises `InputError` where `kind` is not the name of a score.
        """
        if self.kind not in get_args(Score):
            raise InputError(f"the score is {self.kind!r}: give one of {', '.join(get_args(Score))}")
        raw = model.decode(model.encode(batch).mean, batch)
        if self.kind == "nats":
            return -self.likelihood.log_prob(batch.target, raw)
        return jnp.sum(jnp.square(flat(batch.target - self.likelihood.mean(raw, batch))), axis=1)


def as_scores(raw: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns scores with infinity for each that is not a finite number: NaN must not pass as normal."""
    return np.where(np.isfinite(raw), raw, np.asarray(np.inf, raw.dtype))


def flagged(scores: Float[np.ndarray, " n"], threshold: float) -> Bool[np.ndarray, " n"]:
    """Tells which examples count as anomalies: those above the threshold, and those without a finite score."""
    return (scores > threshold) | ~np.isfinite(scores)


def threshold_at_rate(normal: Float[np.ndarray, " n"], rate: float) -> float:
    """Returns the lowest of these scores that at most the share `rate` of them exceeds.

    `rate` is above 0 and below 1. Raises `InputError` for one that is too low for so few scores, as not one of them may
    exceed the threshold, and where more of them than that are not finite.
    """
    allowed = int(np.floor(rate * len(normal) + 1e-9))
    if allowed == 0:
        raise InputError(
            f"a false-positive rate of {rate:g} cannot be told from 0 with {len(normal)} validation examples: "
            f"give at least fpr={1 / max(len(normal), 1):.2g}, or hold out more of them"
        )
    return _finite(float(np.sort(as_scores(normal))[max(len(normal) - 1 - allowed, 0)]), normal)


def threshold_at_quantile(normal: Float[np.ndarray, " n"], quantile: float) -> float:
    """Returns the quantile of these scores, interpolated linearly between two of them.

    Between a finite and an infinite one it is the finite one. Raises `InputError` where it would be infinite.
    """
    scores = as_scores(normal)
    with np.errstate(invalid="ignore"):
        between = float(np.quantile(scores, quantile))
    lower = float(np.quantile(scores, quantile, method="lower"))
    return _finite(between if math.isfinite(between) else lower, normal)


def _finite(threshold: float, normal: Float[np.ndarray, " n"]) -> float:
    if not math.isfinite(threshold):
        bad = np.flatnonzero(~np.isfinite(normal))
        raise InputError(
            f"{len(bad)} of {len(normal)} validation examples have no finite score, the first is number {bad[0]}, so "
            "that no threshold lets the others pass: remove such examples, or train again on values of a usual size"
        )
    return threshold


Rule = Callable[[Float[np.ndarray, " n"]], float]
"""The type of a function from the scores of the validation part to a threshold."""

_RULES = {"fpr": threshold_at_rate, "quantile": threshold_at_quantile}


def parse_threshold(text: str) -> Rule:
    """Returns the rule that `fpr=RATE` or `quantile=Q` names. Raises `InputError` for any other text."""
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name not in _RULES or not 0 < value < 1:
        raise InputError(
            f"the threshold is {text!r}: give fpr=RATE or quantile=Q, a number between 0 and 1, as fpr=0.01"
        )
    return lambda normal: _RULES[name](normal, value)


def detection_metrics(scores: Float[np.ndarray, " n"], anomaly: Shaped[np.ndarray, " n"]) -> dict[str, float]:
    """Returns `auroc` and `average_precision` of the scores, where `anomaly` is 1 for an anomaly and 0 otherwise.

    AUROC is the probability that an anomaly scores above a normal example, ties counting half (Hanley & McNeil 1982);
    average precision sums precision over the steps of recall, without interpolation. A score that is not finite counts
    as the highest. Raises `InputError` unless both kinds are present.
    """
    from scipy.stats import rankdata
    from sklearn.metrics import average_precision_score, roc_auc_score

    if set(np.unique(anomaly)) != {0, 1}:
        raise InputError(f"the labels are {np.unique(anomaly)[:5]}: expected both 0 (normal) and 1 (anomaly)")
    ranks = rankdata(as_scores(scores))  # all that both depend on
    return {
        "auroc": float(roc_auc_score(anomaly, ranks)),
        "average_precision": float(average_precision_score(anomaly, ranks)),
    }
