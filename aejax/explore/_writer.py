"""Collects the instructions and the arrays of programs that `interpreter.js` runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aejax.core import InputError

Shape = tuple[int, ...]

TYPES = {
    "float32": "f4",
    "bfloat16": "f4",  # and float16: more exact than asked for
    "float16": "f4",
    "int32": "i4",
    "uint32": "u4",
    "int16": "i2",
    "uint16": "u2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "u1",
}
"""The interpreter's type of each type of array: a kind and a number of bytes."""


@dataclass(frozen=True)
class Value:
    """Names a buffer of the interpreter, and says how the program reads it here."""

    buffer: int
    shape: Shape
    dtype: str
    """The name of NumPy's type."""

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass
class Arrays:
    """Collects the arrays that programs share, each once."""

    half: bool = True
    """Whether floating numbers are kept as float16 of three digits, wherever that loses no more."""
    items: list[np.ndarray] = field(default_factory=list)
    _places: dict[tuple[str, Shape, bytes], int] = field(default_factory=dict)

    def add(self, array: Any, *, whole: bool = False) -> int:
        """Returns the number of an array, which is added where it is new; `whole`: never as float16."""
        array = np.ascontiguousarray(array)
        if array.dtype == bool:
            array = array.view(np.uint8)
        if array.dtype.kind not in "iu":
            array = array.astype(np.float32)
        if array.dtype == np.float32 and self.half and not whole:
            array = halved(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._places:
            self._places[key] = len(self.items)
            self.items.append(array)
        return self._places[key]


def halved(array: np.ndarray) -> np.ndarray:
    """Returns an array as float16 of three digits, or as it is where that would lose more than these.

    The last two bits are rounded away, so that deflate makes arrays shorter by an eighth: with `vae-conv` no pixel
    moves by more than 0.004, which is one of 256 grey levels.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bits = array.astype(np.float16).view(np.uint16).astype(np.uint32)
        half = ((bits + 2) & 0xFFFC).astype(np.uint16).view(np.float16)
        lost = np.abs(half.astype(np.float32) - array).max(initial=0)
    return half if lost <= 4e-3 * np.abs(array).max(initial=0) else array


class Writer:
    """Writes the instructions of one program."""

    def __init__(self, what: str, arrays: Arrays) -> None:
        self.what, self.arrays = what, arrays
        self.buffers: list[tuple[str, int]] = []
        self.steps: list[tuple[str, list[int], list[int], dict[str, Any]]] = []
        self.constants: dict[int, Any] = {}  # what is stored only if a step reads it

    def new(self, shape: Sequence[int], dtype: str) -> Value:
        """Returns a new buffer."""
        if dtype not in TYPES:
            raise InputError(f"the {self.what} computes with {dtype}, which a page cannot: use float32")
        self.buffers.append((TYPES[dtype], math.prod(shape)))
        return Value(len(self.buffers) - 1, tuple(shape), dtype)

    def constant(self, array: np.ndarray) -> Value:
        """Returns a buffer that holds an array."""
        value = self.new(array.shape, array.dtype.name)
        self.constants[value.buffer] = array
        return value

    def emit(self, op: str, inputs: Sequence[Value], outputs: Sequence[Value], /, **params: Any) -> None:
        """Adds an instruction."""
        self.steps.append((op, [value.buffer for value in inputs], [value.buffer for value in outputs], params))

    def made(self, op: str, inputs: Sequence[Value], shape: Sequence[int], dtype: str, /, **params: Any) -> Value:
        """Adds an instruction with one output, and returns that."""
        out = self.new(shape, dtype)
        self.emit(op, inputs, [out], **params)
        return out

    def view(self, value: Value, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Value:
        """Returns the values at `offset` and steps of `strides` in each direction; the buffer itself if that is all."""
        shape = tuple(shape)
        same = math.prod(shape) == value.size and offset == 0
        moved = [(s, r) for s, r, n in zip(strides, row_major(shape), shape, strict=True) if n > 1]
        if same and all(one == other for one, other in moved):
            return Value(value.buffer, shape, value.dtype)
        return self.made("view", [value], shape, value.dtype, shape=shape, strides=tuple(strides), offset=offset)

    def transposed(self, value: Value, order: Sequence[int]) -> Value:
        """Returns the value with its axes in another order."""
        strides = row_major(value.shape)
        return self.view(value, [value.shape[axis] for axis in order], [strides[axis] for axis in order])

    def last(self, value: Value, axes: Sequence[int]) -> tuple[Value, list[int]]:
        """Returns the value with some axes behind all others, and the order of axes that this is."""
        order = [axis for axis in range(len(value.shape)) if axis not in axes] + list(axes)
        return self.transposed(value, order), order

    def spread(self, value: Value, shape: Sequence[int]) -> Value:
        """Returns the value broadcast along its axes of size 1; of one element, as it is."""
        if value.size == 1 or value.shape == tuple(shape):
            return value
        strides = [0 if size == 1 else stride for size, stride in zip(value.shape, row_major(value.shape), strict=True)]
        return self.view(value, shape, strides)

    def program(self, inputs: list[Value], results: list[Value]) -> dict[str, Any]:
        """Returns the program as JSON, without what no result depends on."""
        needed, kept = {value.buffer for value in results}, []
        for step in reversed(self.steps):
            if needed & set(step[2]):
                kept.append(step)
                needed |= {*step[1], *step[2]}
        numbers = {old: new for new, old in enumerate(sorted(needed | {value.buffer for value in inputs}))}
        constants = {old: array for old, array in self.constants.items() if old in needed}
        return {
            "buffers": [self.buffers[old] for old in numbers],
            "inputs": [numbers[value.buffer] for value in inputs],
            "outputs": [numbers[value.buffer] for value in results],
            "scalars": {numbers[old]: plain(array.item()) for old, array in constants.items() if array.size == 1},
            "arrays": {numbers[old]: self.arrays.add(array) for old, array in constants.items() if array.size != 1},
            "steps": [
                (op, [numbers[old] for old in ins], [numbers[old] for old in outs], params)
                for op, ins, outs, params in reversed(kept)
            ],
        }


def row_major(shape: Sequence[int]) -> list[int]:
    """Returns by how many values each axis steps, where the last one is the fastest."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def plain(number: Any) -> Any:
    """Returns a number as JSON has it: one that is not finite as text, which `Number` reads."""
    if isinstance(number, bool | int):
        return int(number)
    number = float(number)
    return number if math.isfinite(number) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN")
