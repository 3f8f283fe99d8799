from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from aejax.models._convolution import Convolution, convolve

CASES = [
    # height, kernel, stride, padding, dilation
    (28, 3, 2, (0, 1), 1),
    (7, 3, 2, (1, 1), 1),
    (7, 3, 1, (2, 1), 2),
    (5, 4, 1, (2, 2), 2),
    (9, 5, 3, (1, 2), 1),
    (8, 2, 3, (0, 0), 1),  # a last row that no window reaches
]


def plain(x, kernel, stride, padding, dilation):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, padding, (dilation,) * 2, dimension_numbers=numbers)


@pytest.mark.parametrize(("height", "size", "stride", "pad", "dilation"), CASES)
def test_its_gradients_are_those_of_lax(height, size, stride, pad, dilation):
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape) for shape in ((3, height, height + 1, 2), (size, size, 2, 4)))
    how = (stride, (pad, pad), dilation)
    made = jax.eval_shape(lambda x, kernel: plain(x, kernel, *how), *(jnp.asarray(each) for each in (x, kernel)))
    cotangent = rng.normal(size=made.shape)

    @partial(jax.jit, static_argnums=0)
    def pulled(function, x, kernel, cotangent):
        value, pull = jax.vjp(lambda x, kernel: function(x, kernel, *how), x, kernel)
        return value, pull(cotangent)

    (expected, pull), (value, ours) = (pulled(function, x, kernel, cotangent) for function in (plain, convolve))
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(ours, pull, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "stride", "dilation"), [(28, 14, 2, 1), (7, 4, 2, 1), (4, 7, 1, 2), (14, 28, 1, 2)]
)
def test_it_makes_an_image_of_the_size_asked_for(old, new, stride, dilation):
    layer = Convolution(3, (new, new), stride=stride, dilation=dilation)
    value, _ = jax.eval_shape(lambda x: layer.init_with_output(jax.random.key(0), x), jnp.zeros((2, old, old, 1)))
    assert value.shape == (2, new, new, 3)


def convolutions(function, platform):
    """Lowers the gradient of a sum of squares, and returns how each of its convolutions is written."""

    def loss(kernel, x):
        return jnp.sum(function(x, kernel, 2, ((1, 1), (1, 1)), 1) ** 2)

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))
    traced = grads.trace(jnp.ones((3, 3, 2, 4)), jnp.ones((2, 8, 8, 2)))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    found = [line.split("dim_numbers = ")[1] for line in text.splitlines() if "convolution(" in line]
    assert len(found) == 3  # the forms for other platforms are not in the program
    return found


def test_every_layout_is_the_one_that_has_a_fast_kernel_inside_a_loop():
    layouts = {layout.split(", window")[0] for layout in convolutions(convolve, "cpu")}
    assert layouts == {"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_an_accelerator_gets_the_gradients_that_jax_derives(platform):
    assert convolutions(convolve, platform) == convolutions(plain, platform)
    assert convolutions(convolve, platform) != convolutions(convolve, "cpu")
