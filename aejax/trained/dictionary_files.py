"""Writes dictionaries to folders of other libraries, and reads such folders: safetensors and JSON alone, no pickle.

A folder is read only where it says all that the codes depend on, and nothing else: a field that is missing, or whose
meaning is not known, is refused, as guesses at one have been wrong in every such library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from aejax.core import InputError, first_line, json_text
from aejax.runs import read_json, read_safetensors, write_arrays, write_atomically
from aejax.trained.frozen import FrozenDictionary

CONFIG = "cfg.json"
"""The name of the file of settings in both formats."""

ALIKE = 1e-4
"""The relative difference up to which lengths of rows are the same: then they change no order of units."""


@dataclass(frozen=True)
class Format:
    """Knows one library's folders."""

    weights: str
    """The name of the file of arrays."""
    write: Callable[[FrozenDictionary], tuple[dict[str, Any], dict[str, Any]]]
    """Returns the settings and the arrays by their names there; refuses what the library has no form for."""
    fields: Callable[[Mapping[str, Any]], dict[str, type]]
    """Returns the fields that the settings must have, with their types."""
    arrays: Callable[[Mapping[str, Any]], dict[str, tuple[int, ...]]]
    """Returns the arrays that must be there, with their shapes."""
    read: Callable[[Mapping[str, Any], Mapping[str, Any]], FrozenDictionary]
    """Makes the dictionary of settings and arrays; refuses what is none."""


def write_dictionary(frozen: FrozenDictionary, name: str, folder: Path) -> None:
    """Writes a dictionary to a folder, which is made where it is missing.

    Args:
        frozen: the dictionary, as `freeze` returns it.
        name: the format, one of `FORMATS`.
        folder: the folder, in which nothing may lie that is not of the format.

    Raises:
        InputError: for a dictionary that the format has no form for, before anything is written.
    """
    form = FORMATS[name]
    settings, arrays = form.write(frozen)
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / form.weights, {key: np.asarray(array, np.float32) for key, array in arrays.items()})
    write_atomically(folder / CONFIG, json_text(settings, indent=2) + "\n")


def read_dictionary(folder: Path) -> FrozenDictionary:
    """Reads the folder of a dictionary, in whichever of `FORMATS` it is.

    Weights of any type become float32.

    Raises:
        InputError: where it is of none of them, is damaged, lacks a field or an array, has one that is not known, or
            does what a dictionary of plain weights cannot.
    """
    found = [name for name, form in FORMATS.items() if (folder / form.weights).is_file()]
    if len(found) != 1 or not (folder / CONFIG).is_file():
        files = " or ".join(f"{CONFIG} and {form.weights} ({name})" for name, form in FORMATS.items())
        raise InputError(f"{folder} is no folder of one dictionary: it must hold {files}, in safetensors")
    form = FORMATS[found[0]]
    try:
        settings = read_json(folder / CONFIG)
        arrays = read_safetensors(folder / form.weights)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read ({first_line(error)}): fetch it anew") from None
    if not isinstance(settings, dict):
        raise InputError(f"{folder / CONFIG} holds no JSON object: fetch it anew")
    _require(settings, form.fields(settings), folder / CONFIG)
    shapes = form.arrays(settings)
    _require(arrays, dict.fromkeys(shapes, object), folder / form.weights)
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not jnp.issubdtype(arrays[name].dtype, jnp.floating):
            raise InputError(
                f"{folder / form.weights} has {name} as {arrays[name].dtype} of shape {arrays[name].shape}, but "
                f"{CONFIG} says floating point of shape {shape}"
            )
    return form.read(settings, {name: jnp.asarray(np.asarray(array, np.float32)) for name, array in arrays.items()})


def _require(held: Mapping[str, Any], wanted: Mapping[str, type], file: Path) -> None:
    """Raises `InputError` unless a file holds what is wanted, of the right types, and nothing else."""
    missing, unknown = sorted(wanted.keys() - held.keys()), sorted(held.keys() - wanted.keys())
    if missing or unknown:
        lacks = f"lacks {', '.join(missing)}" if missing else ""
        more = f"has {', '.join(unknown)}, whose meaning is not known here" if unknown else ""
        raise InputError(
            f"{file} {' and '.join(part for part in (lacks, more) if part)}: nothing is assumed, so say or leave out "
            "there what its author knows"
        )
    wrong = [name for name, kind in wanted.items() if kind is not object and type(held[name]) is not kind]
    low = [name for name, kind in wanted.items() if kind is int and name not in wrong and held[name] < 0]
    if wrong or low:
        name = (wrong + low)[0]
        raise InputError(f"{file} says {name}={held[name]!r}: it must be {wanted[name].__name__}, and not negative")


def _plain(
    weights: Mapping[str, Any],
    bias: Any,
    threshold: Any = None,
    *,
    subtract: bool,
    transcodes: bool = False,
    k: int | None = None,
    rescaled: bool = True,
    skip: Any = None,
) -> FrozenDictionary:
    """Returns the dictionary of published weights, with the lengths of its rows in the code.

    Args:
        weights: `W_enc` [values, units], `W_dec` [units, out] and `b_dec` [out].
        bias: what is added to the encoder's products.
        threshold: what these sums must be above; None: 0.
        subtract: whether `b_dec` is subtracted from what is encoded.
        transcodes: whether other values are decoded than are encoded.
        k: how many units are kept; None: any number.
        rescaled: whether units are ranked by their activations times the lengths of their rows.
        skip: what is added of the input, [values, out]; None: nothing.
    """
    kernel, rows, offset = weights["W_enc"], weights["W_dec"], weights["b_dec"]
    if k is not None and not 1 <= k <= len(rows):
        raise InputError(f"{CONFIG} says k={k} of {len(rows)} units: it must be from 1 to their number")
    long = jnp.linalg.norm(rows, axis=1)
    if k is not None and not rescaled and float(long.max()) > (1 + ALIKE) * float(long.min()):
        raise InputError(
            f"the k largest activations are kept without the lengths of the decoder's rows, which lie from "
            f"{float(long.min()):.4g} to {float(long.max()):.4g}: fold them into the encoder, or set them to one length"
        )
    bias = bias - offset @ kernel if subtract else bias
    above = jnp.zeros(len(long)) if threshold is None else jnp.maximum(threshold, 0)
    rows = rows / jnp.maximum(long, 1e-12)[:, None]
    return FrozenDictionary(kernel * long[None], bias * long, above * long, rows, offset, k, skip, transcodes)


# SAELens


_COMMON: dict[str, type] = {
    "architecture": str,
    "d_in": int,
    "d_sae": int,
    "dtype": str,
    "device": str,
    "apply_b_dec_to_input": bool,
    "normalize_activations": str,
    "reshape_activations": str,
    "metadata": dict,
}
_FURTHER: dict[str, dict[str, type]] = {
    "standard": {},
    "topk": {"k": int, "rescale_acts_by_decoder_norm": bool},
    "jumprelu": {},
    "gated": {},
    "transcoder": {"d_out": int},
    "skip_transcoder": {"d_out": int},
    "jumprelu_transcoder": {"d_out": int},
    "jumprelu_skip_transcoder": {"d_out": int},
}
"""The fields of each of SAELens' architectures that are read, beside `_COMMON`."""


def _saelens_settings(frozen: FrozenDictionary) -> tuple[dict[str, Any], dict[str, Any]]:
    values, units = frozen.kernel.shape
    out, jumps = frozen.rows.shape[1], bool(np.any(np.asarray(frozen.threshold) > 0))
    crosses = frozen.transcodes or out != values or frozen.skip is not None
    if frozen.k is not None and (crosses or jumps):
        raise InputError(
            "SAELens has no transcoder that keeps k units, and no TopK with thresholds: export to sparsify, or train "
            "one with thresholds (BatchTopK, JumpReLU)"
        )
    kind = "transcoder" if crosses else "standard"
    kind = f"skip_{kind}" if frozen.skip is not None else kind
    if jumps:
        kind = f"jumprelu_{kind}" if crosses else "jumprelu"
    settings = {
        "architecture": "topk" if frozen.k is not None else kind,
        "d_in": values,
        "d_sae": units,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,  # it is in the encoder's bias
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.0.0", "sae_lens_training_version": None},
    }
    settings |= {"d_out": out} if crosses else {}
    settings |= {"k": frozen.k, "rescale_acts_by_decoder_norm": False} if frozen.k is not None else {}
    arrays = {"W_enc": frozen.kernel, "b_enc": frozen.bias, "W_dec": frozen.rows, "b_dec": frozen.offset}
    arrays |= {"threshold": frozen.threshold} if jumps else {}
    arrays |= {"W_skip": frozen.skip.T} if frozen.skip is not None else {}
    return settings, arrays


def _saelens_fields(settings: Mapping[str, Any]) -> dict[str, type]:
    kind = settings.get("architecture")
    if kind not in _FURTHER:
        raise InputError(f"{CONFIG} says architecture={kind!r}: of SAELens' {', '.join(_FURTHER)} are read")
    return _COMMON | _FURTHER[kind]


def _saelens_arrays(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    kind, values, units = settings["architecture"], settings["d_in"], settings["d_sae"]
    out = settings.get("d_out", values)
    biases: tuple[str, ...] = ("b_gate", "r_mag", "b_mag") if kind == "gated" else ("b_enc",)
    biases += ("threshold",) if kind.startswith("jumprelu") else ()
    shapes = {"W_enc": (values, units), "W_dec": (units, out), "b_dec": (out,), **dict.fromkeys(biases, (units,))}
    return shapes | ({"W_skip": (out, values)} if "skip" in kind else {})


def _saelens_dictionary(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> FrozenDictionary:
    for name in ("normalize_activations", "reshape_activations"):
        if settings[name] != "none":
            raise InputError(f"{CONFIG} says {name}={settings[name]!r}: fold it into the weights in SAELens first")
    version = str(settings["metadata"].get("sae_lens_version"))
    if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) < 6:
        raise InputError(f"{CONFIG} is of SAELens {version}: load and save it in version 6 first")
    kind, subtract = settings["architecture"], settings["apply_b_dec_to_input"]
    if "transcoder" in kind and subtract:
        raise InputError(f"{CONFIG} says apply_b_dec_to_input of a transcoder, whose bias is of another space: fix it")
    if kind == "gated":
        # The gate is open where the magnitude is above what it is for a gate of zero: see `Gated.plain`.
        scale = jnp.exp(arrays["r_mag"])
        kernel, closed = arrays["W_enc"] * scale[None], arrays["b_mag"] - arrays["b_gate"] * scale
        return _plain({**arrays, "W_enc": kernel}, arrays["b_mag"], closed, subtract=subtract)
    return _plain(
        arrays,
        arrays["b_enc"],
        arrays.get("threshold"),
        subtract=subtract,
        transcodes="transcoder" in kind,
        k=settings.get("k"),
        rescaled=settings.get("rescale_acts_by_decoder_norm", True),
        skip=arrays["W_skip"].T if "skip" in kind else None,
    )


# sparsify

_SPARSIFY: dict[str, type] = {
    "activation": str,
    "expansion_factor": int,
    "normalize_decoder": bool,
    "num_latents": int,
    "k": int,
    "multi_topk": bool,
    "skip_connection": bool,
    "transcode": bool,
    "d_in": int,
}


def _sparsify_settings(frozen: FrozenDictionary) -> tuple[dict[str, Any], dict[str, Any]]:
    values, units = frozen.kernel.shape
    if frozen.k is None or np.any(np.asarray(frozen.threshold) > 0) or frozen.rows.shape[1] != values:
        raise InputError(
            "sparsify has dictionaries that keep the k largest units, without thresholds, and decode as many values as "
            "they encode: export to saelens, or train one with ExactTopK"
        )
    settings = {
        "activation": "topk",
        "expansion_factor": units // values,
        "normalize_decoder": True,
        "num_latents": units,
        "k": frozen.k,
        "multi_topk": False,
        "skip_connection": frozen.skip is not None,
        "transcode": frozen.transcodes,
        "d_in": values,
    }
    # Of what is no transcoder, sparsify subtracts the decoder's bias.
    bias = frozen.bias if frozen.transcodes else frozen.bias + frozen.offset @ frozen.kernel
    arrays = {"encoder.weight": frozen.kernel.T, "encoder.bias": bias, "W_dec": frozen.rows, "b_dec": frozen.offset}
    return settings, arrays | ({} if frozen.skip is None else {"W_skip": frozen.skip.T})


def _sparsify_arrays(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    values = settings["d_in"]
    units = settings["num_latents"] or values * settings["expansion_factor"]
    shapes: dict[str, tuple[int, ...]] = {"encoder.weight": (units, values), "encoder.bias": (units,)}
    shapes |= {"W_dec": (units, values), "b_dec": (values,)}
    return shapes | ({"W_skip": (values, values)} if settings["skip_connection"] else {})


def _sparsify_dictionary(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> FrozenDictionary:
    if settings["activation"] != "topk":
        raise InputError(f"{CONFIG} says activation={settings['activation']!r}: of sparsify's, topk is read")
    return _plain(
        {**arrays, "W_enc": arrays["encoder.weight"].T},
        arrays["encoder.bias"],
        subtract=not settings["transcode"],
        transcodes=settings["transcode"],
        k=settings["k"],
        rescaled=False,
        skip=arrays["W_skip"].T if settings["skip_connection"] else None,
    )


FORMATS: dict[str, Format] = {
    "saelens": Format(
        "sae_weights.safetensors", _saelens_settings, _saelens_fields, _saelens_arrays, _saelens_dictionary
    ),
    "sparsify": Format(
        "sae.safetensors", _sparsify_settings, lambda settings: _SPARSIFY, _sparsify_arrays, _sparsify_dictionary
    ),
}
"""The formats, by the names of the libraries that read them."""
