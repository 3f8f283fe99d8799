"""Holds the contenders of bench_gpu.py: registered experiments, and the same models in PyTorch.

Each of them trains by Adam at 1e-3 on binary images that are on the device, in a fresh order each epoch.
"""

import dataclasses
import math
from functools import partial
from itertools import pairwise
from typing import Any

SIDE = 28
MODELS = {
    # `epochs` are timed together, because a single short epoch is measured badly
    "ae-keras": {"epochs": 8, "samples": 0},
    "vae-conv": {"epochs": 2, "samples": 1},
    "iwae-k50": {"epochs": 1, "samples": 50},
}
"""The number of epochs that are timed together, and of samples in the bound, by the name of the experiment."""


def aejax(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes aejax a contender: its compiled epoch, as `aejax.fit` runs it."""
    made = training(setting["model"], path, setting["batch"])
    final = lambda: made.mean(made.loss, "loss_nats", made.part.take(FIRST), 100)  # noqa: E731
    return partial(made.epoch, setting["epochs"]), final, {}


FIRST = slice(0, 1000)
"""The examples on which the contenders' losses are compared in the end."""


def training(name: str, path: str, batch: int, **settings: Any) -> Any:
    """Prepares the training of a registered experiment on the images of a file.

    Args:
        name: the experiment.
        path: the .npy file of images.
        batch: the batch size.
        settings: other settings of its model.
    """
    from training import Training

    from aejax.experiment import registry
    from aejax.losses import ImportanceWeighted

    experiment = registry.get(name)
    loss, samples = experiment.loss, MODELS[name]["samples"]
    if samples > 1:  # PyTorch's contender has the plain gradient of the bound, in place of a doubly reparameterised one
        loss = dataclasses.replace(loss, terms={"bound": ImportanceWeighted(samples=samples)})
    return Training(experiment.model.clone(**settings), loss, path, batch)


def torch_contender(path: str, setting: dict[str, Any], mode: str) -> tuple[Any, Any, dict[str, Any]]:
    """Makes PyTorch a contender.

    Args:
        path: the .npy file of images.
        setting: the model's name, the batch size, and the numbers of epochs and samples.
        mode: `eager`; `default` (torch.compile); `reduce-overhead` (torch.compile with CUDA graphs of the forward and
            the backward pass); or `graph`, one CUDA graph of the whole eager step with the optimiser.

    Returns:
        A function that trains the epochs, one that measures the loss in nats, and PyTorch's version.
    """
    import numpy as np
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")  # TF32, which is JAX's default too
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    x = torch.from_numpy(np.load(path)).reshape(-1, SIDE * SIDE).to(device)
    model = (conv_vae() if setting["model"] == "vae-conv" else dense(setting["model"])).to(device)
    objective = partial(negative_bound, model, samples=setting["samples"])
    held_out = lambda: float(torch.cat([objective(part / 255).detach() for part in x[FIRST].split(100)]).mean())  # noqa: E731
    capturing = mode == "graph" and device == "cuda"
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, capturable=capturing)
    mean = lambda batch: objective(batch / 255).mean()  # noqa: E731
    compiled = mean if mode in ("eager", "graph") else torch.compile(mean, mode=mode if device == "cuda" else "default")

    def step(batch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        compiled(batch).backward()
        optimizer.step()

    one = captured(step, x[: setting["batch"]].clone()) if capturing else step

    def epochs() -> None:
        for _ in range(setting["epochs"]):
            order = torch.randperm(len(x), device=device)
            for start in range(0, len(x) // setting["batch"] * setting["batch"], setting["batch"]):
                one(x[order[start : start + setting["batch"]]])
        if device == "cuda":
            torch.cuda.synchronize()

    return epochs, held_out, {"version": torch.__version__}


def captured(step: Any, batch: Any) -> Any:
    """Captures a step as one CUDA graph, and returns a function that copies a batch into it and replays it.

    `batch` is the tensor that the graph reads; the step runs on it a few times before it is captured.
    """
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(batch)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(batch)

    def replay(values: Any) -> None:
        batch.copy_(values)
        graph.replay()

    return replay


def negative_bound(model: Any, x: Any, samples: int) -> Any:
    """Returns the loss of each example in nats: the cross-entropy, or the negative bound with so many samples.

    Args:
        model: the encoder and the decoder.
        x: the pixels [n, 784], 0 or 1.
        samples: the number of samples in the bound; 0: the model is no VAE, and its loss the cross-entropy.
    """
    import torch
    from torch.nn.functional import softplus

    code = model["encoder"](x)
    if samples == 0:
        logits = model["decoder"](torch.relu(code))
        return (softplus(logits) - x * logits).sum(-1)
    mean, raw = code.chunk(2, dim=-1)
    log_scale = 10 * torch.tanh(raw / 10)
    noise = torch.randn(samples, *mean.shape, device=x.device)
    z = mean + noise * torch.exp(log_scale)
    logits = model["decoder"](z.flatten(0, 1)).unflatten(0, z.shape[:2])
    distortion = (softplus(logits) - x * logits).sum(-1)
    if samples == 1:
        rate = 0.5 * (mean.square() + torch.exp(2 * log_scale) - 1) - log_scale
        return distortion[0] + rate.sum(-1)
    ratio = (0.5 * (noise.square() - z.square()) + log_scale).sum(-1)
    return math.log(samples) - torch.logsumexp(ratio - distortion, 0)


def dense(name: str) -> Any:
    """Builds a dense model: 784-32-784 for `ae-keras`, else 784-200-200-50 and back.

    The encoder ends in all that the code is made of: the code before its ReLU, or its mean and raw scale.
    """
    from torch import nn

    down, code, activation = ([784], 32, nn.ReLU) if name == "ae-keras" else ([784, 200, 200], 50, nn.Tanh)

    def stack(sizes: list[int]) -> list[Any]:
        return [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), activation())]

    up = [code, *down[:0:-1]]
    encoder = nn.Sequential(*stack(down), nn.Linear(down[-1], code * (1 if name == "ae-keras" else 2)))
    return initialised(encoder, nn.Sequential(*stack(up), nn.Linear(up[-1], 784)), -1.9 if name == "iwae-k50" else 0.0)


def conv_vae() -> Any:
    """Builds a VAE: 28-14-7 pixels by strided convolutions of 16 and 32 channels, 20 latents, and back."""
    from torch import nn

    pad = nn.ZeroPad2d((0, 1, 0, 1))  # as the registered experiment pads even sizes
    encoder = nn.Sequential(
        nn.Unflatten(-1, (1, SIDE, SIDE)),
        *(pad, nn.Conv2d(1, 16, 3, 2), nn.ReLU()),
        *(pad, nn.Conv2d(16, 32, 3, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 40)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(20, 32 * 7 * 7), nn.Unflatten(-1, (32, 7, 7)), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 1, 3, 2, 1, output_padding=1), nn.Flatten()),
    )
    return initialised(encoder, decoder, 0.0)


def initialised(encoder: Any, decoder: Any, bias: float) -> Any:
    """Initialises both as the registered experiments do, and returns them as one module.

    Args:
        encoder: the encoder.
        decoder: the decoder, which ends in its last layer or one module after it.
        bias: the initial bias of the decoder's last layer.
    """
    from torch import nn

    for parameter in (*encoder.parameters(), *decoder.parameters()):
        (nn.init.xavier_uniform_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
    last = decoder[-1] if isinstance(decoder[-1], nn.Linear) else decoder[-2]
    nn.init.constant_(last.bias, bias)
    return nn.ModuleDict({"encoder": encoder, "decoder": decoder})


CONTENDERS = {
    "aejax": aejax,
    "torch": partial(torch_contender, mode="eager"),
    "torch-compile": partial(torch_contender, mode="default"),
    "torch-compile-graphs": partial(torch_contender, mode="reduce-overhead"),
    "torch-step-graph": partial(torch_contender, mode="graph"),
}
