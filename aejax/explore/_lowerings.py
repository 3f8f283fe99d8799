"""Lowers each of JAX's operations to instructions of `interpreter.js`, whose shapes and strides are known."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aejax.core import InputError
from aejax.explore._writer import TYPES, Shape, Value, Writer, plain, row_major

Out = tuple[Shape, str]
Lowering = Callable[[Writer, list[Value], list[Out], dict[str, Any]], list[Value]]

LOWERED: dict[str, Lowering] = {}
"""What writes each operation, by its name."""


def _lowers(*names: str) -> Callable[[Lowering], Lowering]:
    def register(function: Lowering) -> Lowering:
        LOWERED.update(dict.fromkeys(names, function))
        return function

    return register


def _is_float(dtype: str) -> bool:
    return TYPES[dtype] == "f4"


def _elementwise(op: str) -> Lowering:
    """Returns what writes an operation on values one by one, broadcast along axes of size 1 as jaxprs have them."""

    def lower(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
        shape, dtype = outs[0]
        return [writer.made(op, [writer.spread(value, shape) for value in given], shape, dtype)]

    return lower


_ONE_BY_ONE = (
    "abs neg sign floor ceil exp exp2 log log1p expm1 sqrt rsqrt cbrt logistic tanh sin cos tan asin acos atan sinh "
    "cosh asinh acosh atanh erf square is_finite add sub mul rem max min pow atan2 eq ne lt le gt ge and or xor clamp"
)
LOWERED.update({name: _elementwise(name) for name in _ONE_BY_ONE.split()})


@_lowers("div")
def _div(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    return _elementwise("div" if _is_float(outs[0][1]) else "quotient")(writer, given, outs, params)


@_lowers("not")
def _not(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    return _elementwise("not" if outs[0][1] == "bool" else "invert")(writer, given, outs, params)


@_lowers("integer_pow")
def _integer_pow(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    power = writer.constant(np.asarray(params["y"], np.float32))
    return _elementwise("pow")(writer, [*given, power], outs, params)


@_lowers("round")
def _round(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    even = int(params["rounding_method"]) == 1
    return _elementwise("round_even" if even else "round_away")(writer, given, outs, params)


@_lowers("select_n")
def _select(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    which, result, *others = given
    for number, other in enumerate(others, 1):
        chosen = which
        if len(others) > 1:
            (chosen,) = _elementwise("eq")(
                writer, [which, writer.constant(np.asarray(number, np.int32))], [(which.shape, "bool")], {}
            )
        (result,) = _elementwise("select")(writer, [chosen, result, other], outs, {})
    return [result]


@_lowers("convert_element_type")
def _convert(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    (shape, dtype), (value,) = outs[0], given
    if value.dtype == dtype or (TYPES[value.dtype], value.dtype != "bool") == (TYPES.get(dtype), dtype != "bool"):
        return [Value(value.buffer, value.shape, dtype)]
    return [writer.made("nonzero" if dtype == "bool" else "copy", given, shape, dtype)]


@_lowers("reshape", "squeeze", "stop_gradient", "copy", "reduce_precision", "device_put")
def _same(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    return [Value(value.buffer, shape, value.dtype) for value, (shape, _) in zip(given, outs, strict=True)]


@_lowers("transpose")
def _transpose(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    return [writer.transposed(given[0], params["permutation"])]


@_lowers("broadcast_in_dim")
def _broadcast(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    value, (shape, _) = given[0], outs[0]
    strides = [0] * len(shape)
    own = row_major(value.shape)
    for axis, place in enumerate(params["broadcast_dimensions"]):
        strides[place] = 0 if value.shape[axis] == 1 else own[axis]
    return [writer.view(value, shape, strides)]


@_lowers("slice")
def _slice(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    own = row_major(given[0].shape)
    steps = params["strides"] or [1] * len(own)
    strides = [stride * step for stride, step in zip(own, steps, strict=True)]
    offset = sum(start * stride for start, stride in zip(params["start_indices"], own, strict=True))
    return [writer.view(given[0], outs[0][0], strides, offset)]


@_lowers("rev")
def _rev(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    own, shape = row_major(given[0].shape), given[0].shape
    strides = [-stride if axis in params["dimensions"] else stride for axis, stride in enumerate(own)]
    offset = sum(own[axis] * (shape[axis] - 1) for axis in params["dimensions"])
    return [writer.view(given[0], shape, strides, offset)]


@_lowers("split")
def _split(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    own = row_major(given[0].shape)
    starts = np.cumsum([0, *params["sizes"]])[:-1].tolist()
    return [
        writer.view(given[0], shape, own, start * own[params["axis"]])
        for start, (shape, _) in zip(starts, outs, strict=True)
    ]


@_lowers("concatenate")
def _concatenate(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    (shape, dtype), axis = outs[0], params["dimension"]
    strides = row_major(shape)
    starts = np.cumsum([0, *(value.shape[axis] for value in given)])[:-1].tolist()
    pieces = [(value.shape, strides, start * strides[axis]) for value, start in zip(given, starts, strict=True)]
    return [writer.made("place", given, shape, dtype, pieces=pieces)]


@_lowers("stack")
def _stack(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    (shape, dtype), axis = outs[0], params["axis"]
    strides = row_major(shape)
    others = [stride for place, stride in enumerate(strides) if place != axis]
    pieces = [(value.shape, others, number * strides[axis]) for number, value in enumerate(given)]
    return [writer.made("place", given, shape, dtype, pieces=pieces)]


@_lowers("pad")
def _pad(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    value, filler = given
    config = params["padding_config"]
    full = [
        max(low, 0) + max(size + (size - 1) * inner, 0) + max(high, 0)
        for size, (low, high, inner) in zip(value.shape, config, strict=True)
    ]
    own = row_major(full)
    strides = [stride * (1 + inner) for stride, (_, _, inner) in zip(own, config, strict=True)]
    offset = sum(max(low, 0) * stride for (low, _, _), stride in zip(config, own, strict=True))
    placed = writer.made("place", [value, filler], full, value.dtype, pieces=[(value.shape, strides, offset)])
    cut = sum(max(-low, 0) * stride for (low, _, _), stride in zip(config, own, strict=True))
    return [writer.view(placed, outs[0][0], own, cut)]


@_lowers("iota")
def _iota(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    shape, dtype = outs[0]
    axis = params["dimension"]
    return [writer.made("iota", [], shape, dtype, inner=row_major(shape)[axis], count=shape[axis])]


def _reduction(op: str) -> Lowering:
    def lower(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
        value, _ = writer.last(given[0], params["axes"])
        return [writer.made("reduce", [value], *outs[0], by=op)]

    return lower


for _name in ("sum", "max", "min", "prod", "and", "or"):
    LOWERED[f"reduce_{_name}"] = _reduction(_name)
LOWERED |= {"argmin": _reduction("argmin"), "argmax": _reduction("argmax")}


def _accumulation(op: str) -> Lowering:
    def lower(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
        value, order = writer.last(given[0], [params["axis"]])
        inner = given[0].shape[params["axis"]]
        made = writer.made("accumulate", [value], value.shape, value.dtype, by=op, inner=inner, back=params["reverse"])
        return [writer.transposed(made, np.argsort(order).tolist())]

    return lower


for _name in ("sum", "max", "min", "prod"):
    LOWERED[f"cum{_name}"] = _accumulation(_name)


@_lowers("dot_general")
def _dot(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    """Brings both factors to `[batch, rows, inner]` and `[batch, inner, columns]`."""
    one, other = given
    (ours, theirs), (batch, their_batch) = params["dimension_numbers"]
    free = [axis for axis in range(len(one.shape)) if axis not in (*ours, *batch)]
    their_free = [axis for axis in range(len(other.shape)) if axis not in (*theirs, *their_batch)]
    left = writer.transposed(one, [*batch, *free, *ours])
    right = writer.transposed(other, [*their_batch, *theirs, *their_free])
    sizes = {
        "batch": math.prod(one.shape[axis] for axis in batch),
        "rows": math.prod(one.shape[axis] for axis in free),
        "inner": math.prod(one.shape[axis] for axis in ours),
        "columns": math.prod(other.shape[axis] for axis in their_free),
    }
    return [writer.made("matmul", [left, right], *outs[0], **sizes)]


@_lowers("conv_general_dilated")
def _conv(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    """Brings images to `[n, *space, channels]` and kernels to `[*space, channels, out]`, of any rank."""
    images, kernel = given
    if params["batch_group_count"] != 1:
        raise InputError(f"the {writer.what} convolves in groups of the batch, which a page cannot run: use plain ones")
    numbers = params["dimension_numbers"]
    places = [(spec[0], *spec[2:], spec[1]) for spec in (numbers.lhs_spec, numbers.out_spec)]
    images = writer.transposed(images, places[0])
    of_kernel = (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0])
    kernel = writer.transposed(kernel, of_kernel)
    shape, dtype = outs[0]
    out_shape = [shape[axis] for axis in places[1]]
    made = writer.made(
        "conv",
        [images, kernel],
        out_shape,
        dtype,
        batch=out_shape[0],
        space=images.shape[1:-1],
        window=kernel.shape[:-2],
        outs=out_shape[1:-1],
        channels=kernel.shape[-2],
        filters=kernel.shape[-1],
        groups=params["feature_group_count"],
        strides=params["window_strides"],
        pads=[low for low, _ in params["padding"]],
        spaced=params["lhs_dilation"],
        dilated=params["rhs_dilation"],
    )
    return [writer.transposed(made, np.argsort(places[1]).tolist())]


def _pooling(op: str) -> Lowering:
    def lower(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
        shape, dtype = outs[0]
        made = writer.made(
            "pool",
            given[:1],
            shape,
            dtype,
            by=op,
            space=given[0].shape,
            window=params["window_dimensions"],
            outs=shape,
            strides=params["window_strides"],
            pads=[low for low, _ in params["padding"]],
            spaced=params["base_dilation"],
            dilated=params["window_dilation"],
        )
        return [made]

    return lower


LOWERED |= {f"reduce_window_{_name}": _pooling(_name) for _name in ("sum", "max", "min")}


def _starts(operand: Value, places: Sequence[int], sizes: Sequence[int]) -> dict[str, Any]:
    """Returns, for each number of an index, by how much it steps, and where its window still is inside the operand."""
    own = row_major(operand.shape)
    return {"steps": [own[axis] for axis in places], "most": [operand.shape[axis] - sizes[axis] for axis in places]}


def _windows(
    operand: Value, sizes: Sequence[int], outer: Value, batching: dict[int, int], inside: Sequence[int]
) -> dict[str, Any]:
    """Describes the windows of a gather or scatter: how the operand and what lies outside it are walked through.

    Args:
        operand: what has windows.
        sizes: the size of a window along each axis of the operand.
        outer: what the windows are put into or taken from.
        batching: the place of a batch's axis of each axis of the operand that goes with it.
        inside: the axes of `outer` along which a window lies.
    """
    own, theirs = row_major(operand.shape), row_major(outer.shape)
    around = [axis for axis in range(len(outer.shape)) if axis not in inside]
    return {
        "count": [outer.shape[axis] for axis in around],
        "outer": [theirs[axis] for axis in around],
        "along": [sum(own[axis] for axis, at in batching.items() if at == number) for number in range(len(around))],
        "window": [outer.shape[axis] for axis in inside],
        "window_outer": [theirs[axis] for axis in inside],
    }


@_lowers("gather")
def _gather(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    operand, index = given
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    batching = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
    out = writer.new(*outs[0])
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    own = row_major(operand.shape)
    mode = str(params["mode"]).rpartition(".")[2]
    filler: Any = None
    if mode.startswith("FILL"):
        given_value = params["fill_value"]
        filler = (math.nan if _is_float(out.dtype) else 0) if given_value is None else given_value
        if given_value is None and not _is_float(out.dtype):
            limits = np.iinfo(np.uint8 if out.dtype == "bool" else out.dtype)
            filler = 1 if out.dtype == "bool" else limits.min if limits.min < 0 else limits.max
    writer.emit(
        "gather",
        [operand, index],
        [out],
        **_windows(operand, sizes, out, batching, numbers.offset_dims),
        **_starts(operand, numbers.start_index_map, sizes),
        window_inner=[own[axis] for axis in range(len(own)) if axis not in gone],
        fill=None if filler is None else plain(filler),
    )
    return [out]


def _scattering(op: str) -> Lowering:
    def lower(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
        operand, _, updates = given
        numbers = params["dimension_numbers"]
        batching = dict(zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True))
        gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
        own = row_major(operand.shape)
        kept = [axis for axis in range(len(own)) if axis not in gone]
        sizes = [1] * len(own)
        for axis, place in zip(kept, numbers.update_window_dims, strict=True):
            sizes[axis] = updates.shape[place]
        made = writer.made(
            "scatter",
            given,
            *outs[0],
            by=op,
            **_windows(operand, sizes, updates, batching, numbers.update_window_dims),
            **_starts(operand, numbers.scatter_dims_to_operand_dims, sizes),
            window_inner=[own[axis] for axis in kept],
            drop=str(params["mode"]).rpartition(".")[2].startswith("FILL"),
        )
        return [made]

    return lower


LOWERED |= {"scatter": _scattering("set"), "scatter-add": _scattering("sum")}


@_lowers("dynamic_slice")
def _dynamic_slice(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    operand = given[0]
    own, sizes = row_major(operand.shape), params["slice_sizes"]
    axes = range(len(own))
    return [writer.made("window", given, *outs[0], shape=sizes, strides=own, **_starts(operand, axes, sizes))]


@_lowers("dynamic_update_slice")
def _dynamic_update(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    operand, update, *_ = given
    own = row_major(operand.shape)
    starts = _starts(operand, range(len(own)), update.shape)
    return [writer.made("put", given, *outs[0], shape=update.shape, strides=own, **starts)]


@_lowers("sort")
def _sort(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    axis = params["dimension"]
    moved, orders = zip(*(writer.last(value, [axis]) for value in given), strict=True)
    made = [writer.new(value.shape, value.dtype) for value in moved]
    writer.emit("sort", moved, made, inner=given[0].shape[axis], keys=params["num_keys"])
    return [writer.transposed(value, np.argsort(orders[0]).tolist()) for value in made]


@_lowers("top_k")
def _top_k(writer: Writer, given: list[Value], outs: list[Out], params: dict[str, Any]) -> list[Value]:
    axis = params.get("axis", -1) % len(given[0].shape)
    value, order = writer.last(given[0], [axis])
    shape = (*value.shape[:-1], params["k"])
    made = [writer.new(shape, dtype) for _, dtype in outs]
    writer.emit("top_k", [value], made, inner=value.shape[-1], k=params["k"])
    return [writer.transposed(each, np.argsort(order).tolist()) for each in made]
