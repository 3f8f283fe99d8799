"""Makes forward passes by hand, for tests of terms of a loss."""

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import Examples
from aejax.losses import Bernoulli
from aejax.losses.terms import Forward
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, Normal, Plain, VariationalAutoencoder
from aejax.models.distributions import Point


def passed(mean, scale=None, code=None, step=None, key=0):
    """Makes a forward pass whose posterior and code are given.

    Args:
        mean: the means of the posterior [batch, latent].
        scale: its scale; None: the posterior is the points `mean` themselves.
        code: the code that was drawn; None: a draw from the posterior.
        step: the step of training; None: none.
        key: the seed of the draws.
    """
    mean = jnp.asarray(mean, jnp.float32)
    posterior = Point(mean) if scale is None else Normal(mean, jnp.broadcast_to(jnp.float32(scale), mean.shape))
    latent = (Plain if scale is None else GaussianLatent)(mean.shape[1])
    model = VariationalAutoencoder(MLPEncoder(), latent, MLPDecoder()).bind({}, rngs={"latent": jax.random.key(key)})
    code = posterior.sample(jax.random.key(key)) if code is None else jnp.asarray(code, jnp.float32)
    density = None if scale is None else posterior.log_prob(code)
    batch = Examples(jnp.zeros((len(mean), 3)))
    step = None if step is None else jnp.int32(step)
    return Forward(model, batch, batch, posterior, code, batch.x, Bernoulli(), step=step, log_posterior=density)


def of_pass(function, mean, scale=None, code=None, **options):
    """Calls `function(forward)` with the pass that `passed` makes of the rest, compiled as one program."""
    arrays = (None if array is None else np.asarray(array, np.float32) for array in (mean, scale, code))
    return jax.jit(lambda *arrays: function(passed(*arrays, **options)))(*arrays)


def posteriors(batch, size, seed=0):
    """Returns means and scales of normal posteriors, and codes drawn from them, each [batch, size] in float64."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=(batch, size)), rng.uniform(0.2, 1.5, (batch, size))
    return mean, scale, mean + scale * rng.normal(size=(batch, size))
