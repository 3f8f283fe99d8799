"""Measures a user's own residual encoder in aejax, in plain Flax and in Pythae, side by side on one machine.

    pip install -e ".[bench]" && python scripts/bench_residual.py [PHOTOS]

PHOTOS is whatever `aejax train --data` reads as colour images of 32 x 32, by default those of CIFAR-10 in ../shared;
only the first 3,000 to train on are used. The layers are Linen's own, as a user writes them: `nn.Conv` and
`nn.ConvTranspose` in one class, which aejax trains inside its compiled windows of steps, and plain Flax by a jitted
step called in a loop. Where Pythae is installed, it trains the same network of PyTorch's layers by its own trainer. All
minimise the squared error by Adam at 1e-3.
"""

import argparse
import importlib.util
import json
import logging
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from contest import contest, work

RESIDUAL = {
    "width": 32,
    "blocks": 2,
    "code": 64,
    "batch": 128,
    "photos": 3000,
    "contenders": ["aejax", "flax"] + ["pythae"] * (importlib.util.find_spec("pythae") is not None),
}
CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.gz"
RESULTS = Path(__file__).parent / "results" / "bench_residual.json"


def layers(setting: dict[str, Any]) -> tuple[Any, Any]:
    """Returns Linen's encoder and decoder of 32 x 32 photos, as functions without knowledge of aejax.

    Each is called inside a compact method: `encode(x)` gives features, `decode(z)` an image of three channels.
    """
    import flax.linen as nn

    width, blocks = setting["width"], setting["blocks"]

    def residual(x: Any) -> Any:
        inner = nn.relu(nn.Conv(x.shape[-1], (3, 3))(nn.relu(x)))
        return x + nn.Conv(x.shape[-1], (3, 3))(inner)

    def encode(x: Any) -> Any:
        x = nn.Conv(width, (3, 3), strides=2)(x)
        x = nn.Conv(2 * width, (3, 3), strides=2)(nn.relu(x))
        for _ in range(blocks):
            x = residual(x)
        return nn.relu(x).reshape(len(x), -1)

    def decode(z: Any) -> Any:
        x = nn.Dense(8 * 8 * 2 * width)(z).reshape(len(z), 8, 8, 2 * width)
        for _ in range(blocks):
            x = residual(x)
        x = nn.ConvTranspose(width, (3, 3), strides=(2, 2))(nn.relu(x))
        return nn.ConvTranspose(3, (3, 3), strides=(2, 2))(nn.relu(x))

    return encode, decode


# Contenders: each takes the data's path and the setting, and returns a function that trains one epoch, one that
# measures the squared error of an image, and a dictionary of further facts.


def aejax(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes aejax a contender: its compiled windows of steps, as `aejax.fit` runs them."""
    import math

    import flax.linen as nn
    from training import Training

    from aejax.core import known
    from aejax.losses import Gaussian, Loss
    from aejax.models import Autoencoder, Decoder, Encoder, Plain

    encode, decode = layers(setting)

    @known
    class Residual(Encoder):
        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            return encode(x)

    @known
    class ResidualBack(Decoder):
        @nn.compact
        def __call__(self, z: Any, shape: tuple[int, ...], train: bool = False) -> Any:
            return decode(z)

    model = Autoencoder(Residual(), Plain(setting["code"], "linear"), ResidualBack(), shape=(32, 32, 3))
    training = Training(model, Loss(Gaussian()), path, setting["batch"])

    def error() -> float:
        nats = training.mean(training.loss, "loss_nats", training.part, 500)
        return 2 * nats - 32 * 32 * 3 * math.log(2 * math.pi)  # of a Gaussian of deviation 1

    return training.epoch, error, {}


def flax(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes plain Flax a contender: a jitted step that a loop calls with each batch."""
    import flax.linen as nn
    import jax
    import numpy as np
    import optax

    encode, decode = layers(setting)

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return decode(nn.Dense(setting["code"])(encode(x)))

    x = np.load(path).astype(np.float32) / 255
    network, optimizer, rng = Network(), optax.adam(1e-3), np.random.default_rng(0)
    params = network.init(jax.random.key(0), x[:1])
    state = {"params": params, "optimizer": optimizer.init(params)}

    def error(params: Any, batch: Any) -> Any:
        return ((network.apply(params, batch) - batch) ** 2).sum(axis=(1, 2, 3)).mean()

    @jax.jit
    def step(params: Any, moments: Any, batch: Any) -> tuple[Any, Any]:
        updates, moments = optimizer.update(jax.grad(error)(params, batch), moments)
        return optax.apply_updates(params, updates), moments

    measured = jax.jit(error)

    def epoch() -> None:
        order = rng.permutation(len(x))
        for start in range(0, len(x) - setting["batch"] + 1, setting["batch"]):
            batch = x[order[start : start + setting["batch"]]]
            state["params"], state["optimizer"] = step(state["params"], state["optimizer"], batch)
        jax.block_until_ready(state)

    def final() -> float:
        return float(np.mean([measured(state["params"], x[start : start + 500]) for start in range(0, len(x), 500)]))

    return epoch, final, {}


def pythae(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes Pythae a contender: its autoencoder with the same layers, an epoch at a time by its own trainer."""
    import numpy as np
    import torch
    from pythae import models
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from torch import nn

    logging.disable(logging.CRITICAL)
    torch.set_num_threads(os.cpu_count() or 1)
    x = torch.from_numpy(np.load(path)).permute(0, 3, 1, 2).float().contiguous() / 255
    width, code = setting["width"], setting["code"]

    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

        def forward(self, x: Any) -> Any:
            return x + self.second(torch.relu(self.first(torch.relu(x))))

    def blocks() -> list[Any]:
        return [Block(2 * width) for _ in range(setting["blocks"])]

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            down = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1)]
            self.layers = nn.Sequential(*down, *blocks(), nn.ReLU(), nn.Flatten(), nn.Linear(128 * width, code))

        def forward(self, x: Any) -> Any:
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            up = [nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(width, 3, 3, 2, 1, 1)]
            flat = [nn.Linear(code, 128 * width), nn.Unflatten(1, (2 * width, 8, 8))]
            self.layers = nn.Sequential(*flat, *blocks(), nn.ReLU(), *up)

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    model = models.AE(models.AEConfig(input_dim=(3, 32, 32), latent_dim=code), Encoder(), Decoder())
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        learning_rate=1e-3,
        per_device_train_batch_size=setting["batch"],
        optimizer_cls="Adam",
        no_cuda=True,
    )
    trainer = BaseTrainer(model, BaseDataset(x, x[:, :1, 0, 0]), training_config=config)
    trainer.prepare_training()

    def final() -> float:
        with torch.no_grad():
            losses = [float(model({"data": x[start : start + 500]}).loss) for start in range(0, len(x), 500)]
        return sum(losses) / len(losses)

    return (lambda: trainer.train_step(1)), final, {}


CONTENDERS = {"aejax": aejax, "flax": flax, "pythae": pythae}


def unpacked(archive: Path, to: Path) -> Path:
    """Writes every fifth photo to train on of an archive below a folder, and returns where they are."""
    with tarfile.open(archive) as tar:
        train = [member for member in tar if member.isfile() and "/train/" in member.name]
        tar.extractall(to, train[::5], filter="data")
    return to / Path(train[0].name).parts[0]


def photos(source: str, to: Path, count: int) -> Path:
    """Writes the first photos of a data set that are trained on to a .npy file, and returns its path.

    Args:
        source: what `aejax train --data` reads.
        to: the folder of the file.
        count: the number of photos.
    """
    import numpy as np

    from aejax.data import Data, load

    np.save(to / "train.npy", load(Data(source)).train.x[:count])
    return to / "train.npy"


def main() -> None:
    """Runs the comparison and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", help="folder or file of colour images of 32 x 32; by default CIFAR-10's")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that are counted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    from aejax.runs import hardware, versions

    if arguments.photos is None and not CIFAR.exists():
        parser.error(f"{CIFAR} is not there: give PHOTOS")
    with tempfile.TemporaryDirectory() as folder:
        path = photos(arguments.photos or str(unpacked(CIFAR, Path(folder))), Path(folder), RESIDUAL["photos"])
        # The initial weights of PyTorch's layers are others, and after few epochs that still shows in the error.
        result = contest(__file__, RESIDUAL, path, arguments.rounds, within=1.25)
    arguments.out.write_text(json.dumps({"hardware": hardware(), "versions": versions(), **result}, indent=2) + "\n")
    print(json.dumps(result["ratios"], indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
