"""Whoever writes a convolution, its gradients are those of JAX, in the layout that is fast inside a loop on a CPU."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from aejax.core import linen  # noqa: F401 - importing it is what is tested

LAYERS = {
    "plain": nn.Conv(4, (3, 3)),
    "strided": nn.Conv(4, (3, 3), strides=2),
    "valid": nn.Conv(4, (4, 2), strides=(1, 3), padding="VALID"),
    "dilated": nn.Conv(4, (3, 3), kernel_dilation=2),
    "depthwise": nn.Conv(8, (3, 3), feature_group_count=4),
    "circular": nn.Conv(4, (3, 3), padding="CIRCULAR"),
    "transposed": nn.ConvTranspose(4, (4, 4), strides=(2, 2)),
    "transposed kernel": nn.ConvTranspose(4, (3, 3), strides=(2, 2), transpose_kernel=True),
}
FORM = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


def gradients(layer):
    def loss(variables, x):
        return jnp.sum(jnp.sin(layer.apply(variables, x)))

    return jax.grad(loss, argnums=(0, 1))


def layouts(function, platform, *args):
    text = jax.jit(function).trace(*args).lower(lowering_platforms=(platform,)).as_text()
    return [
        line.split("dim_numbers = ")[1].split(", window")[0] for line in text.splitlines() if "convolution(" in line
    ]


def begun(layer):
    x = jax.random.normal(jax.random.key(0), (3, 8, 9, 4))
    return jax.jit(layer.init)(jax.random.key(1), x), x


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layout_is_the_one_that_has_a_fast_kernel_inside_a_loop(layer):
    found = layouts(gradients(layer), "cpu", *begun(layer))
    assert len(found) == 3
    assert set(found) == {FORM}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_an_accelerator_gets_what_jax_writes(platform):
    layer = LAYERS["strided"]
    args = jax.eval_shape(lambda x: layer.init(jax.random.key(0), x), jnp.ones((2, 8, 8, 3))), jnp.ones((2, 8, 8, 3))
    found = layouts(gradients(layer), platform, *args)
    assert len(found) == 3
    assert set(found) != {FORM}


@pytest.mark.parametrize("name", ["strided", "valid", "dilated", "depthwise", "transposed kernel"])
def test_its_gradient_is_the_slope_of_the_loss(name):
    layer = LAYERS[name]
    variables, x = begun(layer)

    @jax.jit
    def both(variables, x):
        slopes = gradients(layer)(variables, x)
        size = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(slopes)))

        def loss(along):
            moved = jax.tree.map(lambda a, b: a + along * b / size, (variables, x), slopes)
            return jnp.sum(jnp.sin(layer.apply(*moved)))

        return size, (loss(0.02) - loss(-0.02)) / 0.04

    size, slope = both(variables, x)
    np.testing.assert_allclose(slope, size, rtol=1e-2)


@pytest.mark.parametrize("name", ["strided", "depthwise", "transposed"])
def test_it_is_differentiated_forwards_and_twice_and_mapped_over_members(name):
    layer = LAYERS[name]
    variables, x = begun(layer)

    def output(x):
        return jnp.sum(jnp.sin(layer.apply(variables, x)))

    tangent = jnp.cos(x)
    forward = jax.jit(lambda x: jax.jvp(output, (x,), (tangent,))[1])(x)
    backward = jax.jit(lambda x: jnp.vdot(jax.grad(output)(x), tangent))(x)
    np.testing.assert_allclose(forward, backward, rtol=1e-3, atol=1e-4)

    # Members of a population have kernels of their own.
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), variables)
    mapped = jax.jit(jax.vmap(gradients(layer), in_axes=(0, None)))(several, x)
    for index in range(2):
        alone = jax.jit(gradients(layer))(jax.tree.map(lambda leaf, index=index: leaf[index], several), x)
        for ours, theirs in zip(jax.tree.leaves(mapped), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(ours[index], theirs, rtol=1e-3, atol=1e-3)

    curvature = jax.jit(lambda x: jax.jvp(jax.grad(output), (x,), (tangent,))[1])(x)
    slope = jax.jit(lambda x: (jax.grad(output)(x + 0.01 * tangent) - jax.grad(output)(x - 0.01 * tangent)) / 0.02)(x)
    np.testing.assert_allclose(curvature, slope, rtol=5e-2, atol=2e-2)


@pytest.mark.parametrize("axes", [("NCHW", "OIHW", "NCHW"), ("CNWH", "HOIW", "HWNC")])
def test_other_layouts_are_transposed_and_compute_the_same(axes):
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (3, 8, 9, 4)), jax.random.normal(keys[1], (3, 2, 4, 5))
    strides, padding = {"H": 2, "W": 1}, {"H": (1, 0), "W": (2, 1)}

    def convolve(axes):
        space = [axis for axis in axes[1] if axis in "HW"]  # in the order of the kernel's
        turned = [
            array.transpose([letters.index(axis) for axis in to])
            for array, letters, to in zip((x, kernel), ("NHWC", "HWIO"), axes[:2], strict=True)
        ]
        y = lax.conv_general_dilated(
            *turned, [strides[axis] for axis in space], [padding[axis] for axis in space], dimension_numbers=axes
        )
        return y.transpose([axes[2].index(axis) for axis in "NHWC"])

    np.testing.assert_allclose(convolve(axes), convolve(("NHWC", "HWIO", "NHWC")), rtol=1e-5, atol=1e-5)
