"""Trains sparse dictionaries of every kind on the same examples as SAELens and sparsify do, and measures all alike.

    python experiments/dictionaries.py                              TopK on synthetic features, briefly
    python experiments/dictionaries.py synthetic                    every variant as it is registered, three seeds
    python experiments/dictionaries.py ACTIVATIONS                  3,072 units on packed activations, three seeds
    python experiments/dictionaries.py synthetic --peer PYTHON      SAELens in their place, by the Python it is in
    python experiments/dictionaries.py ACTIVATIONS --peer PYTHON --library sparsify --variants topk    or sparsify
    python experiments/dictionaries.py ACTIVATIONS --variants topk --seeds 0 --out other.json

The last five add what they measured to experiments/results/dictionaries.json, or to --out. ACTIVATIONS are a folder of
`aejax data pack` with the parts train and test. All variants see the same number of batches of the same size, and are
asked for the same number of active units: by k, or by a target of L0. SAELens trains at the same peak learning rate
on examples scaled alike, to a mean length of the root of the number of values, and has its own defaults otherwise;
sparsify, which has TopK alone, has its own optimiser too, with its term for dead units at the weight of Gao et al. The
number of steps after which a unit is dead is that of `AuxK` here. What SAELens saved is imported, and measured as the
models made here; sparsify measures its own.
"""

import argparse
import dataclasses
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import aejax
from aejax.core import Adam, Rate, WarmupStableDecay, json_text
from aejax.data import Data, Dataset, MeanLength, load
from aejax.evaluation import measure
from aejax.experiment import Experiment
from aejax.losses import L0, AuxK, Loss, Matryoshka, Reconstruction, StepL0, TargetL0
from aejax.models import BatchTopK, ExactTopK, JumpReLU, Units
from aejax.runs import hardware, versions
from aejax.trained import read_dictionary, thaw

RESULTS = Path(__file__).parent / "results" / "dictionaries.json"
SYNTHETIC = "synthetic-dictionary"
REAL = {"units": 3072, "k": 32, "batch": 1024, "steps": 400, "rate": 1e-3, "dead_after": 100}
"""What is trained on activations; `dead_after` is a number of steps."""
SMALL = {"units": 256, "k": 8, "batch": 1024, "steps": 4000, "rate": 1e-3, "dead_after": 98}
"""What is registered on synthetic features."""
VARIANTS = ("topk", "batchtopk", "jumprelu", "matryoshka", "l1", "gated")
"""Of these the last two are on synthetic features alone: see `COEFFICIENTS`."""
COEFFICIENTS = {"l1": 3.9, "gated": 3.5}
"""SAELens' weights of its L1 penalties, with which about 8 units of `SMALL` are active: it has no target for them."""
KEPT = ("fvu", "l0", "feature_f1", "mcc", "mmcs")
"""The metrics that are kept, beside the share of dead units."""

SAELENS = """
import json, resource, sys, time
from importlib.metadata import version
import numpy as np, torch
from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, LoggingConfig, MatryoshkaBatchTopKTrainingSAE
from sae_lens import MatryoshkaBatchTopKTrainingSAEConfig, StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

data, folder, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(given["seed"])
x = np.load(data, mmap_mode="r")

def batches():
    rng = np.random.default_rng(given["seed"])
    while True:
        order = rng.permutation(len(x))
        for at in range(0, len(x) - given["batch"] + 1, given["batch"]):
            yield torch.from_numpy(x[np.sort(order[at : at + given["batch"]])].astype(np.float32))

n, k = given["units"], given["k"]
common = dict(d_in=x.shape[1], d_sae=n, normalize_activations="expected_average_only_in")
widths = [n // 16, n // 8, n // 4, n // 2, n]
jumps = dict(jumprelu_sparsity_loss_mode="quadratic", target_l0=k)
sae = {
    "topk": lambda: TopKTrainingSAE(TopKTrainingSAEConfig(k=k, **common)),
    "batchtopk": lambda: BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=k, **common)),
    "matryoshka": lambda: MatryoshkaBatchTopKTrainingSAE(
        MatryoshkaBatchTopKTrainingSAEConfig(k=k, matryoshka_widths=widths, **common)
    ),
    "jumprelu": lambda: JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(**jumps, **common)),
    "l1": lambda: StandardTrainingSAE(StandardTrainingSAEConfig(l1_coefficient=given["l1_coefficient"], **common)),
    "gated": lambda: GatedTrainingSAE(GatedTrainingSAEConfig(l1_coefficient=given["l1_coefficient"], **common)),
}[given["variant"]]()
config = SAETrainerConfig(
    total_training_samples=given["steps"] * given["batch"],
    train_batch_size_samples=given["batch"],
    lr=given["rate"],
    lr_end=given["rate"] / 10,
    lr_decay_steps=given["steps"] // 5,
    dead_feature_window=given["dead_after"],
    n_batches_for_norm_estimate=50,
    logger=LoggingConfig(log_to_wandb=False),
)
began, burnt = time.perf_counter(), time.process_time()
SAETrainer(cfg=config, sae=sae, data_provider=batches()).fit().save_inference_model(folder)
said = {"train_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - burnt}
said["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(said | {"versions": {name: version(name) for name in ("sae-lens", "torch")}}))
"""
"""What runs in SAELens' environment: it trains one variant, and saves it to a folder."""

SPARSIFY = """
import json, os, resource, sys, time
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
from importlib.metadata import version
from pathlib import Path
import numpy as np, torch
from schedulefree import ScheduleFreeWrapper
from sparsify import SparseCoder, SparseCoderConfig
from sparsify.sign_sgd import SignSGD

data, folder, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(given["seed"])
x, n, size = np.load(data, mmap_mode="r"), given["units"], given["batch"]

def batches():
    rng = np.random.default_rng(given["seed"])
    while True:
        order = rng.permutation(len(x))
        for at in range(0, len(x) - size + 1, size):
            yield torch.from_numpy(x[np.sort(order[at : at + size])].astype(np.float32))

began, burnt = time.perf_counter(), time.process_time()
sae = SparseCoder(x.shape[1], SparseCoderConfig(num_latents=n, k=given["k"]))
optimizer = ScheduleFreeWrapper(SignSGD(sae.parameters(), lr=5e-3 / (n / 2**14) ** 0.5), momentum=0.95)
optimizer.train()
silent = torch.zeros(n, dtype=torch.long)
for step, batch in zip(range(given["steps"]), batches()):
    if step == 0:
        sae.b_dec.data = batch.mean(0)
    sae.set_decoder_norm_to_unit_norm()
    out = sae(batch, dead_mask=silent > given["dead_after"] * size)
    (out.fvu + out.auxk_loss / 32).backward()
    sae.remove_gradient_parallel_to_decoder_directions()
    optimizer.step()
    optimizer.zero_grad()
    silent += size
    silent[out.latent_indices.flatten().unique()] = 0
optimizer.eval()
said = {"train_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - burnt}
said["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

test, left, active, fired = np.load(Path(data).with_name("test.npy")).astype(np.float32), 0.0, 0, np.zeros(n, bool)
for few in torch.from_numpy(test).split(size):
    with torch.no_grad():
        out = sae(few)
    left += float((few.double() - out.sae_out.double()).square().sum())
    active += int((out.latent_acts != 0).sum())
    fired[out.latent_indices[out.latent_acts != 0].unique().numpy()] = True
away = test.astype(np.float64)
said["fvu"] = left / float(np.square(away - away.mean(axis=0)).sum())
said |= {"l0": active / len(test), "dead_share": float(1 - fired.mean())}
print(json.dumps(said | {"versions": {name: version(name) for name in ("eai-sparsify", "torch")}}))
"""
"""What runs in sparsify's environment: a loop as its trainer's, which takes its examples from a network alone.

It measures the result itself: rows of its weights, a running mean, differ in length, by which units are ranked here.
"""

LIBRARIES = {"saelens": SAELENS, "sparsify": SPARSIFY}
"""The programs of the libraries, by their names."""


def synthetic(variant: str, seed: int) -> Experiment:
    """Returns the registered experiment of a variant, with another seed."""
    return dataclasses.replace(aejax.get(f"dictionary-{variant}"), seed=seed)


def real(data: Data, variant: str, seed: int) -> Experiment:
    """Returns the experiment of a variant on activations: the registered one, but for sizes, steps and decays."""
    base = aejax.get(f"dictionary-{variant}")
    n, k, batch, steps = (REAL[name] for name in ("units", "k", "batch", "steps"))
    aux = AuxK(window=float(REAL["dead_after"] * batch))
    # A threshold of 2, the width of a unit's first activations, lets about k of them through from the start: in so few
    # steps it could not rise so far. Its own rate lets it follow the controller, which ends about one active unit below
    # its target, on training examples too: so that is one above k.
    units: dict[str, Units] = {"topk": ExactTopK(n, k), "jumprelu": JumpReLU(n, 2.0, 0.5)}
    rates = {"thresholds": Rate("threshold$", 30.0)} if variant == "jumprelu" else {}
    terms = {
        "matryoshka": {"prefixes": Matryoshka()},
        "jumprelu": {"sparsity": TargetL0(0.3, term=StepL0(), target=k + 1, rate=3e-2, damping=1.0)},
    }
    return dataclasses.replace(
        base,
        model=base.model.clone(latent=units.get(variant, BatchTopK(n, k, 0.99))),
        loss=Loss(
            base.loss.likelihood,
            {"reconstruction": Reconstruction(), **terms.get(variant, {}), "aux": aux, "l0": L0(monitored=True)},
        ),
        data=dataclasses.replace(data, preprocess=MeanLength()),
        optimizer=Adam(REAL["rate"], WarmupStableDecay(0.0), clip_norm=1.0, rates=rates),
        batch_size=batch,
        steps=steps,
        seed=seed,
    )


def ours(experiment: Experiment, dataset: Dataset) -> dict[str, Any]:
    """Trains an experiment here, and returns the metrics on test and the seconds."""
    began, burnt = time.perf_counter(), time.process_time()
    trained = aejax.fit(experiment, dataset=dataset)
    seconds = {"train_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - burnt}
    return kept(measure(trained, dataset.test, 0)) | seconds


def theirs(peer: str, library: str, setting: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Trains a variant in another library, imports it, and returns the metrics on test and the seconds.

    Args:
        peer: the Python of the library's environment.
        library: the library's name.
        setting: the variant, the seed, and what all variants share.
        dataset: the data, by whose name features may be known.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "train.npy", Path(folder) / "model"
        np.save(data, dataset.train.read().x)
        np.save(data.with_name("test.npy"), dataset.test.read().x)
        command = [peer, "-c", LIBRARIES[library], str(data), str(out), json.dumps(setting)]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        said: dict[str, Any] = json.loads(printed.splitlines()[-1])
        if "fvu" in said:
            return said
        trained = thaw(read_dictionary(out))
    known = dataclasses.replace(trained.experiment, data=Data(dataset.name))
    return kept(measure(dataclasses.replace(trained, experiment=known), dataset.test, 0)) | said


def kept(test: dict[str, float]) -> dict[str, float]:
    """Returns the metrics that are kept, of all that were measured."""
    dead = next(value for name, value in test.items() if name.startswith("dead_share_over_"))
    return {name: test[name] for name in KEPT if name in test} | {"dead_share": dead}


def main() -> None:
    """Trains what the command line says, prints a line each, and adds it to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="synthetic, or a folder of packed activations; by default a brief run")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, help="all that there are for the data, by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--peer", help="the Python of an environment with a library that trains in place of aejax")
    parser.add_argument("--library", choices=[*LIBRARIES], default="saelens", help="that library")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.library == "sparsify" and given.variants != ["topk"]:
        parser.error("sparsify trains TopK alone: give --variants topk")
    if given.data is None:
        experiment = dataclasses.replace(synthetic("topk", 0), batch_size=128, steps=20)
        print(ours(experiment, load(experiment.data)))
        return
    small, who = given.data == "synthetic", given.library if given.peer else "aejax"
    if not small and COEFFICIENTS.keys() & (given.variants or ()):
        parser.error(f"{' and '.join(COEFFICIENTS)} are trained on synthetic features alone: leave them out")
    data = aejax.get("dictionary-topk").data if small else Data(given.data, validation=0.0)
    kind, shared, dataset = ("synthetic", SMALL, load(data)) if small else ("activations", REAL, load(data))
    about = {"train": len(dataset.train), "test": len(dataset.test), "values": dataset.train.x.shape[1], **shared}
    for variant in given.variants or [name for name in VARIANTS if small or name not in COEFFICIENTS]:
        for seed in given.seeds:
            setting = shared | {"variant": variant, "seed": seed, "l1_coefficient": COEFFICIENTS.get(variant)}
            if given.peer:
                found = theirs(given.peer, given.library, setting, dataset)
            else:
                found = ours(synthetic(variant, seed) if small else real(data, variant, seed), dataset)
            print(kind, who, variant, seed, found, flush=True)
            add(given.out, kind, about, who, setting, found)


def add(out: Path, kind: str, about: dict[str, Any], who: str, setting: dict[str, Any], found: dict[str, Any]) -> None:
    """Adds one measurement to a file of results.

    Args:
        out: the file.
        kind: the kind of data.
        about: what all measurements on such data share.
        who: who trained.
        setting: the variant and the seed, whose measurement of before is replaced.
        found: what was measured.
    """
    content = json.loads(out.read_text()) if out.exists() else {"name": "dictionaries"}
    content.setdefault(kind, {})["setting"] = about
    row = content[kind].setdefault(who, {}).setdefault(setting["variant"], {})
    content[kind].setdefault("versions", {})[who] = found.pop("versions", None) or versions()
    row[str(setting["seed"])] = found
    content["hardware"] = hardware()
    out.write_text(json_text(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
