"""Measures aejax against Keras on JAX, Keras on TensorFlow and PyTorch, side by side on one machine.

    pip install -e ".[bench]" && aejax data prepare mnist --from DIR && python scripts/bench_cpu.py

Every contender runs in a process of its own that stays alive. They train one epoch at a time in
turn, so that a disturbance of the machine hits all of them; medians are compared. All train
the same network on the same data (full MNIST where it is prepared) to the same loss.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from contest import contest, environment, work

EVERYBODY = ["aejax", "keras-jax", "keras-tensorflow", "torch"]
SMALL = {"hidden": [], "code": 32, "activation": "relu", "batch": 256, "contenders": EVERYBODY}
LARGE = {"hidden": [512], "code": 16, "activation": "linear", "batch": 128, "contenders": ["aejax", "torch"]}
RESULTS = Path(__file__).parent / "results" / "bench_cpu.json"
WHOLE_EPOCHS = 50
"""Number of epochs in a process that is timed from start to end."""


# Contenders: each takes the data's path and the network, and returns a function that trains one epoch, one that
# measures the loss, and a dictionary of further facts.


def aejax(path: str, network: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes aejax a contender: its compiled epoch, as `aejax.fit` runs it."""
    from training import Training

    from aejax.losses import Loss
    from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

    hidden = tuple(network["hidden"])
    model = Autoencoder(
        MLPEncoder(hidden), Plain(network["code"], network["activation"]), MLPDecoder(hidden[::-1]), shape=(784,)
    )
    training = Training(model, Loss(), path, network["batch"])

    def final() -> float:
        facts["matrix_gflops"] = _matrix_rate(network)
        return training.mean(training.loss, "loss_nats", training.part, 1024) / 784

    facts: dict[str, Any] = {}
    return training.epoch, final, facts


def keras(path: str, network: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes Keras a contender: `fit` with the data in memory, as Keras' blog does it."""
    import keras
    import numpy as np

    x = np.load(path).astype(np.float32) / 255
    inputs = features = keras.Input((784,))
    kinds = ["relu"] * len(network["hidden"])
    sizes = [*network["hidden"], network["code"], *reversed(network["hidden"])]
    for size, kind in zip(sizes, [*kinds, network["activation"], *kinds], strict=True):
        features = keras.layers.Dense(size, activation=kind)(features)
    model = keras.Model(inputs, keras.layers.Dense(784, activation="sigmoid")(features))
    model.compile("adam", "binary_crossentropy")
    return (
        lambda epochs=1: model.fit(x, x, batch_size=network["batch"], epochs=epochs, shuffle=True, verbose=0),
        lambda: float(model.evaluate(x, x, batch_size=1024, verbose=0)),
        {},
    )


def torch(path: str, network: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes PyTorch a contender: a plain loop over batches that are indexed out of a tensor in memory."""
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count() or 1)
    x = torch.from_numpy(np.load(path)).float() / 255
    sizes = [784, *network["hidden"], network["code"], *reversed(network["hidden"])]
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    if network["activation"] == "linear":
        layers[2 * len(network["hidden"]) + 1] = nn.Identity()
    model = nn.Sequential(*layers, nn.Linear(sizes[-1], 784))
    for parameter in model.parameters():
        (nn.init.xavier_uniform_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    measure = nn.BCEWithLogitsLoss()

    def epoch() -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x), network["batch"]):
            batch = x[order[start : start + network["batch"]]]
            optimizer.zero_grad()
            measure(model(batch), batch).backward()
            optimizer.step()

    def final() -> float:
        with torch.no_grad():
            return float(measure(model(x), x))

    return epoch, final, {}


def _matrix_rate(network: dict[str, Any]) -> dict[str, float]:
    """Measures the GFLOP/s of one large matrix product, and of the network's own products one after the other."""
    import jax
    import jax.numpy as jnp

    from aejax.training import best_seconds, peak

    sizes = [784, *network["hidden"], network["code"], *reversed(network["hidden"]), 784]
    weights = [jnp.full((a, b), 1e-3) for a, b in pairwise(sizes)]

    @jax.jit
    def products(weights: list[Any], x: Any) -> Any:
        def step(weights: list[Any], _: Any) -> tuple[list[Any], None]:
            activations = [x]
            for weight in weights:
                activations.append(activations[-1] @ weight)
            gradient, updated = activations[-1], []
            for index in reversed(range(len(weights))):
                updated.insert(0, weights[index] - 1e-9 * (activations[index].T @ gradient))
                gradient = gradient @ weights[index].T if index else gradient
            return updated, None

        return jax.lax.scan(step, weights, None, length=100)[0]

    own = best_seconds(products, weights, jnp.ones((network["batch"], 784)), times=5)
    return {"large": peak() / 1e9, "own_shapes": 100 * _flops(network, network["batch"]) / own / 1e9}


def _flops(network: dict[str, Any], examples: int) -> int:
    """Counts the operations of the matrix products in forward and backward pass on so many examples.

    There are three products for each layer, but the gradient by the input is not computed.
    """
    sizes = [784, *network["hidden"], network["code"], *reversed(network["hidden"]), 784]
    layers = [2 * a * b for a, b in pairwise(sizes)]
    return examples * (3 * sum(layers) - layers[0])


CONTENDERS = {"aejax": aejax, "keras-jax": keras, "keras-tensorflow": keras, "torch": torch}


def trained_in_turn(network: dict[str, Any], path: Path, rounds: int) -> dict[str, Any]:
    """Runs the contest, and adds the share of the machine's matrix rate that aejax's epoch attains.

    Args:
        network: the network and its contenders, as `SMALL` and `LARGE`.
        path: the .npy file with the training images.
        rounds: the number of epochs of each contender that are counted.
    """
    result = contest(__file__, network, path, rounds)
    own = result["rows"]["aejax"]
    rate = _flops(network, 60000) / own["epoch_seconds"] / 1e9
    shares = {f"share_of_{name}": rate / value for name, value in own["matrix_gflops"].items()}
    return result | {"matrix_rate": {"gflops": rate} | shares}


def whole_process(contenders: list[str], path: Path) -> dict[str, float]:
    """Measures the seconds from start to end of a process that trains 50 epochs, with nothing compiled beforehand.

    Returns them for each of the contenders, by name; `path` is the .npy file with the training images.
    """
    seconds = {}
    for name in contenders:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            variables = environment(name) | {"JAX_COMPILATION_CACHE_DIR": folder}
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(_whole_command(name, path, folder), env=variables, check=True, **silent)
            seconds[name] = time.perf_counter() - start
        print(f"whole process of {WHOLE_EPOCHS} epochs: {name} {seconds[name]:.1f} s", flush=True)
    return seconds


def _whole_command(name: str, path: Path, folder: str) -> list[str]:
    if name == "aejax train":  # what a user types: it also writes checkpoints, test metrics and figures
        return [sys.executable, "-m", "aejax", "train", "ae-keras", "--epochs", str(WHOLE_EPOCHS), "--out", folder]
    if name == "aejax":  # training alone, as in Keras' process
        return [sys.executable, "-c", "import aejax; aejax.fit(aejax.get('ae-keras'))"]
    return [sys.executable, __file__, "--whole", name, str(path)]


def _mnist() -> Any:
    from aejax.data import Data, load

    return load(Data("mnist", validation=0.0)).train.x.reshape(-1, 784)


def main() -> None:
    """Runs the whole comparison and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="epochs of each contender that are counted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--no-whole", action="store_true", help="leave out the whole processes of 50 epochs")
    arguments = parser.parse_args()

    import numpy as np

    from aejax.runs import hardware, versions

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.npy"
        np.save(path, _mnist())
        result = {
            "hardware": hardware(),
            "versions": versions(),
            "small": trained_in_turn(SMALL, path, arguments.rounds),
            "large": trained_in_turn(LARGE, path, arguments.rounds),
        }
        if not arguments.no_whole:
            result["whole_process_seconds"] = whole_process(["aejax", "aejax train", "keras-jax"], path)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for name in ("small", "large"):
        print(name, json.dumps(result[name]["ratios"] | result[name]["matrix_rate"], indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    elif sys.argv[1:2] == ["--whole"]:
        run_epoch, _, _ = keras(sys.argv[3], SMALL)
        run_epoch(epochs=WHOLE_EPOCHS)
    else:
        main()
