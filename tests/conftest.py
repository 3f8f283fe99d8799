"""Strict numerics, annotations checked at run time, a cache of the suite's own, and a tiny experiment."""

import atexit
import gc
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

# Before jax is imported, and for what tests start too: their programs run for less time than they take to compile.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
if version("jaxlib").startswith("0.10."):  # Later ones know no such flag, and end the process that gives it.
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"

# One cache of compiled programs for the workers of a run and for what they start: each compiles once in all.
if "PYTEST_XDIST_WORKER" not in os.environ and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="aejax-tests-")
    # What compiles in less time than this is about as fast to compile as to read.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

import tests.helpers.runtime_types  # noqa: F401 - the hook below looks it up by its name

# Only the pure core: at the edge, input that breaks its annotation is what many tests give.
CORE = ("examples", "keys", "linen", "mean", "optimizers", "train_step", "epochs", "evaluation")
CHECKED = (*(f"core.{module}" for module in CORE), "losses", "metrics", "models", "data.dataset", "data.preprocess")
install_import_hook([f"aejax.{module}" for module in CHECKED], "tests.helpers.runtime_types.check")

# No array gains an axis by itself, anywhere.
jax.config.update("jax_numpy_rank_promotion", "raise")

from aejax import losses, models  # noqa: E402
from aejax.core import Examples  # noqa: E402
from aejax.data import Data, Dataset  # noqa: E402
from aejax.experiment import Experiment  # noqa: E402
from aejax.losses import Loss  # noqa: E402
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain  # noqa: E402

MOST_MEGABYTES = 2500

# A class is known once its module is imported: tests that go over all of a kind have them in whatever order they run.
for package in (losses, models):
    for public in package.__all__:
        getattr(package, public)


class Tiny(NamedTuple):
    experiment: Experiment
    dataset: Dataset


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder of prepared data for all workers of a run, and for what they start: each set is made once."""
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEJAX_CACHE", str((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "data"))
        yield


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage need not look at it, nor at a trace while it grows."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True, scope="module")
def _few_programs_left() -> Iterator[None]:
    """A worker drops its compiled programs where they take much memory: those of the whole suite take 6 GB."""
    yield
    if resident_megabytes() > MOST_MEGABYTES:
        jax.clear_caches()
        gc.collect()


def resident_megabytes() -> float:
    """The memory of this process; without Linux's table of it, infinity."""
    table = Path("/proc/self/statm")
    return int(table.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if table.exists() else math.inf


@pytest.fixture
def strict() -> Iterator[None]:
    """No dtype turns into another. Not where Optax's Adam runs: it raises its decay to an integer power."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A test's own generator, whose numbers depend on no other test, nor are they those of a module's constants."""
    return np.random.default_rng(20)


@pytest.fixture
def tiny() -> Tiny:
    """An MLP on 4x4 grey images of three kinds; 40 to train on, 11 for validation, 10 for test."""
    model = Autoencoder(MLPEncoder((8,)), Plain(3), MLPDecoder((8,)))
    experiment = Experiment(model, Loss(), Data("tiny"), batch_size=8, epochs=2, name="tiny")
    return Tiny(experiment, Dataset("tiny", _part(40, 0), _part(11, 1), _part(10, 2)))


def _part(size: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, size).astype(np.int32)
    kinds = np.random.default_rng(3).uniform(40, 215, (3, 4, 4, 1))
    x = np.clip(kinds[label] + rng.normal(0, 20, (size, 4, 4, 1)), 0, 255).astype(np.uint8)
    return Examples(x, label)
