"""Lowers every convolution for a CPU in the one layout that XLA's CPU compiler has a fast kernel for.

That compiler brings the layouts of convolutions into this form by itself, but not inside the body of a loop, where the
steps of an epoch are: there the gradients that JAX derives of a convolution ran ten to thirty times slower. So the
transposes are written out when a program is lowered, whoever wrote the layer: `flax.linen.Conv`, `ConvTranspose`, a
call of `jax.lax`, or a derivative of any of them. What is computed is the same, and other platforms are not concerned.

JAX has no public name for the rule that is replaced. Where a version of JAX has moved it, nothing is replaced: the
numbers are the same then, and a warning says that convolutions are slow.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.interpreters import mlir


def _lower(rule: Callable[..., Any], context: Any, *operands: Any, dimension_numbers: Any, **settings: Any) -> Any:
    """Lowers one convolution by `rule`, after the transposes that bring it into batch, space, channels."""
    axes = len(dimension_numbers.lhs_spec)
    image, kernel = (0, axes - 1, *range(1, axes - 1)), (axes - 1, axes - 2, *range(axes - 2))
    one_form = lax.ConvDimensionNumbers(image, kernel, image)
    if dimension_numbers == one_form:
        return rule(context, *operands, dimension_numbers=dimension_numbers, **settings)

    def transposed(x: jax.Array, weights: jax.Array) -> jax.Array:
        x = x.transpose(_channels_last(dimension_numbers.lhs_spec))
        outputs, inputs, *space = dimension_numbers.rhs_spec
        weights = weights.transpose((*space, inputs, outputs))
        y = lax.conv_general_dilated_p.bind(x, weights, dimension_numbers=one_form, **settings)
        return y.transpose(np.argsort(_channels_last(dimension_numbers.out_spec)))

    return mlir.lower_fun(transposed, multiple_results=False)(context, *operands)


def _channels_last(spec: Sequence[int]) -> tuple[int, ...]:
    """Returns the axes of an image in the order batch, space, channels; `spec` has the channels second."""
    batch, channels, *space = spec
    return (batch, *space, channels)


def _replace() -> None:
    try:
        from jax._src.interpreters.mlir import _platform_specific_lowerings as lowerings

        rule = lowerings["cpu"][lax.conv_general_dilated_p].rule
    except (ImportError, KeyError, AttributeError):
        warnings.warn(
            f"jax {jax.__version__} lowers convolutions in a way that aejax does not know: their gradients are slow "
            "on a CPU",
            stacklevel=2,
        )
        return
    mlir.register_lowering(
        lax.conv_general_dilated_p, lambda *args, **settings: _lower(rule, *args, **settings), platform="cpu"
    )


_replace()
