import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from aejax import core
from aejax.core import Adam, Examples, InputError, as_arrays
from aejax.losses import Bernoulli, Gaussian, Loss, NegativeBinomial, Reconstruction
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.models import Autoencoder, LogCounts, MLPDecoder, MLPEncoder, Plain, SharedDispersion, require

MODEL = Autoencoder(LogCounts(MLPEncoder((4,))), Plain(2), SharedDispersion(MLPDecoder((4,))))


def started(model, likelihood, x):
    loss, optimizer = as_arrays((Loss(likelihood, {"reconstruction": Reconstruction()}), Adam(horizon=1.0)))
    model = model.resolve(x.shape[1:], likelihood.raw_shape(x.shape[1:]))
    batch = Examples(jnp.asarray(x, jnp.float32))
    sample = batch if model.primes else None
    return model, jax.jit(lambda key: core.init(model, loss, optimizer, batch, key, sample).params)(jax.random.key(0))


def test_the_dispersion_is_one_parameter_of_each_value_and_the_same_for_any_code():
    x = np.random.default_rng(0).poisson(3, (5, 2, 3, 1))
    model, params = started(MODEL, NegativeBinomial(zero_inflated=True), x)
    shapes = {name: leaf.shape for name, leaf in flatten_dict(params, sep="/").items()}
    assert shapes["decoder/dispersion"] == (2, 3, 1)
    assert shapes["decoder/decoder/out/kernel"] == (4, 12)
    params["decoder"]["dispersion"] += np.arange(6.0).reshape(2, 3, 1)
    code = jax.random.normal(jax.random.key(1), (4, 2))
    raw = model.apply({"params": params}, code, Examples(code), method="decode")
    np.testing.assert_array_equal(raw[..., 2], np.broadcast_to(np.arange(6.0).reshape(1, 2, 3, 1), (4, 2, 3, 1)))
    assert len(np.unique(raw[..., 0])) == len(np.unique(raw[..., 1])) == 24


def test_the_encoder_gets_the_logarithm_of_one_more_than_the_counts():
    x = jnp.asarray([[0, 3, 1e4]], jnp.float32)
    inner = MLPEncoder((4,))
    params = inner.init(jax.random.key(0), x)["params"]
    made = LogCounts(inner).apply({"params": {"encoder": params}}, x)
    np.testing.assert_allclose(made, inner.apply({"params": params}, jnp.log1p(x)), rtol=1e-6)
    assert np.isfinite(LogCounts(inner).apply({"params": {"encoder": params}}, -x)).all()


def test_a_decoder_that_starts_at_the_mean_gives_the_mean_shares_at_first():
    x = np.random.default_rng(0).poisson([2, 5, 9], (50, 3))
    model, params = started(MODEL.clone(decoder=SharedDispersion(MLPDecoder(start="mean"))), NegativeBinomial(), x)
    batch = Examples(jnp.asarray(x.mean(0, keepdims=True), jnp.float32))
    raw = model.apply({"params": params}, jnp.zeros((1, 2)), batch, method="decode")
    np.testing.assert_allclose(NegativeBinomial().mean(raw, batch), batch.x, rtol=1e-5)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian()])
def test_a_likelihood_without_a_dispersion_is_refused(likelihood):
    require(MODEL.decoder, MODEL, Loss(GaussianLearnedScale()))
    with pytest.raises(InputError, match=r"SharedDispersion needs a last raw parameter .* use negative-binomial"):
        require(MODEL.decoder, MODEL, Loss(likelihood))
