"""Every test here has a cache of its own and no network."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aejax.data import _mnist, _tfds

OFFICIAL = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
IDX_FILES = {
    "train-images-idx3-ubyte.gz": (12, 28, 28),
    "train-labels-idx1-ubyte.gz": (12,),
    "t10k-images-idx3-ubyte.gz": (4, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (4,),
}


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_tfds, _mnist):
        monkeypatch.setattr(module, "reachable", lambda url: False)


@pytest.fixture(scope="session")
def official() -> Path:
    if not OFFICIAL.is_dir():
        pytest.skip("the four official files of MNIST are not at ../shared/data/mnist")
    return OFFICIAL


def idx_bytes(values: np.ndarray) -> bytes:
    """An IDX file's content before compression."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.fixture
def small_idx(tmp_path: Path) -> Path:
    """A folder with a small set in MNIST's format."""
    folder = tmp_path / "files"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in IDX_FILES.items():
        values = rng.integers(0, 10 if len(shape) == 1 else 256, shape, dtype=np.uint8)
        (folder / name).write_bytes(gzip.compress(idx_bytes(values)))
    return folder


@pytest.fixture
def registered(small_idx: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes TFDS expect the files of `small_idx`, at addresses that begin as given."""
    import tensorflow_datasets as tfds

    def register(base: str = "http://files.invalid/") -> None:
        infos = {}
        for name in IDX_FILES:
            content = (small_idx / name).read_bytes()
            checksum = hashlib.sha256(content).hexdigest()
            infos[base + name] = tfds.download.checksums.UrlInfo(size=len(content), checksum=checksum, filename=name)
        monkeypatch.setattr(tfds, "builder_cls", lambda name: SimpleNamespace(url_infos=infos))

    return register
