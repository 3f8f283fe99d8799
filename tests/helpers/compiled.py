"""Models in tests, compiled as one program: op by op, each operation of each shape is a program of its own."""

import jax

from aejax import core
from aejax.core import linen


def init(function, model, keys, *args):
    """`linen.init_variables`, compiled."""
    return _compiled(lambda keys, *args: linen.init_variables(function, model, keys, *args))(keys, *args)


def apply(function, model, variables, keys, *args, mutable=False):
    """`core.apply`, compiled."""

    def run(variables, keys, *args):
        return core.apply(function, model, variables, keys, *args, mutable=mutable)

    return _compiled(run)(variables, keys, *args)


def _compiled(function):
    """With flags and what is None as they are: a model's `train` is no array."""

    def call(*args):
        fixed = {place: value for place, value in enumerate(args) if value is None or isinstance(value, bool)}

        def of_arrays(*arrays):
            left = iter(arrays)
            return function(*(fixed[place] if place in fixed else next(left) for place in range(len(args))))

        return jax.jit(of_arrays)(*(value for place, value in enumerate(args) if place not in fixed))

    return call
