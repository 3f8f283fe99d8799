"""Measures aejax's VAE, its IWAE and its estimate of the likelihood against Pythae's, side by side on one machine.

    pip install -e ".[bench]" && aejax data prepare mnist --from DIR && python scripts/bench_vae.py

Both have the same architecture, binary pixels and optimiser. Pythae trains by its own trainer, and once
more by a plain PyTorch loop around its model with the data in memory. The likelihoods are those of
one set of parameters, which aejax has trained and which are copied into Pythae's model.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from contest import contest, work

SIZE = 28 * 28
VAE = {"hidden": [500], "code": 20, "activation": "relu", "samples": 1, "batch": 128}
IWAE = {"hidden": [200, 200], "code": 50, "activation": "tanh", "samples": 50, "batch": 20}
IWAE_STEPS = 200
ON_CPU = ["aejax", "pythae", "pythae-loop"]
RESULTS = Path(__file__).parent / "results" / "bench_vae.json"


# Contenders: each takes the data's path and the setting, and returns a function that trains one epoch, one that
# measures the loss, and a dictionary of further facts.


def aejax(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes aejax a contender: its compiled epoch, as `aejax.fit` runs it."""
    training = _training(path, setting)
    return training.epoch, (lambda: training.mean(training.loss, "loss_nats", training.part, 200)), {}


def _training(path: str, setting: dict[str, Any]) -> Any:
    from training import Training

    from aejax.losses import Loss

    model, terms = aejax_model(setting)
    return Training(model, Loss(terms=terms), path, setting["batch"])


def aejax_model(setting: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Returns aejax's VAE or IWAE, and the terms of its bound."""
    from aejax.losses import KL, ImportanceWeighted, Reconstruction
    from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder

    hidden, kind = tuple(setting["hidden"]), setting["activation"]
    model = VariationalAutoencoder(
        MLPEncoder(hidden, kind), GaussianLatent(setting["code"]), MLPDecoder(hidden[::-1], kind), shape=(SIZE,)
    )
    if setting["samples"] == 1:
        return model, {"reconstruction": Reconstruction(), "kl": KL()}
    return model, {"bound": ImportanceWeighted(samples=setting["samples"])}


def pythae(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes Pythae a contender: its own trainer, an epoch at a time."""
    import logging

    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.CRITICAL)
    x, device = _tensor(path)
    model = pythae_model(setting).to(device)
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        learning_rate=1e-3,
        per_device_train_batch_size=setting["batch"],
        optimizer_cls="Adam",
        no_cuda=device == "cpu",
    )
    trainer = BaseTrainer(model, BaseDataset(x, x[:, :1]), training_config=config)
    trainer.prepare_training()
    return (lambda: trainer.train_step(1)), (lambda: _bound(model, x, setting)), {}


def pythae_loop(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes Pythae's model a contender in a plain PyTorch loop, with the data in memory."""
    x, device = _tensor(path)
    model = pythae_model(setting).to(device)
    return _loop(model, lambda batch: model({"data": batch}).loss, x, setting)


def pythae_model(setting: dict[str, Any]) -> Any:
    """Returns Pythae's VAE or IWAE with aejax's layers and initialisation."""
    import torch
    from torch import nn

    sizes = [SIZE, *setting["hidden"]]
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[setting["activation"]]
    code = setting["code"]

    def stack(sizes: list[int]) -> list[Any]:
        return [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), kind())]

    encoder = nn.Sequential(*stack(sizes))
    mean, log_variance = nn.Linear(sizes[-1], code), nn.Linear(sizes[-1], code)
    back = [code, *sizes[:0:-1]]
    decoder = nn.Sequential(*stack(back), nn.Linear(back[-1], SIZE), nn.Sigmoid())
    for parameter in (p for part in (encoder, mean, log_variance, decoder) for p in part.parameters()):
        (nn.init.xavier_uniform_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
    torch.set_num_threads(os.cpu_count() or 1)

    from pythae import models
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.mean, self.log_variance = encoder, mean, log_variance

        def forward(self, x: Any) -> Any:
            features = self.layers(x)
            return ModelOutput(embedding=self.mean(features), log_covariance=self.log_variance(features))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = decoder

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    shared = {"input_dim": (SIZE,), "latent_dim": code, "reconstruction_loss": "bce"}
    if setting["samples"] == 1:
        return models.VAE(models.VAEConfig(**shared), Encoder(), Decoder())
    return models.IWAE(models.IWAEConfig(number_samples=setting["samples"], **shared), Encoder(), Decoder())


def _tensor(path: str) -> tuple[Any, str]:
    import numpy as np
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return (torch.from_numpy(np.load(path)).float() / 255).to(device), device


def _loop(model: Any, objective: Any, x: Any, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    whole = len(x) // setting["batch"] * setting["batch"]

    def epoch() -> None:
        order = torch.randperm(len(x), device=x.device)
        for start in range(0, whole, setting["batch"]):
            batch = x[order[start : start + setting["batch"]]]
            optimizer.zero_grad()
            objective(batch).backward()
            optimizer.step()
        if x.device.type == "cuda":
            torch.cuda.synchronize()

    return epoch, (lambda: _bound(model, x, setting)), {}


def _bound(model: Any, x: Any, setting: dict[str, Any]) -> float:
    """Measures the negative bound of the data with the setting's number of samples, in nats per example."""
    import torch

    with torch.no_grad():
        parts = [_log_mean_weights(model, part, setting) for part in x.split(200)]
    return float(-torch.cat(parts).mean())


def _log_mean_weights(model: Any, x: Any, setting: dict[str, Any]) -> Any:
    import math

    import torch
    from torch.nn.functional import softplus

    encoded = model.encoder(x)
    mean, log_variance = encoded.embedding, encoded.log_covariance
    noise = torch.randn(setting["samples"], *mean.shape, device=x.device)
    z = mean + noise * torch.exp(0.5 * log_variance)
    logits = torch.logit(model.decoder(z.flatten(0, 1)).reconstruction, eps=1e-7).unflatten(0, z.shape[:2])
    likelihood = (x * logits - softplus(logits)).sum(-1)
    ratio = 0.5 * (noise.square() + log_variance - z.square()).sum(-1)
    return torch.logsumexp(likelihood + ratio, 0) - math.log(setting["samples"])


def likelihoods(path: Path, images: int, samples: int = 5000) -> dict[str, Any]:
    """Estimates the likelihood of the same binary test images with the same parameters, by aejax and by Pythae.

    aejax estimates all images, and is compiled before. Pythae goes through them one by one, and gets a tenth of them.

    Args:
        path: the .npy file of images on which aejax trains the parameters.
        images: the number of test images.
        samples: the number of importance samples of each image.

    Returns:
        The seconds for an image and the mean negative log-likelihood in nats of both, and the ratio of the seconds.
    """
    import jax
    import numpy as np
    import torch

    from aejax.core import Examples
    from aejax.data import Data, load
    from aejax.metrics import NegativeLogLikelihood

    training = _training(str(path), VAE)
    for _ in range(3):
        training.epoch()
    grey = load(Data("mnist", validation=0.0)).test.x.reshape(-1, SIZE)[:images]
    x = np.where(np.random.default_rng(1).uniform(0, 255, grey.shape) < grey, 255, 0).astype(np.uint8)
    nll = NegativeLogLikelihood(samples=samples)

    def ours(x: Any) -> float:
        return training.mean(nll, nll.name, Examples(x), 10)

    ours(x)
    start = time.perf_counter()
    all_images = ours(x)
    seconds = (time.perf_counter() - start) / images
    few = max(images // 10, 1)
    peer = pythae_model(VAE).eval()
    _copy(jax.device_get(training.state.params), peer)
    data = torch.from_numpy(x[:few]).float() / 255
    start = time.perf_counter()
    with torch.no_grad():
        theirs = -peer.get_nll(data, n_samples=samples, batch_size=100)
    peer_seconds = (time.perf_counter() - start) / few
    rows = {
        "aejax": {
            "seconds_per_image": seconds,
            "nll_nats": ours(x[:few]),
            "nll_nats_all": all_images,
            "images": images,
        },
        "pythae": {"seconds_per_image": peer_seconds, "nll_nats": float(theirs), "images": few},
    }
    return {"samples": samples, "rows": rows, "ratios": {"pythae": seconds / peer_seconds}}


def _copy(params: Any, peer: Any) -> None:
    """Copies aejax's parameters into Pythae's model, whose kernels are transposed.

    Its second head gives the log-variance, and aejax's the log-scale up to a soft bound: it is doubled.
    """
    import numpy as np
    import torch

    def fill(layer: Any, ours: Any, times: float = 1.0) -> None:
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(ours["kernel"].T) * times)
        layer.bias.data = torch.from_numpy(np.array(ours["bias"]) * times)

    for end, layers in (("encoder", peer.encoder.layers), ("decoder", peer.decoder.layers)):
        for number in range(len(VAE["hidden"])):
            fill(layers[2 * number], params[end]["Stack_0"][f"Dense_{number}"])
    fill(peer.decoder.layers[2 * len(VAE["hidden"])], params["decoder"]["out"])
    fill(peer.encoder.mean, params["latent"]["code"])
    fill(peer.encoder.log_variance, params["latent"]["scale"], 2.0)


CONTENDERS = {"aejax": aejax, "pythae": pythae, "pythae-loop": pythae_loop}


def binary_mnist(folder: Path, examples: int = 60_000, data: str = "mnist") -> Path:
    """Writes binary training images as bytes 0 and 255, each pixel drawn once from its grey level.

    Args:
        folder: the folder of the file.
        examples: the number of images; they are repeated where there are fewer.
        data: the name of the data set.

    Returns:
        The path of the .npy file, [examples, 784].
    """
    import numpy as np

    from aejax.data import Data, load

    x = load(Data(data, validation=0.0)).train.x.reshape(-1, SIZE)
    x = np.resize(x, (examples, SIZE))
    drawn = np.random.default_rng(0).uniform(0, 255, x.shape) < x
    path = folder / f"train-{examples}.npy"
    np.save(path, drawn.astype(np.uint8) * np.uint8(255))
    return path


def main() -> None:
    """Runs the whole comparison and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that are counted")
    parser.add_argument("--images", type=int, default=1000, help="test images whose likelihood is measured")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    from aejax.runs import hardware, versions

    with tempfile.TemporaryDirectory() as folder:
        whole, few = (binary_mnist(Path(folder), examples) for examples in (60_000, IWAE_STEPS * IWAE["batch"]))
        result = {
            "hardware": hardware(),
            "versions": versions(),
            "vae": contest(__file__, VAE | {"contenders": ON_CPU}, whole, arguments.rounds),
            "iwae": contest(__file__, IWAE | {"contenders": ON_CPU}, few, arguments.rounds),
            "nll": likelihoods(whole, arguments.images),
        }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for name in ("vae", "iwae", "nll"):
        print(name, json.dumps(result[name]["ratios"], indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
