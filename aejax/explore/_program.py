"""Writes a function as instructions that `interpreter.js` runs: the function's jaxpr, lowered to a few of them.

All shapes are known here, so that the interpreter knows none: what moves values without computing (a transpose, a
slice, a broadcast) becomes one instruction with strides, or none where the order in memory stays; calls are inlined;
products and convolutions are brought to one layout each.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from aejax.core import InputError
from aejax.explore._lowerings import LOWERED
from aejax.explore._writer import Arrays, Value, Writer

_CALLS = {"jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "core_call", "checkpoint", "remat2"}


def write(what: str, function: Callable[..., Any], arrays: Arrays, variables: Any, *inputs: Any) -> dict[str, Any]:
    """Writes `function(variables, *inputs)` as a program.

    Args:
        what: what it is, for a message: the encoder, the decoder.
        function: returns an array or a tuple of arrays.
        arrays: where the program's arrays are added.
        variables: a pytree of arrays, which become part of the program.
        inputs: the shape and type of each further argument.

    Returns:
        The program as JSON: see `interpreter.js`.

    Raises:
        InputError: for an operation that the interpreter does not have.
    """
    closed = jax.make_jaxpr(function)(variables, *inputs)
    writer = Writer(what, arrays)
    leaves = jax.tree.leaves(variables)
    own = [writer.constant(np.asarray(leaf)) for leaf in leaves]
    given = [writer.new(aval.shape, aval.dtype.name) for aval in closed.in_avals[len(leaves) :]]
    results = _inlined(
        writer, closed.jaxpr, [writer.constant(np.asarray(value)) for value in closed.consts], own + given
    )
    return writer.program(given, results)


def _inlined(writer: Writer, jaxpr: Any, consts: list[Value], inputs: list[Value]) -> list[Value]:
    """Adds the instructions of a jaxpr, with those of the functions that it calls, and returns its results."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Value:
        if isinstance(atom, Literal):
            kind: Any = atom.aval
            return writer.constant(np.asarray(atom.val, kind.dtype))
        return known[atom]

    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        given = [read(atom) for atom in equation.invars]
        inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
        if name in _CALLS and inner is not None:
            closed = getattr(inner, "jaxpr", inner)
            values = [writer.constant(np.asarray(each)) for each in getattr(inner, "consts", ())]
            found = _inlined(writer, closed, values, given)
        elif name in LOWERED:
            outs = [(out.aval.shape, out.aval.dtype.name) for out in equation.outvars]
            found = LOWERED[name](writer, given, outs, params)
        else:
            raise InputError(
                f"the {writer.what} uses the operation {name!r}, which a page cannot run: leave it out of the model, "
                "or use the model in Python"
            )
        known.update(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
