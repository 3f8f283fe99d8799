"""Forward passes made by hand, for tests of terms."""

import jax
import jax.numpy as jnp
import numpy as np

from aejax.losses import Bernoulli
from aejax.losses.terms import Forward
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, Normal, Plain, VariationalAutoencoder
from aejax.models.distributions import Point


def passed(mean, scale=None, code=None, step=None, key=0):
    """A pass that inferred normals of this mean and scale (none: the points themselves) and drew this code."""
    mean = jnp.asarray(mean, jnp.float32)
    posterior = Point(mean) if scale is None else Normal(mean, jnp.broadcast_to(jnp.float32(scale), mean.shape))
    latent = (Plain if scale is None else GaussianLatent)(mean.shape[1])
    model = VariationalAutoencoder(MLPEncoder(), latent, MLPDecoder()).bind({}, rngs={"latent": jax.random.key(key)})
    code = posterior.sample(jax.random.key(key)) if code is None else jnp.asarray(code, jnp.float32)
    x = jnp.zeros((len(mean), 3))
    return Forward(model, x, x, posterior, code, x, Bernoulli(), step=None if step is None else jnp.int32(step))


def posteriors(batch, size, seed=0):
    """Means, scales and codes drawn from them, as float64."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=(batch, size)), rng.uniform(0.2, 1.5, (batch, size))
    return mean, scale, mean + scale * rng.normal(size=(batch, size))
