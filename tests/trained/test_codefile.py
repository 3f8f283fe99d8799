import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aejax.core import InputError
from aejax.trained.codefile import Content, pack, unpack

RUN = "f" * 64


@st.composite
def contents(draw):
    """Anything a file can hold."""
    n, latent, rng = draw(st.integers(1, 30)), draw(st.integers(1, 5)), np.random.default_rng(draw(st.integers(0, 99)))
    quantised = draw(st.booleans())
    of = 2 ** draw(st.integers(1, 8)) if quantised else draw(st.sampled_from([1, 2, 255, 256, 257, 65_536]))
    ranges = rng.normal(size=(2, latent)).astype(np.float32) if quantised else None
    classes = draw(st.sampled_from([0, 1, 10, 256, 1000]))
    label = rng.integers(0, classes, n) if classes else None
    return Content(rng.integers(0, of, (n, latent)), of, ranges, label, classes)


def small():
    ranges = np.float32([[-1, -2], [3, 4]])
    return Content(np.arange(18).reshape(9, 2) % 5, 8, ranges, np.arange(9) % 3, 3)


def reframed(content, changes, codes=None):
    """The same file with other header fields or codes, and a checksum that goes with them."""
    start, (length,) = 9, struct.unpack_from("<I", content, 5)
    header = json.loads(content[start : start + length]) | changes
    codes = content[start + length : -4] if codes is None else codes
    text = json.dumps(header).encode()
    body = content[:5] + struct.pack("<I", len(text)) + text + codes
    return body + struct.pack("<I", zlib.crc32(body))


@settings(deadline=None)
@given(contents())
def test_everything_comes_back_as_it_went(content):
    back = unpack(pack(content, RUN), RUN)
    for given_, same in zip(content, back, strict=True):
        np.testing.assert_array_equal(same, given_)


@pytest.mark.parametrize(("of", "most"), [(16, 1.03), (256, 1.01), (1000, 1.03)])
def test_the_size_comes_near_the_entropy(rng, of, most):
    levels = rng.binomial(of - 1, 0.5, size=(20_000, 4)) if of < 256 else rng.integers(0, of, (20_000, 4))
    share = np.stack([np.bincount(column, minlength=of) for column in levels.T]) / len(levels)
    entropy = -np.sum(share * np.log2(share, where=share > 0, out=np.zeros_like(share))) * len(levels)
    assert entropy <= 8 * len(pack(Content(levels, of), RUN)) <= most * entropy


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_changed_byte_and_any_cut_is_refused(data):
    content = bytearray(pack(small(), RUN))
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:where]
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputError):
        unpack(bytes(content), RUN)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"examples": 10**15}, r"claims 3000000000000016 bytes of codes, more than it can hold"),
        ({"latent": 10**15}, "more than it can hold"),
        ({"examples": 8}, "where its header promises"),
        ({"examples": 10}, "where its header promises"),
        ({"examples": 0}, "impossible sizes"),
        ({"examples": -9, "latent": -2}, "impossible sizes"),
        ({"examples": 9.0}, "impossible sizes"),
        ({"examples": True}, "impossible sizes"),
        ({"levels": 0}, "impossible sizes"),
        ({"levels": 6}, "impossible sizes"),
        ({"levels": 512}, "impossible sizes"),
        ({"levels": 4}, "ranges, levels or labels are impossible"),
        ({"ranges": 1}, "impossible sizes"),
        ({"ranges": False}, "where its header promises"),
        ({"ranges": False, "levels": 2**16 + 1}, "impossible sizes"),
        ({"classes": 2}, "ranges, levels or labels are impossible"),
        ({"classes": 0}, "where its header promises"),
        ({"classes": -1}, "impossible sizes"),
        ({"payload": 3}, "where its header promises 3"),
        ({"run": None}, "impossible sizes"),
        ({"run": "0" * 64}, "another run"),
        ({"payload": None}, "impossible sizes"),
    ],
)
def test_a_header_that_lies_is_refused_though_the_checksum_holds(changes, why):
    content = pack(small(), RUN)
    assert unpack(reframed(content, {}), RUN)
    with pytest.raises(InputError, match=why):
        unpack(reframed(content, changes), RUN)


@pytest.mark.parametrize("payload", [b"", b"not zlib at all", zlib.compress(bytes(43)) + b"more"])
def test_a_payload_that_is_not_the_codes_is_refused(payload):
    content = pack(small(), RUN)
    with pytest.raises(InputError, match="cut short or altered"):
        unpack(reframed(content, {"payload": len(payload)}, payload), RUN)


@pytest.mark.parametrize("header", [b"[]", b"{}", b"\xff", b"[" * 5000, b"null", b""])
def test_a_header_that_is_none_is_refused(header):
    body = b"AEJX\x02" + struct.pack("<I", len(header)) + header
    with pytest.raises(InputError, match=r"header cannot be read"):
        unpack(body + struct.pack("<I", zlib.crc32(body)), RUN)


def test_another_version_and_another_file_are_named():
    content = pack(small(), RUN)
    with pytest.raises(InputError, match="has version 1 of the format"):
        unpack(content[:4] + b"\x01" + content[5:], RUN)
    for other in (b"", b"PK\x03\x04" + content, content[:8]):
        with pytest.raises(InputError, match="not written by `aejax compress`, or is cut short"):
            unpack(other, RUN)


@pytest.mark.parametrize("content", [Content(np.zeros((1, 1), int), 2**16 + 1), small()._replace(classes=2**17)])
def test_what_has_no_room_is_refused_when_it_is_written(content):
    with pytest.raises(InputError, match="a file keeps one of at most 65536 codes and classes"):
        pack(content, RUN)
