"""Reads and writes files of compressed examples: levels or indices, entropy coded, checked on reading.

    4 bytes   b"AEJX"
    1 byte    version, 2
    4 bytes   length of the header, little-endian
    header    JSON: examples, latent, levels, ranges, classes, run (its fingerprint), payload (its bytes)
    payload   zlib of the ranges, float32 [2, latent], where the header says so; the levels, [latent, examples];
              and the labels, [examples], of a model with classes
    4 bytes   CRC-32 of all that stands before

A level is one of `levels` whole numbers: the step of a quantised dimension, or an index into the codebook. Each
example has `latent` of them. The levels of one dimension lie together, a byte each, and deflate's Huffman codes
shrink them to near their entropy, which packed bits would hide from them. A number too large for a byte is cut
into two halves of its bits, because Huffman's code of a high byte of one bit would take half as much again.

Indices that a prior over codes has coded are in a file of version 3. Its header also has the prior's fingerprint
(coder) and the number of bytes that its code takes (coded), which are the payload's first; the labels follow.
"""

import json
import struct
import zlib
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from aejax.core import InputError, json_text

_MAGIC, _VERSION, _CODED = b"AEJX", 2, 3

_START = struct.Struct("<4sBI")

_CRC = struct.Struct("<I")

_DEFLATE_LIMIT = 1032  # inflating multiplies a number of bytes by at most this

_MOST = 2**16


class Content(NamedTuple):
    """Holds the content of a file of compressed examples."""

    levels: Int[np.ndarray, "n latent"]
    """The levels or the codebook indices of each example."""
    of: int
    """Number of possible levels: a level is a whole number from 0 to one less than this."""
    ranges: Float[np.ndarray, "2 latent"] | None = None
    """The quantiser's least and greatest value in each dimension; None for codebook indices, which need none."""
    label: Int[np.ndarray, " n"] | None = None
    """The label of each example; None for a model without classes."""
    classes: int = 0
    """Number of classes: a label is a whole number from 0 to one less than this; 0: there are no labels."""


class Coder(Protocol):
    """Describes what codes indices by their probabilities."""

    @property
    def digest(self) -> str:
        """Returns a fingerprint of all that its code depends on."""

    def nats(self, index: Int[np.ndarray, "n positions"]) -> Float[np.ndarray, " n"]:
        """Returns -log p of each example's indices: over log 2, the bits that they take at best."""

    def encode(self, index: Int[np.ndarray, "n positions"]) -> bytes:
        """Returns the bytes that stand for the indices of examples, from which `decode` returns them."""

    def decode(self, coded: bytes, n: int) -> Int[np.ndarray, "n positions"]:
        """Returns the indices of `n` examples that were coded."""


def pack(content: Content, run: str, coder: Coder | None = None) -> bytes:
    """Packs content into the bytes of a file.

    Args:
        content: the content.
        run: the fingerprint of the run that made the codes.
        coder: what codes its indices; None: deflate.

    Raises:
        InputError: for a codebook or a number of classes that is too large for it.
    """
    if max(content.of, content.classes) > _MOST:
        raise InputError(
            f"a file keeps one of at most {_MOST} codes and classes, and the model has {content.of} and "
            f"{content.classes}: use a smaller one"
        )
    coded = b"" if coder is None else coder.encode(content.levels)
    values = _planes(content.levels.T, content.of) if coder is None else b""
    if content.ranges is not None:
        values = content.ranges.astype("<f4").tobytes() + values
    if content.label is not None:
        values += _planes(content.label[None], content.classes)
    payload = coded + _deflate(values)
    n, latent = content.levels.shape
    sizes = {"examples": n, "latent": latent, "levels": content.of, "classes": content.classes}
    header = sizes | {"ranges": content.ranges is not None, "run": run, "payload": len(payload)}
    version = _VERSION
    if coder is not None:
        header, version = header | {"coder": coder.digest, "coded": len(coded)}, _CODED
    text = json_text(header).encode()
    body = _START.pack(_MAGIC, version, len(text)) + text + payload
    return body + _CRC.pack(zlib.crc32(body))


def _deflate(values: bytes) -> bytes:
    """Deflates with and without a search for repeats, and returns the shorter result.

    Repeats pay where levels rarely change, and cost a fifth where they are noise.
    """
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY)
    encoders = [zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy) for strategy in strategies]
    return min((encoder.compress(values) + encoder.flush() for encoder in encoders), key=len)


def _width(of: int) -> int:
    """Returns how many bytes a whole number below `of` takes: none where `of` is 0."""
    return 2 if of > 256 else int(of > 0)


def _half(of: int) -> int:
    """Returns how many bits are in the lower of the two parts of a number that is too large for a byte."""
    return -(-(of - 1).bit_length() // 2)


def _planes(rows: Int[np.ndarray, "rows n"], of: int) -> bytes:
    """Writes rows with a byte for each number; where a byte is too small, all lower parts and then all upper ones."""
    parts = [rows] if _width(of) == 1 else [rows & 2 ** _half(of) - 1, rows >> _half(of)]
    return np.stack(parts).astype(np.uint8).tobytes()


def _rows(values: bytes, rows: int, of: int) -> Int[np.ndarray, "rows n"]:
    """Reads the rows that `_planes` has written."""
    low, *high = np.frombuffer(values, np.uint8).reshape(_width(of), rows, -1).astype(np.int32)
    return low + (high[0] << _half(of)) if high else low


def unpack(content: bytes, *runs: str, coder: Coder | None = None) -> Content:
    """Reads the content of a file of the run with one of these fingerprints, whose indices `coder` codes where any did.

    Nothing that the file's header claims takes memory before it is checked.

    Raises `InputError` for a file that is cut short, altered, not one of these, or made with another run or coder.
    """
    header, payload = _open(content)
    if header["run"] not in runs:
        raise InputError("the file was compressed with another run: give the one that made it")
    n, latent, of, classes = (header[name] for name in ("examples", "latent", "levels", "classes"))
    coded, payload = payload[: header.get("coded", 0)], payload[header.get("coded", 0) :]
    plain = 0 if "coder" in header else latent * n * _width(of)
    ends = np.cumsum([8 * latent * header["ranges"], plain, n * _width(classes)], dtype=object)
    values = _inflate(payload, ends[-1])
    ranges = np.frombuffer(values[: ends[0]], "<f4").reshape(-1, latent).astype(np.float32)
    levels = _rows(values[ends[0] : ends[1]], latent, of).T if plain else _decoded(coded, header, coder)
    label = _rows(values[ends[1] :], 1, classes)[0] if classes else None
    if not np.isfinite(ranges).all() or levels.max() >= of or (label is not None and label.max() >= classes):
        raise _damaged("its ranges, levels or labels are impossible")
    return Content(levels, of, ranges if header["ranges"] else None, label, classes)


def _decoded(coded: bytes, header: dict[str, Any], coder: Coder | None) -> Int[np.ndarray, "n latent"]:
    """Returns the indices that a coder has coded. Raises `InputError` where it was another one, or they are damaged."""
    if coder is None or coder.digest != header["coder"]:
        raise InputError(
            "the indices of the file were coded by a prior over codes that this run does not have (or not any more): "
            "give the run with it, or fit it again with the same settings (aejax sampler RUN)"
        )
    try:
        levels = coder.decode(coded, header["examples"])
    except (ValueError, IndexError, struct.error) as error:
        raise _damaged(f"its indices cannot be decoded: {error}") from error
    if levels.shape[1] != header["latent"]:
        raise _damaged(f"it holds {levels.shape[1]} indices of an example where its header promises {header['latent']}")
    return levels


def _inflate(payload: bytes, size: int) -> bytes:
    """Inflates the payload. Raises `InputError` unless its content has the given size."""
    if size > _DEFLATE_LIMIT * len(payload):
        raise _damaged(f"its header claims {size} bytes of codes, more than it can hold")
    try:
        decoder = zlib.decompressobj()
        values = decoder.decompress(payload, size + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(values) != size or not decoder.eof or decoder.unused_data:
        raise _damaged(f"its codes take {len(values)} bytes where its header promises {size}")
    return values


def _open(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the header and the payload. Raises `InputError` unless the frame around them is whole."""
    if not content.startswith(_MAGIC) or len(content) < _START.size + _CRC.size:
        raise InputError("the file was not written by `aejax compress`, or is cut short: give one that was")
    _, version, length = _START.unpack_from(content)
    if version not in (_VERSION, _CODED):
        raise InputError(f"the file has version {version} of the format, but this aejax reads {_VERSION} and {_CODED}")
    if _CRC.unpack_from(content, len(content) - _CRC.size)[0] != zlib.crc32(content[: -_CRC.size]):
        raise _damaged("its checksum does not match")
    start = _START.size + length
    header, payload = _header(content[_START.size : start], version), content[start : -_CRC.size]
    if header["payload"] != len(payload):
        raise _damaged(f"it holds {len(payload)} bytes of codes where its header promises {header['payload']}")
    return header, payload


def _header(text: bytes, version: int) -> dict[str, Any]:
    """Returns the fields of the header. Raises `InputError` unless each has a possible value."""
    try:
        header = json.loads(text)
        sizes = [header[name] for name in ("examples", "latent", "levels", "classes")]
        whole = all(type(size) is int for size in sizes) and min(sizes[:3]) > 0
        possible = whole and max(sizes[2:]) <= _MOST and sizes[3] >= 0
        possible &= not header["ranges"] or sizes[2] in [2**bits for bits in range(1, 9)]
        known = type(header["run"]) is str and type(header["payload"]) is int and type(header["ranges"]) is bool
        if version == _CODED:
            known &= type(header["coder"]) is str and type(header["coded"]) is int and header["coded"] >= 0
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged("its header cannot be read") from error
    if not possible or not known:
        raise _damaged("its header states impossible sizes")
    return header


def _damaged(why: str) -> InputError:
    return InputError(f"the file is cut short or altered ({why}): compress it again")
