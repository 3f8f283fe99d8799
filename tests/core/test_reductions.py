"""What XLA computes on a CPU, where a version of it is known to go wrong: see `aejax/__init__.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("shape", [(2000, 4, 11), (2000, 2, 11), (600, 4, 40)])
def test_a_sum_of_products_that_is_used_beside_its_factors_is_right(shape):
    def rest(a, b):
        return b - jnp.sum(a * b, axis=-1, keepdims=True) * a

    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size).astype(np.float32) for size in ((1, *shape[1:]), shape))
    np.testing.assert_allclose(jax.jit(rest)(a, b), rest(a, b), atol=1e-4)


def test_a_product_with_a_matrix_that_is_squared_and_summed_is_right():
    x = np.stack([np.arange(32_769.0)] * 3, axis=1).astype(np.float32)
    found = jax.jit(jax.vmap(lambda row: jnp.sum(jnp.square(jnp.eye(3) @ row))))(x)
    np.testing.assert_allclose(found, 3 * np.arange(32_769.0) ** 2, rtol=1e-5)
