"""What a variational autoencoder's bound is made of, how much of its code it uses, and how likely it holds examples.

The parts of the rate follow Hoffman & Johnson 2016 (ELBO surgery), section 2: mutual information of
example and code, and the divergence of the aggregate posterior q(z) from the prior; Chen et al. 2018,
equation 2, divide the latter further where the prior's dimensions are independent. q(z) mixes the
posteriors of the part that is measured, so that no mutual information is above the log of their number.
"""

import logging
from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from aejax import devices, figures
from aejax.data import Dataset, Part
from aejax.experiment import Experiment
from aejax.keys import Stream, derive
from aejax.losses import KL, Bernoulli, Likelihood, Loss, Reconstruction
from aejax.losses.aggregate import mixed
from aejax.metrics.likelihood import NegativeLogLikelihood, bits_per_dim
from aejax.metrics.mean import means
from aejax.models import GaussianLatent, HierarchicalLatent, Latent, Normal, StandardNormal, VariationalAutoencoder
from aejax.progress import track
from aejax.pytree import as_arrays, configurable
from aejax.trained import CHUNK, Trained

ACTIVE = 0.01
"""A unit is active where the variance of its posterior mean is above this: Burda et al. 2016, section 5.1."""
MOST_CODES = 1000
"""Codes at which q(z) is asked for, of examples spread evenly over the part; all its posteriors make up q(z)."""
IMAGES = 100
"""Examples whose likelihood is estimated at once: Ctrl-C waits for so many."""

log = logging.getLogger("aejax")


@configurable
class Bound:
    """The negative evidence lower bound in its two parts, every weight 1, and the posterior that it rests on."""

    likelihood: Likelihood = field(default_factory=Bernoulli)

    def __call__(self, model: VariationalAutoencoder, batch: Part) -> dict[str, Float[Array, "batch *latent"]]:
        """In nats of each example; `mean`, `code` and, of a normal posterior, `scale` have an axis of latents."""
        forward = Loss(self.likelihood).forward(model, batch)
        distortion, rate = Reconstruction()(forward), KL()(forward)
        terms = {"negative_elbo_nats": distortion + rate, "distortion_nats": distortion, "rate_nats": rate}
        scale = {"scale": forward.posterior.scale} if isinstance(forward.posterior, Normal) else {}
        prior = {"prior": model.prior_log_prob(forward.code)}
        return terms | prior | {"mean": forward.posterior.mean, "code": forward.code} | scale


def suits(experiment: Experiment) -> bool:
    """Whether it is a variational autoencoder whose latent has a density."""
    model = experiment.model
    return isinstance(model, VariationalAutoencoder) and isinstance(model.latent, GaussianLatent | HierarchicalLatent)


def measure(trained: Trained, part: Part) -> dict[str, float]:
    """The bound's parts, active units, and the parts of the rate; warns of a posterior that has collapsed."""
    values = outputs(trained, part)
    metrics = {name: float(value.mean(dtype=np.float64)) for name, value in values.items() if name.endswith("_nats")}
    active = active_units(values["mean"])
    if 10 * active.sum() < len(active):
        log.warning(
            "posterior collapse: %d of %d latent dimensions vary with the example (variance of the posterior mean "
            "above %g): a lower weight of the rate, a warm-up of it or free bits may help",
            active.sum(),
            len(active),
            ACTIVE,
        )
    metrics |= {"active_units": float(active.sum())} | _by_layer(active, trained.experiment.model.latent)
    if "scale" in values:
        metrics |= rate_parts(values, factorial=isinstance(trained.experiment.model.prior, StandardNormal))
    return metrics


def estimate(trained: Trained, part: Part, samples: int) -> dict[str, float]:
    """The negative log-likelihood by so many importance samples of each example, in nats and bits per dimension."""
    experiment = trained.experiment
    likelihood, preprocess = as_arrays((experiment.loss.likelihood, trained.preprocess))
    negative, placed = NegativeLogLikelihood(likelihood, samples), trained.place(part)
    found = []
    for start in track(range(0, len(part), IMAGES), f"likelihood, {samples} samples"):
        some = placed.take(np.arange(start, min(start + IMAGES, len(part))))
        key = derive(jax.random.key(experiment.seed), Stream.EVALUATION, start)
        metrics = devices.evaluate(experiment.model, (negative,), preprocess, trained.state, some, key, len(some))
        found.append(jax.device_get(metrics))
    nats = means(jax.tree.map(lambda *leaves: np.concatenate(leaves), *found))[negative.name]
    return {negative.name: nats, negative.name.replace("_nats", "_bits_per_dim"): bits_per_dim(nats, trained.shape)}


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """How much each latent dimension is used by the test part."""
    values = outputs(trained, dataset.test)
    rate = None
    if "scale" in values and isinstance(trained.experiment.model.prior, StandardNormal):
        posteriors = Normal(jnp.asarray(values["mean"]), jnp.asarray(values["scale"]))
        rate = np.asarray(posteriors.kl_to_standard().mean(axis=0))
    return {"latent_units": figures.latent_units(values["mean"].var(axis=0), ACTIVE, rate)}


def outputs(trained: Trained, part: Part) -> dict[str, Float[np.ndarray, "n *latent"]]:
    """What `Bound` says of each example of the part."""
    likelihood, preprocess = as_arrays((trained.experiment.loss.likelihood, trained.preprocess))
    key, size = jax.random.key(trained.experiment.seed), min(CHUNK, len(part))
    model, measures, placed = trained.experiment.model, (Bound(likelihood),), trained.place(part)
    values, _ = devices.outputs(model, measures, preprocess, trained.state, placed, key, size)
    return {name: np.asarray(value).reshape(-1, *value.shape[2:])[: len(part)] for name, value in values.items()}


def active_units(mean: Float[np.ndarray, "n latent"]) -> np.ndarray:
    """Which dimensions' posterior means vary with the example."""
    return mean.var(axis=0, dtype=np.float64) > ACTIVE


def rate_parts(values: dict[str, Float[np.ndarray, "n *latent"]], factorial: bool) -> dict[str, float]:
    """The parts of the rate by at most `MOST_CODES` codes, as which they add up to it, in nats.

    `mutual_information` and `marginal_kl`, KL(q(z) || p(z)); of the latter, with a factorial prior,
    `total_correlation` and `dimension_kl`.
    """
    mean, scale, code = (jnp.asarray(values[name]) for name in ("mean", "scale", "code"))
    chosen = np.linspace(0, len(code) - 1, min(MOST_CODES, len(code))).round().astype(int)
    own = Normal(mean[chosen], scale[chosen]).log_prob(code[chosen])
    aggregate, marginals = _mixed(code[chosen], Normal(mean, scale))
    prior = values["prior"][chosen]
    parts = {"mutual_information": own - aggregate, "marginal_kl": aggregate - prior}
    if factorial:
        parts |= {"total_correlation": aggregate - marginals, "dimension_kl": marginals - prior}
    return {f"{name}_nats": float(np.asarray(part).mean(dtype=np.float64)) for name, part in parts.items()}


def _by_layer(active: np.ndarray, latent: Latent) -> dict[str, float]:
    """Active units of each layer, the lowest first, where there are several."""
    if not isinstance(latent, HierarchicalLatent):
        return {}
    layers = np.split(active, np.cumsum(latent.sizes)[:-1])
    return {f"active_units_layer_{number}": float(layer.sum()) for number, layer in enumerate(layers, 1)}


@jax.jit
def _mixed(code: Float[Array, "codes latent"], posteriors: Normal) -> Any:
    """`mixed` with all posteriors alike, one code after the other: memory for one code's pairs."""
    even = jnp.full((1, len(posteriors.mean)), -jnp.log(len(posteriors.mean)))
    joint, marginals = jax.lax.map(lambda z: mixed(z[None], posteriors, even), code)
    return joint[:, 0], marginals[:, 0]
