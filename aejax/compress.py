"""Compression: codes quantised to a few bits a dimension, entropy coded, in a file that is checked on reading.

    4 bytes   b"AEJX"
    1 byte    version, 1
    4 bytes   length of the header, little-endian
    header    JSON: examples, latent, bits, run (SHA-256 of the weights), payload (its bytes)
    payload   zlib of the ranges, float32 [2, latent], then the levels, uint8 [latent, examples]
    4 bytes   CRC-32 of all that stands before

The levels of one dimension lie together, a byte each, and deflate's Huffman codes shrink them to
near their entropy; packed bits would hide it from them.
"""

import hashlib
import json
import struct
import zlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Num, UInt8

from aejax.errors import InputError
from aejax.experiment import to_json
from aejax.quantise import Quantizer
from aejax.trained import Trained

_MAGIC, _VERSION = b"AEJX", 1
_START = struct.Struct("<4sBI")
_CRC = struct.Struct("<I")
_DEFLATE_LIMIT = 1032  # no deflated bytes grow by more than this


def compress(trained: Trained, x: Num[np.ndarray, "n *shape"], quantizer: Quantizer) -> bytes:
    """The file's content: the quantised codes of the examples. `quantizer` is fitted on codes of the training part."""
    return pack(quantizer, quantizer.quantise(trained.encode(x)), fingerprint(trained))


def decompress(trained: Trained, content: bytes) -> Float[np.ndarray, "n *shape"]:
    """The examples that the file's codes decode to, exactly as `decode` gives them.

    Raises `InputError` for a file that is cut short, altered, not one of these, or made with another run.
    """
    quantizer, levels = unpack(content, fingerprint(trained))
    return trained.decode(quantizer.restore(levels))


def fingerprint(trained: Trained) -> str:
    """The SHA-256 of all that decoding depends on: settings, weights, and what preprocessing has learned."""
    digest = hashlib.sha256(json.dumps(to_json(trained.experiment.model)).encode())
    tree = (trained.state.params, trained.state.collections, trained.preprocess)
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()


def pack(quantizer: Quantizer, levels: UInt8[np.ndarray, "n latent"], run: str) -> bytes:
    """The file's content, from levels and the fingerprint of the run whose codes they are."""
    ranges = np.stack([quantizer.low, quantizer.high]).astype("<f4")
    payload = _deflate(ranges.tobytes() + np.ascontiguousarray(levels.T).tobytes())
    n, latent = levels.shape
    header = {"examples": n, "latent": latent, "bits": quantizer.bits, "run": run, "payload": len(payload)}
    text = json.dumps(header).encode()
    body = _START.pack(_MAGIC, _VERSION, len(text)) + text + payload
    return body + _CRC.pack(zlib.crc32(body))


def _deflate(values: bytes) -> bytes:
    """The shorter of two: repeats pay where levels rarely change, and cost a fifth where they are noise."""
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY)
    encoders = [zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy) for strategy in strategies]
    return min((encoder.compress(values) + encoder.flush() for encoder in encoders), key=len)


def unpack(content: bytes, run: str) -> tuple[Quantizer, UInt8[np.ndarray, "n latent"]]:
    """The quantiser and the levels. Raises `InputError` as `decompress` does, before memory is taken for a claim."""
    header, payload = _open(content)
    if header["run"] != run:
        raise InputError("the file was compressed with another run: give the one that made it")
    n, latent = header["examples"], header["latent"]
    size = 8 * latent + n * latent
    if size > _DEFLATE_LIMIT * len(payload):
        raise _damaged(f"its header claims {n} codes of {latent}, more than it can hold")
    try:
        decoder = zlib.decompressobj()
        values = decoder.decompress(payload, size + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(values) != size or not decoder.eof or decoder.unused_data:
        raise _damaged(f"its codes take {len(values)} bytes where its header promises {size}")
    low, high = np.frombuffer(values, "<f4", 2 * latent).reshape(2, latent).astype(np.float32)
    levels = np.frombuffer(values, np.uint8, offset=8 * latent).reshape(latent, n).T
    if not np.isfinite([low, high]).all() or levels.max() >= 2 ** header["bits"]:
        raise _damaged("its ranges or levels are impossible")
    return Quantizer(low, high, header["bits"]), levels


def _open(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the payload, once the frame around them is whole."""
    if not content.startswith(_MAGIC) or len(content) < _START.size + _CRC.size:
        raise InputError("the file was not written by `aejax compress`, or is cut short: give one that was")
    _, version, length = _START.unpack_from(content)
    if version != _VERSION:
        raise InputError(f"the file has version {version} of the format, but this aejax reads version {_VERSION}")
    if _CRC.unpack_from(content, len(content) - _CRC.size)[0] != zlib.crc32(content[: -_CRC.size]):
        raise _damaged("its checksum does not match")
    start = _START.size + length
    header, payload = _header(content[_START.size : start]), content[start : -_CRC.size]
    if header["payload"] != len(payload):
        raise _damaged(f"it holds {len(payload)} bytes of codes where its header promises {header['payload']}")
    return header, payload


def _header(text: bytes) -> dict[str, Any]:
    """The fields of the header, each a possible one."""
    try:
        header = json.loads(text)
        sizes = [header[name] for name in ("examples", "latent", "bits")]
        possible = all(type(size) is int and size > 0 for size in sizes) and header["bits"] <= 8
        known = type(header["run"]) is str and type(header["payload"]) is int
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged("its header cannot be read") from error
    if not possible or not known:
        raise _damaged("its header states impossible sizes")
    return header


def _damaged(why: str) -> InputError:
    return InputError(f"the file is cut short or altered ({why}): compress it again")
