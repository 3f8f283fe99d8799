"""Exports encoder and decoder as programs that run without aejax, for any number of examples.

    encoder.stablehlo   of jax.export: `jax.export.deserialize(content).call(x)`, on CPU, CUDA and TPU
    encoder.onnx        for any runtime of ONNX
    decoder.*           from codes to the data's units
    export.json         what each takes and gives

Every program is run on examples and compared with what `Trained` gives before its file is kept.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from aejax import core
from aejax.core import Examples, InputError, first_line, import_extra, json_text
from aejax.runs import versions, write_atomically
from aejax.trained import programs

if TYPE_CHECKING:
    from aejax.trained.trained import Trained

Format = Literal["stablehlo", "onnx"]

PLATFORMS = ("cpu", "cuda", "tpu")
"""What programs of StableHLO are lowered for."""

NEAR = 1e-4
"""By how much a program may differ from `Trained`, of the largest absolute value that it gives."""

_SIZES = (1, 5)
"""Numbers of examples on which programs are compared."""

Call = Callable[..., Any]


def export(trained: "Trained", folder: str | Path, form: Format = "stablehlo") -> list[Path]:
    """Writes encoder and decoder as programs: see `Trained.export`."""
    folder = Path(folder)
    _check(trained)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}): give another folder") from None
    _require_same_form(folder, form)
    write, about = {"stablehlo": _stablehlo, "onnx": _onnx}[form], dict[str, Any]()
    paths = []
    for name, (call, own, inputs) in _programs(trained).items():
        content, run = write(call, dict(inputs(3)), "x" if name == "decoder" else "z")
        for size in _SIZES:
            given = [array for _, array in inputs(size)]
            _compare(name, run(*given), own(*given))
        paths.append(folder / f"{name}.{form}")
        write_atomically(paths[-1], partial(_write, content))
        about[name] = {
            "file": paths[-1].name,
            "inputs": {key: _described(array) for key, array in inputs(1)},
            "output": _described(own(*(array for _, array in inputs(1)))),
        }
    about |= {"experiment": trained.experiment.name, "format": form, "units": _units(trained), "versions": versions()}
    write_atomically(folder / "export.json", json_text(about, indent=2) + "\n")
    return [*paths, folder / "export.json"]


def _require_same_form(folder: Path, form: Format) -> None:
    """Raises `InputError` where programs of the other form lie in the folder, which export.json would forget."""
    there: Format = form
    with contextlib.suppress(OSError, ValueError, AttributeError):  # what is no export.json of ours says nothing
        there = json.loads((folder / "export.json").read_text()).get("format", form)
    if there != form:
        raise InputError(f"{folder} holds programs as {there}, which export.json describes: give another folder")


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _check(trained: "Trained") -> None:
    trained.require_of_codes()
    if trained.data is not None and trained.data.offset:
        raise InputError(
            "this model was trained on values that float32 cannot tell apart, and a program takes float32: train on "
            "centred values"
        )


def _programs(trained: "Trained") -> dict[str, tuple[Call, Call, Callable[[int], list[tuple[str, np.ndarray]]]]]:
    """Returns, for encoder and decoder, the function, what `Trained` gives for the same, and inputs to compare on."""
    model, variables = trained.experiment.model, trained.used.variables
    preprocess, likelihood = trained.preprocess, trained.experiment.loss.likelihood

    def encode(x: Float[Array, "batch *shape"], label: Int[Array, " batch"] | None = None) -> Array:
        batch = Examples(preprocess(x, None), label)
        return core.apply(lambda model, batch: model.encode(batch).mean, model, variables, {}, batch)[0]

    def decode(z: Float[Array, "batch latent"], label: Int[Array, " batch"] | None = None) -> Array:
        return programs.decoded(model, variables, likelihood, preprocess, z, label, None)

    def labelled(name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
        labels = [("label", np.arange(len(array), dtype=np.int32) % model.classes)] if model.classes else []
        return [(name, array), *labels]

    def examples(n: int) -> list[tuple[str, np.ndarray]]:
        return labelled("x", _drawn(trained, n))

    def codes(n: int) -> list[tuple[str, np.ndarray]]:
        return labelled("z", trained.encode(*(array for _, array in examples(n))))

    return {"encoder": (encode, trained.encode, examples), "decoder": (decode, trained.decode, codes)}


def _drawn(trained: "Trained", n: int) -> Float[np.ndarray, "n *shape"]:
    """Draws examples in the range of the training data; of binary ones and of counts, whole numbers."""
    data, preprocess, rng = trained.data, trained.preprocess, np.random.default_rng(n)
    grey = data is None or (data.dtype == "uint8" and not preprocess.counts)
    low, high = (0.0, 1.0) if data is None or grey else (data.low, data.high)
    x = rng.uniform(low, high, (n, *trained.shape)).astype(np.float32)
    return np.rint(x) if preprocess.binary or preprocess.counts else x


def _stablehlo(call: Call, inputs: Mapping[str, np.ndarray], output: str) -> tuple[bytes, Call]:
    """Exports a function with a symbolic number of examples; returns the file's content, and what runs it.

    Args:
        call: the function.
        inputs: examples of its inputs, by name.
        output: the name of what it gives; neither name is kept in the program.
    """
    (rows,) = jax.export.symbolic_shape("n")
    shapes = [jax.ShapeDtypeStruct((rows, *array.shape[1:]), array.dtype) for array in inputs.values()]
    content = jax.export.export(jax.jit(call), platforms=PLATFORMS)(*shapes).serialize()
    return bytes(content), jax.export.deserialize(content).call


def _onnx(call: Call, inputs: Mapping[str, np.ndarray], output: str) -> tuple[bytes, Call]:
    """Converts a function to ONNX with a symbolic number of examples; returns the file's content, and what runs it.

    Args:
        call: the function.
        inputs: examples of its inputs, by the names that those of the graph get.
        output: the name of the graph's output.
    """
    converter, runtime = import_extra("jax2onnx", "onnx"), import_extra("onnxruntime", "onnx")
    shapes = [jax.ShapeDtypeStruct(("n", *array.shape[1:]), array.dtype) for array in inputs.values()]
    named = {"input_names": [*inputs], "output_names": [output]}
    try:
        with _unsaid():
            content = converter.to_onnx(call, shapes, **named).SerializeToString()
    except Exception as error:  # what the converter does not know fails in ways of its own
        said = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"jax2onnx cannot convert this model ({said}): use --format stablehlo") from error
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda *given: session.run([output], dict(zip(inputs, given, strict=True)))[0]


@contextlib.contextmanager
def _unsaid() -> Iterator[None]:
    """Keeps warnings of libraries to themselves: what they make is compared."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compare(name: str, made: Any, own: np.ndarray) -> None:
    """Raises `InputError` where a program gives other values than `Trained` does."""
    made = np.asarray(made)
    if made.shape != own.shape:
        raise InputError(f"the exported {name} gives {made.shape} where aejax gives {own.shape}: nothing was written")
    off = float(np.abs(made - own).max()) / max(float(np.abs(own).max()), 1e-30)
    if not off <= NEAR:
        raise InputError(f"the exported {name} is off by {off:.1e} of its largest value: nothing was written")


def _described(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": ["n", *array.shape[1:]]}


def _units(trained: "Trained") -> str:
    if trained.preprocess.binary:
        return "values are 0 and 1; decoded they are probabilities of 1"
    return "values are grey levels in [0, 1]" if trained.grey else "values are in the units of the training data"
