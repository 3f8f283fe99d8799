"""Measures a step of TopK with aux-k against SAELens, side by side on one machine, on activations of a file.

    python -m venv peers && peers/bin/pip install torch sae-lens
    python scripts/bench_sae.py --acts activations/train.npy --peer peers/bin/python
    python scripts/bench_sae.py --acts activations/train.npy --peer peers/bin/python --busy --rounds 2 --out trial.json

Both train the same number of units, of which the k largest are active, on the same rows in the same batches, by Adam
at the same rate, inputs scaled to a mean length of the root of their size, decoder rows of any length that begin at
0.1, the gradient clipped at 1, and dead units revived by the same term. They train a few steps each in turn; medians
are compared, and the fraction of variance unexplained that they come to.

Then dictionaries that are led to as many numbers of active units train for as many steps each: on one read of the data,
as `fit_many` trains them, and one run after the other, in turn again.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contest import contest, work

RESULTS = Path(__file__).parent / "results" / "bench_sae.json"
SETTING = {"units": 3072, "k": 32, "batch": 1024, "steps": 20, "rate": 1e-3, "dead_after_steps": 100}
"""What is trained; `steps` are those of one turn."""
TARGETS = [8, 13, 22, 35, 58, 95, 156, 256]
"""The numbers of active units that dictionaries on one read of the data are led to."""


def aejax(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes aejax a contender: its compiled epoch, as `aejax.fit` runs it."""
    import numpy as np
    from training import Training

    from aejax.core import Examples
    from aejax.losses import AuxK, Gaussian, Loss, Reconstruction
    from aejax.models import Dictionary, ExactTopK, UnitNormDecoder

    aux = AuxK(window=float(setting["dead_after_steps"] * setting["batch"]))
    loss = Loss(Gaussian(0.5**0.5), {"reconstruction": Reconstruction(), "aux": aux})
    model = Dictionary(latent=ExactTopK(setting["units"], setting["k"]), decoder=UnitNormDecoder(length=0.1))
    training = Training(model, loss, path, setting["batch"], learning_rate=setting["rate"], clip_norm=1.0)

    def final() -> float:
        import jax.numpy as jnp

        from aejax import core

        x = np.load(path)[: 8 * setting["batch"]]
        bound = lambda model, batch: model.decode(model.encode(batch).mean, batch)  # noqa: E731
        made, _ = core.apply(bound, training.program.model, training.state.variables, {}, Examples(jnp.asarray(x)))
        return _unexplained(x, np.asarray(made))

    return training.epoch, final, {}


def saelens(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes SAELens a contender: its own trainer's step, with the data in memory."""
    import numpy as np
    import torch
    from sae_lens import LoggingConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count() or 1)
    x = torch.from_numpy(np.load(path))
    size = setting["batch"]
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(k=setting["k"], d_in=x.shape[1], d_sae=setting["units"]))
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=10**9,
            train_batch_size_samples=size,
            lr=setting["rate"],
            lr_end=setting["rate"],
            lr_decay_steps=0,
            device="cpu",
            dead_feature_window=setting["dead_after_steps"],
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )

    def epoch() -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x) - size + 1, size):
            trainer.step(x[order[start : start + size]])
            trainer.n_training_steps += 1

    @torch.no_grad()
    def final() -> float:
        few = x[: 8 * size]
        return _unexplained(few.numpy(), sae.decode(sae.encode(few)).numpy())

    return epoch, final, {}


def together(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes dictionaries of all targets on one read of the data a contender."""
    from aejax.training import fit_many

    def train(experiments: Any, dataset: Any) -> Any:
        return [outcome.trained for outcome in fit_many(experiments, dataset=dataset, shared_order=True)]

    return _many(path, setting, train)


def alone(path: str, setting: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Makes the same dictionaries, one run after the other, a contender."""
    from aejax.training import fit

    return _many(path, setting, lambda experiments, dataset: [fit(each, dataset=dataset) for each in experiments])


def _many(path: str, setting: dict[str, Any], train: Callable[..., Any]) -> tuple[Any, Any, dict[str, Any]]:
    import dataclasses

    import numpy as np

    import aejax
    from aejax.core import Examples
    from aejax.data import Data, Dataset, Scale
    from aejax.losses import Loss

    base, x = aejax.get("dictionary-l1"), np.load(path)
    dataset = Dataset(path, Examples(x), Examples(x[:0]), Examples(x[:0]))

    def led_to(target: int) -> Any:
        terms = base.loss.terms | {"sparsity": dataclasses.replace(base.loss.terms["sparsity"], target=float(target))}
        return dataclasses.replace(
            base,
            model=base.model.clone(latent=base.model.latent.clone(size=setting["units"])),
            loss=Loss(base.loss.likelihood, terms),
            data=Data(path, validation=0.0, preprocess=Scale()),
            batch_size=setting["batch"],
            steps=setting["steps"],
        )

    experiments, trained = [led_to(target) for target in TARGETS], []

    def epoch() -> None:
        trained[:] = train(experiments, dataset)

    def final() -> float:
        few = x[: setting["batch"]]
        return float(np.mean([_unexplained(few, each.reconstruct(few)) for each in trained]))

    return epoch, final, {}


def _unexplained(x: Any, made: Any) -> float:
    import numpy as np

    x = x.astype(np.float64)
    return float(np.square(x - made).sum() / np.square(x - x.mean(axis=0)).sum())


def main() -> None:
    """Lets both train in turn, and writes the table as JSON."""
    contenders = {"aejax": aejax, "saelens": saelens, "together": together, "alone": alone}
    if sys.argv[1:2] == ["--work"]:
        work(contenders, *sys.argv[2:])
        return
    import numpy as np

    from aejax.runs import hardware, versions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acts", required=True, help="activations, a .npy of shape [n, d]")
    parser.add_argument("--peer", required=True, help="the Python of an environment with sae-lens")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--busy", action="store_true", help="say in the result that others used the machine meanwhile")
    parser.add_argument("--out", type=Path, default=RESULTS)
    for name, value in SETTING.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    setting = {name: given[name] for name in SETTING}
    pair = setting | {"contenders": ["aejax", "saelens"], "pythons": {"saelens": given["peer"]}}
    several = setting | {"contenders": ["together", "alone"], "targets": TARGETS}
    x = np.load(given["acts"], mmap_mode="r")[: setting["steps"] * setting["batch"]].astype(np.float32)
    x *= np.sqrt(x.shape[1]) / np.linalg.norm(x, axis=1).mean()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, x)
        table = contest(__file__, pair, path, given["rounds"], within=1.1)
        many = contest(__file__, several, path, max(1, given["rounds"] // 5), within=1.1)
    del table["setting"]["pythons"]
    for row in table["rows"].values():
        row["step_seconds"] = row.pop("epoch_seconds") / setting["steps"]
        row["fvu"] = row.pop("loss")
    for row in many["rows"].values():
        row["seconds"], row["fvu"] = row.pop("epoch_seconds"), row.pop("loss")
    content = {"hardware": hardware(), "versions": versions(), "busy": given["busy"], "values": x.shape[1], **table}
    content["several"] = many
    given["out"].write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
