import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from aejax.core import Examples
from aejax.data import Binarise, Scale, StaticBinarise
from aejax.losses import Bernoulli, Categorical, Gaussian, Loss
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.metrics import AnomalyScore, ReconstructionError, is_mass, per_value
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEY = jax.random.key(0)
MEANS = {
    Bernoulli(): expit,
    Gaussian(2.0): lambda raw: raw,
    GaussianLearnedScale(): lambda raw: raw[..., 0],
}


@pytest.mark.parametrize("likelihood", MEANS)
def test_the_squared_error_is_summed_over_values_in_data_space(likelihood):
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(), likelihood.raw_shape((4, 4, 1)))
    part = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (5, 4, 4, 1)), jnp.float32))
    measure = ReconstructionError(likelihood)
    variables = compiled.init(measure, model, {"params": jax.random.key(0)}, part)
    values, _ = compiled.apply(measure, model, variables, {}, part)
    raw, _ = compiled.apply(lambda model: model.decode(model.encode(part).mean, part), model, variables, {})
    error = np.asarray(part.x) - MEANS[likelihood](np.asarray(raw))
    np.testing.assert_allclose(values["squared_error"], (error**2).reshape(5, -1).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("mass", [True, False])
def test_figures_per_value_carry_their_unit(mass):
    metrics = {"loss_nats": 90.0, "reconstruction_nats": 48.0 * np.log(2), "squared_error": 12.0}
    bits = {"reconstruction_bits_per_dim": 1.0} if mass else {}
    expected = {"reconstruction_nats_per_pixel": np.log(2), "squared_error_per_pixel": 0.25} | bits
    assert per_value(metrics, (4, 4, 3), mass) == pytest.approx(expected)


def test_only_what_was_measured_is_derived():
    assert per_value({"loss_nats": 1.0}, (5,), True) == {}
    assert per_value({"squared_error": 10.0}, (5,), True) == {"squared_error_per_value": 2.0}


GREY, BLACK = np.arange(12, dtype=np.uint8).reshape(3, 4), 255 * np.eye(3, 4, dtype=np.uint8)


@pytest.mark.parametrize(
    ("likelihood", "preprocess", "part", "mass"),
    [
        (Gaussian(), Scale(), Examples(GREY), False),  # a density of values, here of 256 levels that lie apart
        (GaussianLearnedScale(), Scale(), Examples(BLACK), False),
        (Categorical(), Scale(), Examples(GREY), True),
        (Bernoulli(), Scale(), Examples(GREY), False),
        (Bernoulli(), Scale(), Examples(BLACK), True),
        (Bernoulli(), Scale(), Examples(np.eye(3, dtype=np.float32)), True),
        (Bernoulli(), Scale(), Examples(BLACK, y=np.full((3, 4), 0.5, np.float32)), False),
        (Bernoulli(), Binarise(), Examples(GREY), True),
        (Bernoulli(), StaticBinarise(), Examples(GREY), True),
        (Bernoulli(), Binarise(), Examples(GREY, y=np.full((3, 4), 0.5, np.float32)), False),
    ],
)
def test_bits_are_those_of_likelihoods_that_are_masses(likelihood, preprocess, part, mass):
    assert is_mass(likelihood, preprocess, part) is mass


@pytest.mark.parametrize("measured", ["squared_error", "nats", "reconstruction_nats"])
def test_errors_are_taken_to_the_target(measured):
    x, y = (jnp.asarray(np.random.default_rng(seed).uniform(0, 1, (5, 4)), jnp.float32) for seed in (0, 1))
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(), shape=(4,))
    variables = compiled.init(Loss(), model, dict.fromkeys(("params", "latent", "corruption"), KEY), Examples(x))
    measure = {
        "squared_error": lambda model, batch: AnomalyScore(Bernoulli())(model, batch),
        "nats": lambda model, batch: AnomalyScore(Bernoulli(), "nats")(model, batch),
        "reconstruction_nats": lambda model, batch: Loss()(model, batch)["reconstruction_nats"],
    }[measured]
    keys = {"latent": KEY, "corruption": KEY}
    decoded = lambda model, batch: model.decode(model.encode(batch).mean, batch)  # noqa: E731
    raw, _ = compiled.apply(decoded, model, variables, {}, Examples(x))
    got, _ = compiled.apply(measure, model, variables, keys, Examples(x, y=y))
    error = np.square(np.asarray(y) - 1 / (1 + np.exp(-np.asarray(raw)))).sum(axis=1)
    nats = -np.asarray(jax.jit(Bernoulli().log_prob)(y, raw))
    np.testing.assert_allclose(got, error if measured == "squared_error" else nats, rtol=1e-5)
