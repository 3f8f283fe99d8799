import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from aejax.core import InputError
from aejax.data._idx import read_idx
from tests.data.conftest import idx_bytes

VALUES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_array_is_read_back(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx_bytes(values), mtime=0))
    found = read_idx(tmp_path / "a.gz", rank=len(shape))
    assert found.dtype == np.uint8
    assert found.flags.writeable
    np.testing.assert_array_equal(found, values)


GOOD = idx_bytes(VALUES)
HUGE = bytes([0, 0, 8, 3]) + np.array([2**31] * 3, ">u4").tobytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"\x00\x00\x0d\x03" + GOOD[4:], mtime=0), "begins with 00000d03 where 00000803"),
        (gzip.compress(idx_bytes(VALUES[0]), mtime=0), "begins with 00000802"),
        (gzip.compress(b"hello, this is text", mtime=0), "begins with 68656c6c"),
        (gzip.compress(b"", mtime=0), "begins with  where"),
        (gzip.compress(GOOD[:9], mtime=0), "header is cut short"),
        (gzip.compress(GOOD[:-1], mtime=0), "promises 60 bytes and it holds 59"),
        (gzip.compress(GOOD + b"\x00", mtime=0), "promises 60 bytes and it holds more"),
        (gzip.compress(GOOD, mtime=0)[:-12], "ended before the end-of-stream marker"),
        (gzip.compress(HUGE, mtime=0), "more than the file can hold"),
        (GOOD, "[Nn]ot a gzipped file"),
        (b"", "begins with"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, content, why):
    file = tmp_path / "images.gz"
    file.write_bytes(content)
    with pytest.raises(InputError, match=why) as caught:
        read_idx(file, rank=3)
    assert str(file) in str(caught.value)


def test_a_flipped_byte_breaks_the_gzip_checksum(tmp_path):
    content = bytearray(gzip.compress(GOOD, compresslevel=0, mtime=0))
    content[content.index(VALUES.tobytes()) + 30] ^= 1
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        read_idx(tmp_path / "a.gz", rank=3)
