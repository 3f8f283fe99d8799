import dataclasses
import itertools
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import aejax
from aejax import cli
from aejax.compress import compress, decompress, fingerprint, pack, unpack
from aejax.data import Data
from aejax.errors import InputError
from aejax.quantise import Quantizer
from tests.test_loop import DATASET, EXPERIMENT

CODES = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.floats(-1e3, 1e3, width=32))
RUN = "f" * 64
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained():
    return aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET)


def small(bits=3):
    codes = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)
    quantizer = Quantizer.fit(codes, bits)
    return quantizer, quantizer.quantise(codes)


def reframed(content, changes, codes=None):
    """The same file with other header fields or codes, and a checksum that goes with them."""
    start, (length,) = 9, struct.unpack_from("<I", content, 5)
    header = json.loads(content[start : start + length]) | changes
    codes = content[start + length : -4] if codes is None else codes
    text = json.dumps(header).encode()
    body = content[:5] + struct.pack("<I", len(text)) + text + codes
    return body + struct.pack("<I", zlib.crc32(body))


# The quantiser


@settings(deadline=None)
@given(CODES, st.integers(1, 8))
def test_what_is_inside_the_range_moves_by_half_a_level_at_most(codes, bits):
    quantizer = Quantizer(codes.min(axis=0), codes.max(axis=0), bits)
    levels = quantizer.quantise(codes)
    step = (quantizer.high - quantizer.low) / 2**bits
    assert levels.dtype == np.uint8
    assert levels.max() < 2**bits
    assert (np.abs(quantizer.restore(levels) - codes) <= step / 2 + 1e-3).all()


@settings(deadline=None)
@given(CODES, st.integers(1, 8))
def test_the_fitted_range_is_no_worse_than_the_codes_own(codes, bits):
    own, fitted = Quantizer(codes.min(axis=0), codes.max(axis=0), bits), Quantizer.fit(codes, bits)
    error = [np.square(q.restore(q.quantise(codes)) - codes).mean() for q in (fitted, own)]
    assert error[0] <= error[1] * (1 + 1e-3) + 1e-6


def test_more_bits_lose_less_and_a_constant_dimension_loses_nothing():
    codes = RNG.normal(size=(2000, 2)).astype(np.float32) * np.float32([1, 0]) + np.float32([0, 7])
    restored = [(q := Quantizer.fit(codes, bits)).restore(q.quantise(codes)) for bits in range(1, 9)]
    error = [np.square(values - codes).mean(axis=0) for values in restored]
    assert all(more[0] < less[0] for less, more in itertools.pairwise(error))
    assert np.max(error, axis=0)[1] == 0
    # The best two levels for a standard normal are at +-0.798, and lose 0.3634 (Max 1960, table I).
    assert error[0][0] == pytest.approx(0.3634, abs=0.03)


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(InputError, match=f"bits is {bits}: give a whole number from 1 to 8"):
        Quantizer.fit(np.zeros((2, 2), np.float32), bits)


# The file


@settings(deadline=None)
@given(CODES, st.integers(1, 8))
def test_levels_and_ranges_come_back_as_they_went(codes, bits):
    quantizer = Quantizer.fit(codes, bits)
    levels = quantizer.quantise(codes)
    back, same = unpack(pack(quantizer, levels, RUN), RUN)
    np.testing.assert_array_equal(same, levels)
    np.testing.assert_array_equal(back.restore(same), quantizer.restore(levels))


def test_the_size_comes_near_the_entropy():
    codes = RNG.normal(size=(20_000, 4)).astype(np.float32)
    quantizer = Quantizer.fit(codes, 4)
    levels = quantizer.quantise(codes)
    share = np.stack([np.bincount(column, minlength=16) for column in levels.T]) / len(levels)
    entropy = -np.sum(share * np.log2(share, where=share > 0, out=np.zeros_like(share))) * len(levels)
    assert entropy <= 8 * len(pack(quantizer, levels, RUN)) <= 1.05 * entropy


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_changed_byte_and_any_cut_is_refused(data):
    content = bytearray(pack(*small(), RUN))
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
        ({"examples": 10**15}, r"claims 1000000000000000 codes of 2, more than it can hold"),
        ({"latent": 10**15}, "more than it can hold"),
        ({"examples": 8}, "where its header promises"),
        ({"examples": 10}, "where its header promises"),
        ({"examples": 0}, "impossible sizes"),
        ({"examples": -9, "latent": -2}, "impossible sizes"),
        ({"examples": 9.0}, "impossible sizes"),
        ({"examples": True}, "impossible sizes"),
        ({"bits": 9}, "impossible sizes"),
        ({"bits": 1}, "ranges or levels are impossible"),
        ({"payload": 3}, "where its header promises 3"),
        ({"run": None}, "impossible sizes"),
        ({"run": "0" * 64}, "another run"),
        ({"payload": None}, "impossible sizes"),
    ],
)
def test_a_header_that_lies_is_refused_though_the_checksum_holds(changes, why):
    quantizer, levels = small()
    content = pack(quantizer, levels | np.uint8(4), RUN)
    assert unpack(reframed(content, {}), RUN)
    with pytest.raises(InputError, match=why):
        unpack(reframed(content, changes), RUN)


@pytest.mark.parametrize("payload", [b"", b"not zlib at all", zlib.compress(bytes(34)) + b"more"])
def test_a_payload_that_is_not_the_codes_is_refused(payload):
    content = pack(*small(), RUN)
    with pytest.raises(InputError, match="cut short or altered"):
        unpack(reframed(content, {"payload": len(payload)}, payload), RUN)


@pytest.mark.parametrize("header", [b"[]", b"{}", b"\xff", b"[" * 5000, b"null", b""])
def test_a_header_that_is_none_is_refused(header):
    body = b"AEJX\x01" + struct.pack("<I", len(header)) + header
    with pytest.raises(InputError, match=r"header cannot be read"):
        unpack(body + struct.pack("<I", zlib.crc32(body)), RUN)


def test_a_later_version_and_another_file_are_named():
    content = pack(*small(), RUN)
    with pytest.raises(InputError, match="has version 2 of the format"):
        unpack(content[:4] + b"\x02" + content[5:], RUN)
    for other in (b"", b"PK\x03\x04" + content, content[:8]):
        with pytest.raises(InputError, match="not written by `aejax compress`, or is cut short"):
            unpack(other, RUN)


# With a model


def test_what_comes_back_is_what_the_quantised_codes_decode_to(trained):
    quantizer = Quantizer.fit(trained.encode(DATASET.train.x), 5)
    back = decompress(trained, compress(trained, DATASET.test.x, quantizer))
    codes = quantizer.restore(quantizer.quantise(trained.encode(DATASET.test.x)))
    np.testing.assert_array_equal(back, trained.decode(codes))


def test_the_fingerprint_is_the_weights(trained):
    params = trained.state.params
    params = params | {"decoder": {"out": params["decoder"]["out"] | {"bias": params["decoder"]["out"]["bias"] + 1e-6}}}
    other = dataclasses.replace(trained, state=dataclasses.replace(trained.state, params=params))
    assert fingerprint(trained) == fingerprint(dataclasses.replace(trained))
    assert fingerprint(trained) != fingerprint(other)


def test_the_commands_round_trip_and_refuse_another_run(tmp_path, monkeypatch, capsys):
    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["aejax", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as exit_:
            return exit_.code
        return 0

    data = tmp_path / "x.npz"
    np.savez(data, x_train=DATASET.train.x, x_test=DATASET.test.x)
    experiment = dataclasses.replace(EXPERIMENT, data=Data(str(data), validation=0.0), epochs=1)
    run, other = (aejax.fit(dataclasses.replace(experiment, seed=seed), folder=tmp_path).run.path for seed in range(2))
    file, out = tmp_path / "x.aej", tmp_path / "out.npy"
    assert command("compress", run, "--data", data, "--bits", "3", "--out", file) == 0
    assert f"{file.stat().st_size} bytes for 10 examples" in capsys.readouterr().out
    assert command("decompress", run, file, "--out", out) == 0
    loaded = aejax.load(run)
    quantizer = Quantizer.fit(loaded.encode(DATASET.train.x), 3)
    codes = quantizer.restore(quantizer.quantise(loaded.encode(DATASET.test.x)))
    np.testing.assert_array_equal(np.load(out), loaded.decode(codes))
    capsys.readouterr()
    for arguments in (
        ("decompress", other, file, "--out", out),
        ("decompress", run, tmp_path / "none.aej", "--out", out),
        ("compress", run, "--data", data, "--bits", "9", "--out", file),
    ):
        assert command(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
