"""Trains scVI of scvi-tools on the rows that experiments/counts.py has left, as a peer of its models.

    python -m venv peers && peers/bin/pip install scvi-tools
    peers/bin/python scripts/peer_counts.py words.npz cells.npz synthetic.npz

scVI has its own recipe (its layers, batch normalisation, learning rate and early stopping by validation), with a
hidden layer and a code as large as those of the study, a negative binomial of one dispersion for each value, and the
total of a row as observed. Of its recipe one number is changed: the KL term warms up over 20 epochs in place of 400,
which are all that it trains for; by the validation bound of words that is the better of the two, 574.9 nats and 579.6
(tried once, not kept). The rows, the seeds, the number of importance samples and the neighbours are the study's.
aejax is not needed here, and scvi-tools nowhere else. What it finds is added to scripts/results/peer_counts.json.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

RESULT = Path(__file__).parent / "results" / "peer_counts.json"
SAMPLES, NEIGHBOURS, SIZE, HIDDEN, SEEDS = 200, 10, 10, 128, 3
PARTS = ("train", "validation", "test")


def scvi_tools(file: Path) -> dict[str, Any]:
    """Trains and measures scVI, once for each seed, on the parts in a file of arrays."""
    import anndata
    import scvi
    import torch

    with np.load(file) as arrays:
        held = dict(arrays)
    parts = {part: anndata.AnnData(held[f"x_{part}"]) for part in PARTS}
    known = anndata.concat({part: parts[part] for part in PARTS[:2]}, index_unique="-")
    rows = np.split(np.arange(len(known)), [len(parts["train"])])
    scvi.model.SCVI.setup_anndata(known)
    found = {}
    for seed in range(SEEDS):
        scvi.settings.seed, begun = seed, time.perf_counter()
        model = scvi.model.SCVI(known, n_latent=SIZE, n_hidden=HIDDEN, gene_likelihood="nb")
        model.train(
            max_epochs=400,
            early_stopping=True,
            accelerator="cpu",
            plan_kwargs={"n_epochs_kl_warmup": 20},
            datasplitter_kwargs={"external_indexing": rows},
            enable_progress_bar=False,
        )
        seconds = time.perf_counter() - begun
        codes = [model.get_latent_representation(parts[part]) for part in ("train", "test")]
        nearest = KNeighborsClassifier(NEIGHBOURS).fit(codes[0], held["y_train"])
        found[str(seed)] = {
            "nll": -float(model.get_marginal_ll(parts["test"], n_mc_samples=SAMPLES)),
            "negative_elbo": -float(model.get_elbo(parts["test"])),
            "accuracy": float(nearest.score(codes[1], held["y_test"])),
            "epochs": len(model.history["elbo_validation"]),
            "seconds": round(seconds, 1),
        }
        print(file.stem, "seed", seed, found[str(seed)], flush=True)
    versions = {"scvi-tools": scvi.__version__, "torch": torch.__version__}
    return {"scVI": found, "versions": versions, "processors": len(os.sched_getaffinity(0))}


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        found = {**(json.loads(RESULT.read_text()) if RESULT.exists() else {}), path.stem: scvi_tools(path)}
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
