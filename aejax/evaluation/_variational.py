"""Measures the parts of a variational autoencoder's bound, its use of the code, and the likelihood of examples.

The parts of the rate follow Hoffman & Johnson 2016 (ELBO surgery), section 2: the mutual information of
example and code, and the KL divergence of the aggregate posterior q(z) from the prior. Chen et al. 2018,
equation 2, divide the latter further where the prior's dimensions are independent. q(z) is the mixture of the
posteriors of the part that is measured, so that the mutual information is at most the log of their number.
"""

import dataclasses
import logging

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax import devices
from aejax.core import CHUNK, Examples, Stream, as_arrays, derive, means
from aejax.data import Dataset
from aejax.evaluation import _shown, figures
from aejax.evaluation._progress import track
from aejax.experiment import Experiment
from aejax.losses import KL, Reconstruction
from aejax.metrics import (
    ACTIVE,
    Bound,
    NegativeLogLikelihood,
    active_units,
    at_ceiling,
    bits_per_dim,
    is_mass,
    rate_parts,
)
from aejax.models import Latent, Normal, traits
from aejax.trained import Trained

IMAGES = 100
"""Number of examples whose likelihood is estimated at once: Ctrl-C takes effect between two such batches."""

log = logging.getLogger("aejax")


def suits(experiment: Experiment) -> bool:
    """Tells whether the model is a variational autoencoder whose posterior has a density."""
    return {traits.PRIOR, traits.DENSITY} <= {*experiment.model.meets}


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the parts of the bound and of the rate, in nats, and the number of active units, on a part.

    Of a top-down hierarchy the rate of each layer stands in place of active units. It logs a warning where fewer than a
    tenth of the units are active, or a layer has no rate: the posterior has collapsed.
    """
    values = outputs(trained, part)
    own = [name for name in values if name.endswith("_nats") and name not in _measured_as_terms(trained.experiment)]
    metrics = {name: float(values[name].mean(dtype=np.float64)) for name in own}
    if is_mass(trained.experiment.loss.likelihood, trained.preprocess, part):
        metrics["negative_elbo_bits_per_dim"] = bits_per_dim(metrics["negative_elbo_nats"], trained.shape)
    if len(part) < 2:
        log.warning("one example was measured: active units, which say how codes vary over examples, are not counted")
        return metrics
    if traits.TOP_DOWN in trained.experiment.model.meets:  # whose lower layers vary with those above them in any case
        _warn_of_collapsed_layers(metrics)
        return metrics
    active = active_units(values["mean"], prior_deviation(trained))
    if 10 * active.sum() < len(active):
        log.warning(
            "posterior collapse: %d of %d latent dimensions vary with the example (variance of the posterior mean "
            "above %g): a lower weight of the rate, a warm-up of it or free bits may help",
            active.sum(),
            len(active),
            ACTIVE * prior_deviation(trained) ** 2,
        )
    metrics |= {"active_units": float(active.sum())} | _by_layer(active, trained.experiment.model.latent)
    if "scale" in values:
        metrics |= rate_parts(values, factorial=_standard(trained))
    for name, ceiling in at_ceiling(metrics, len(part)).items():
        log.warning(
            "%s is %.3f, and cannot be above %.3f, the log of the %d examples that were measured: the codes may tell "
            "more, which only more examples would show",
            name,
            metrics[name],
            ceiling,
            len(part),
        )
    return metrics


def _warn_of_collapsed_layers(metrics: dict[str, float]) -> None:
    rates = {name.split("_")[2]: value for name, value in metrics.items() if name.startswith("rate_layer_")}
    if collapsed := [number for number, rate in rates.items() if rate < ACTIVE]:
        log.warning(
            "posterior collapse: of the layers of the code, the lowest first, %s says nothing of the image (rate below "
            "%g nats): a lower weight of the rate, a warm-up of it or free bits may help",
            ", ".join(collapsed),
            ACTIVE,
        )


def estimate(trained: Trained, part: Examples, samples: int) -> dict[str, float]:
    """Estimates the negative log-likelihood of a part by importance sampling, in nats.

    It is also given in bits per dimension where the likelihood gives masses: see `metrics.is_mass`.

    Args:
        trained: the trained model.
        part: the examples.
        samples: the number of importance samples of each example.
    """
    experiment = trained.experiment
    likelihood, preprocess = as_arrays((experiment.loss.likelihood, trained.preprocess))
    negative, placed = NegativeLogLikelihood(likelihood, samples), trained.place(part)
    found = []
    for start in track(range(0, len(part), IMAGES), f"likelihood, {samples} samples"):
        some = _take(placed, np.arange(start, min(start + IMAGES, len(part))))
        key = derive(jax.random.key(experiment.seed), Stream.EVALUATION, start)
        metrics = devices.evaluate(experiment.model, (negative,), preprocess, trained.used, some, key, len(some))
        found.append(jax.device_get(metrics))
    nats = means(jax.tree.map(lambda *leaves: np.concatenate(leaves), *found))[negative.name]
    if not is_mass(experiment.loss.likelihood, trained.preprocess, part):
        return {negative.name: nats}
    return {negative.name: nats, negative.name.replace("_nats", "_bits_per_dim"): bits_per_dim(nats, trained.shape)}


_take = jax.jit(Examples.take)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws how much the test part uses each latent dimension, where each is drawn by itself."""
    if traits.TOP_DOWN in trained.experiment.model.meets:
        return {}
    values = outputs(trained, dataset.test)
    rate = None
    if "scale" in values and _standard(trained):
        each = jax.jit(lambda mean, scale: Normal(mean, scale).kl_to_standard())(values["mean"], values["scale"])
        rate = np.asarray(each).mean(axis=0)
    title = f"Use of latent dimensions by {_shown.counted(dataset.test, dataset.test)}"
    least = ACTIVE * prior_deviation(trained) ** 2
    return {"latent_units": figures.latent_units(values["mean"].var(axis=0), least, rate, title=title)}


def outputs(trained: Trained, part: Examples) -> dict[str, Float[np.ndarray, "n *latent"]]:
    """Returns what `Bound` measures of each example of a part, as arrays by name."""
    likelihood, preprocess = as_arrays((trained.experiment.loss.likelihood, trained.preprocess))
    key, size = jax.random.key(trained.experiment.seed), min(CHUNK, len(part))
    model, measures, placed = trained.experiment.model, (Bound(likelihood),), trained.place(part)
    values, _ = devices.outputs(model, measures, preprocess, trained.used, placed, key, size)
    return {name: np.asarray(value).reshape(-1, *value.shape[2:])[: len(part)] for name, value in values.items()}


def _measured_as_terms(experiment: Experiment) -> set[str]:
    """Returns the parts of the bound that are terms of the loss too, which measures them under the terms' names."""
    if not experiment.loss.corruption.clean:
        return set()
    terms = {
        name: dataclasses.replace(term, weight=1.0, warmup_steps=0.0) for name, term in experiment.loss.terms.items()
    }
    same = {"distortion_nats": ("reconstruction", Reconstruction()), "rate_nats": ("kl", KL())}
    return {part for part, (name, term) in same.items() if terms.get(name) == term}


def _standard(trained: Trained) -> bool:
    return traits.STANDARD_NORMAL in trained.experiment.model.meets


def prior_deviation(trained: Trained) -> float:
    """Returns the standard deviation of a dimension by which the use of codes is judged."""
    model = trained.experiment.model
    assert model.prior is not None  # `suits` says so
    return model.prior.deviation(model.latent.size)


def _by_layer(active: np.ndarray, latent: Latent) -> dict[str, float]:
    """Counts the active units of each stochastic layer, the lowest first, where there are several."""
    if not latent.sizes:
        return {}
    layers = np.split(active, np.cumsum(latent.sizes)[:-1])
    return {f"active_units_layer_{number}": float(layer.sum()) for number, layer in enumerate(layers, 1)}
