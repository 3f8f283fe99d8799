"""Measures aejax against PyTorch, a population against one run, and both against the ceilings of one GPU.

    pip install -e . torch && python scripts/bench_gpu.py

It needs a JAX with CUDA, a PyTorch with CUDA, a C compiler for torch.compile, no network, and less than eight
minutes: what could not begin in time is left out. After the device's ceilings there are five parts: a profile that
shows whether the host interrupts an epoch; float32 and bfloat16; the contest with PyTorch, eager, compiled, and with
CUDA graphs; 64 settings at once; and examples a second by batch size. The images are drawn by the script, or read
from `--data FILE.npy`, uint8, [n, 28, 28]. The results of finished parts are kept if a later part fails.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from contest import contest, work
from gpu_models import CONTENDERS, MODELS, SIDE

RESULTS = Path(__file__).parent / "results" / "bench_gpu.json"
TARGETS = {"torch": 10.0, "torch-compile-graphs": 1.3}
"""How many times as fast as each of these contenders aejax should be, at the first batch size."""
MOST_CODES = 50 * 4096
"""Largest number of codes in a batch: more do not fit the memory beside their gradients."""
FULL = {
    "models": list(MODELS),
    "contenders": list(CONTENDERS),
    "batches": [256, 4096],
    "curve": [64, 256, 1024, 4096, 16_384],
    "examples": 60_000,
    "rounds": 3,
    "members": 64,
    "size": 8192,
    "seconds": 420,
}
SMALL = FULL | {
    "models": ["ae-keras"],
    "contenders": ["aejax"],
    "batches": [16],
    "curve": [8, 16],
    "examples": 64,
    "members": 3,
    "size": 64,
}
"""Sizes that take a CPU seconds, to see that everything runs."""


def images(path: Path, examples: int, given: Path | None) -> None:
    """Writes black and white images as bytes 0 and 255, [examples, 28, 28, 1], each pixel drawn from its grey level.

    Args:
        path: the .npy file to write.
        examples: the number of images; they are repeated where there are fewer.
        given: a .npy file of grey images, uint8; None: strokes are drawn.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    if given is None:  # strokes: curves of degree two with a soft pen
        ends = rng.uniform(4, SIDE - 4, (min(examples, 4096), 3, 2))
        t = np.linspace(0, 1, 16)[:, None]
        curve = np.concatenate([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1) @ ends
        pixels = np.arange(SIDE)
        distance = [np.square(pixels - curve[..., axis, None]) for axis in (0, 1)]
        grey = np.exp(-(distance[0][..., None] + distance[1][..., None, :]).min(axis=1) / 3)
    else:
        grey = np.load(given) / 255
    drawn = rng.uniform(size=grey.shape) < grey
    np.save(path, np.resize(drawn, (examples, SIDE, SIDE, 1)).astype(np.uint8) * np.uint8(255))


def against_torch(path: Path, sizes: dict[str, Any], in_time: Callable[[], bool]) -> dict[str, Any]:
    """Runs the contest with PyTorch for every model at every batch size; where one fails, the others go on.

    Args:
        path: the .npy file of images.
        sizes: the settings of the benchmark, as `FULL`.
        in_time: tells whether there is time for another one.

    Returns:
        The result of each contest by its name, or why it failed.
    """
    results = {}
    for batch, name in itertools.product(sizes["batches"], sizes["models"]):
        if not in_time():
            break
        setting = {"model": name, "batch": batch, "contenders": sizes["contenders"]} | MODELS[name]
        try:
            result = contest(__file__, setting, path, sizes["rounds"], within=1.1, excused=True)
        except SystemExit as error:
            result = {"failed": str(error)}
            print(error, file=sys.stderr)
        results[f"{name}, batch {batch}"] = result
    return results


def measure(path: Path, sizes: dict[str, Any], in_time: Callable[[], bool]) -> Iterator[tuple[str, Any]]:
    """Runs the parts one after the other, and yields the name and the results of each as soon as it is done.

    The contest comes after the parts that train alone, because programs that are tuned while others use the GPU may be
    worse: the contenders find well-tuned ones in the cache.

    Args:
        path: the .npy file of images.
        sizes: the settings of the benchmark, as `FULL`.
        in_time: tells whether there is time for another measurement; without it none begins.
    """
    import gpu_ceilings as ceilings

    models, small, large = sizes["models"], sizes["batches"][0], sizes["batches"][-1]
    best = ceilings.ceilings(sizes["size"])
    yield "ceilings", best

    def speed(name: str, batch: int, **settings: Any) -> dict[str, float]:
        return ceilings.throughput(name, str(path), batch, best, sizes["rounds"], **settings)

    yield "profile", {name: ceilings.interruptions(name, str(path), small) for name in models if in_time()}
    kinds = ("float32", "bfloat16")
    yield (
        "precision",
        {name: {kind: speed(name, large, precision=kind) for kind in kinds if in_time()} for name in models},
    )
    yield "contest", against_torch(path, sizes, in_time)
    yield "population", ceilings.members(str(path), sizes["members"], 4, small) if in_time() else {}
    fits = lambda name, size: MODELS[name]["samples"] * size <= MOST_CODES  # noqa: E731
    curves = {name: [size for size in sizes["curve"] if fits(name, size)] for name in models}
    yield "batch_sizes", {name: {size: speed(name, size) for size in curves[name] if in_time()} for name in models}


def judged(results: dict[str, Any], sizes: dict[str, Any]) -> dict[str, bool]:
    """Tells for each target that was measured whether it is met."""
    met = {}
    for name, result in results["contest"].items():
        for other, times in TARGETS.items():
            if name.endswith(f"batch {sizes['batches'][0]}") and other in result.get("ratios", {}):
                met[f"{name}: {times:g} times {other}"] = result["ratios"][other] * times <= 1
    for name, seen in results["profile"].items():
        if seen["kernels"]:
            met[f"{name}: no copy to the host inside an epoch"] = seen["copies_to_host_inside"] == 0
    return met


def main() -> None:
    """Runs every part and writes JSON and figures. Exits with 2 where there is no GPU, unless --small is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="images as .npy, uint8, [n, 28, 28], in place of drawn ones")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU, and aejax alone")
    parser.add_argument("--models", nargs="+", choices=MODELS)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="the first is compared with the others")
    parser.add_argument("--rounds", type=int, help="how often each contender's epochs are timed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="figures are written beside it")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        # No process takes the memory that others need, and programs that one has compiled are shared by a cache.
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | cache
        run(arguments, Path(folder) / "images.npy")


def run(arguments: argparse.Namespace, path: Path) -> None:
    """Runs all parts, on images that are written to `path`, and writes the results after each part."""
    import gpu_figures
    import jax

    from aejax.runs import hardware, versions

    if jax.default_backend() != "gpu" and not arguments.small:
        print(f"JAX finds no GPU here, only {jax.default_backend()}: run this where there is one", file=sys.stderr)
        raise SystemExit(2)
    given = {name: value for name, value in vars(arguments).items() if name in FULL and value is not None}
    sizes = (SMALL if arguments.small else FULL) | given
    results: dict[str, Any] = {"hardware": hardware(), "versions": versions(), "sizes": sizes}
    start = time.perf_counter()
    images(path, sizes["examples"], arguments.data)
    for name, result in measure(path, sizes, lambda: time.perf_counter() - start < sizes["seconds"]):
        results |= {name: result, "seconds": time.perf_counter() - start}
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    results["met"] = judged(results, sizes)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    gpu_figures.draw(results, arguments.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
