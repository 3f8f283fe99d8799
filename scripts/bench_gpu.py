"""Measures aejax's VAE and IWAE against PyTorch loops, eager and compiled, on one GPU.

    pip install -e . torch && aejax data prepare mnist --from DIR && python scripts/bench_gpu.py

Needs a JAX with CUDA and a PyTorch with CUDA. The settings, the contenders and their data are those
of bench_vae.py; PyTorch holds its data on the GPU too. Where
full MNIST is not at hand, `--data mnist-5k` repeats the embedded digits to as many.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench_vae import CONTENDERS, IWAE, VAE, binary_mnist
from contest import contest, work

ON_GPU = ["aejax", "torch", "torch-compiled"]
SETTINGS = {"vae": VAE, "vae_batch_1024": VAE | {"batch": 1024}, "iwae": IWAE}
RESULTS = Path(__file__).parent / "results" / "bench_gpu.json"


def main() -> None:
    """Runs the comparison and writes it as JSON. Exits with 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that are counted")
    parser.add_argument("--examples", type=int, default=60_000, help="training images")
    parser.add_argument("--data", default="mnist", help="mnist, or mnist-5k where that is all there is")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    import jax

    from aejax.runs import hardware, versions

    if jax.default_backend() != "gpu":
        print(f"JAX finds no GPU here, only {jax.default_backend()}: run this where there is one", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        path = binary_mnist(Path(folder), arguments.examples, arguments.data)
        results = {
            name: contest(__file__, setting | {"contenders": ON_GPU}, path, arguments.rounds)
            for name, setting in SETTINGS.items()
        }
    content = {"hardware": hardware(), "versions": versions(), **results}
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps({name: result["ratios"] for name, result in results.items()}, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
