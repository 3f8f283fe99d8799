"""Compares likelihoods of counts beside PCA of their logarithms: of words by chapter, and of genes by cell.

    python experiments/counts.py                    one short training on some synthetic counts, seconds
    python experiments/counts.py words              all of it on a table, into experiments/results/counts.json
    python experiments/counts.py cells SCANPY.WHL
    python experiments/counts.py synthetic

Three tables, each with a label that no model sees. `words`: how often the 1,000 most frequent words stand in each of
the 1,189 chapters of the King James text, and its 66 books; Debian's package bible-kjv has the text, from which this
script counts. `cells`: 765 genes in 700 blood cells of ten kinds (Zheng et al. 2017), which scanpy's wheel carries as
logarithms, in three digits, of counts that are scaled to 10,000 a cell; as the least count of a cell is 1, the counts
are found again. `synthetic`: `synthetic-counts`, whose distributions are known: what they give at the totals of the
test rows is the exact row `truth`.

A fifth of the rows is test and a tenth validation, by a fixed seed, labels spread alike; `synthetic` has parts of its
own. All models have a hidden layer of 128, ten latents and one recipe; training ends where the validation loss has not
fallen for 20 epochs. `nll` is the negative log-likelihood of a test row in nats given its total, by 200 importance
samples; `accuracy` that with which the ten nearest training codes tell a test row's label, both for each of three
seeds. `no code` is one negative binomial of each value at its mean share. The rows of a table are left in NAME.npz, on
which scripts/peer_counts.py trains scVI. docs/families.md has what was found.
"""

import dataclasses
import json
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, special, stats
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

import aejax
from aejax.core import AdamW, Cosine, Examples, json_text
from aejax.data import Counts, Data, Dataset, SyntheticCounts, load
from aejax.evaluation import measure
from aejax.experiment import Experiment
from aejax.losses import KL, CountLikelihood, Loss, NegativeBinomial, Poisson, Reconstruction
from aejax.models import GaussianLatent, LogCounts, MLPDecoder, MLPEncoder, SharedDispersion, VariationalAutoencoder
from aejax.runs import hardware, versions
from aejax.trained import Trained

RESULT = Path(__file__).parent / "results" / "counts.json"
WORDS, SAMPLES, NEIGHBOURS, SIZE, SEEDS = 1000, 200, 10, 10, 3
PARTS, KEPT = ("train", "validation", "test"), {"x": "x", "y": "label"}
LIKELIHOODS = {
    "poisson": Poisson(),
    "negative binomial": NegativeBinomial(),
    "zero-inflated negative binomial": NegativeBinomial(zero_inflated=True),
}


def words() -> tuple[np.ndarray, np.ndarray]:
    """Counts the most frequent words in each chapter; the labels are books."""
    text = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    chapters: dict[tuple[str, str], Counter[str]] = {}
    for verse in text.splitlines():
        place = re.match(r"(.+?)(\d+):\d+ (.*)", verse)
        if place:
            book, chapter, said = place.groups()
            chapters.setdefault((book, chapter), Counter()).update(re.findall(r"[a-z]+", said.lower()))
    known = [word for word, _ in sum(chapters.values(), Counter()).most_common(WORDS)]
    books = {book: number for number, book in enumerate(dict.fromkeys(book for book, _ in chapters))}
    x = np.array([[counts[word] for word in known] for counts in chapters.values()], np.float32)
    return x, np.array([books[book] for book, _ in chapters], np.int32)


def cells(wheel: str) -> tuple[np.ndarray, np.ndarray]:
    """Finds the counts of genes in cells again; the labels are kinds of cells."""
    import h5py
    from scipy.sparse import csr_matrix

    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open("scanpy/datasets/10x_pbmc68k_reduced.h5ad") as held,
        h5py.File(held) as file,
    ):
        raw, cell = file["raw.X"], file["obs"][()]
        arrays = (raw["data"][()].astype(np.float64), raw["indices"][()], raw["indptr"][()])
        logs = csr_matrix(arrays, shape=raw.attrs["h5sparse_shape"]).toarray()
    scaled = np.expm1(logs)
    # The least count of a cell is 1. It says what 1 was scaled to more exactly than the rounded total does.
    x = scaled / np.where(scaled > 0, scaled, np.inf).min(axis=1, keepdims=True)
    off = np.abs(x - np.rint(x)).max()
    print(f"cells: counts are whole numbers to within {off:.3f}")
    assert off < 0.2
    return np.rint(x).astype(np.float32), cell["bulk_labels"].astype(np.int32)


def split(x: np.ndarray, label: np.ndarray) -> Dataset:
    """Cuts a table into parts in which labels are alike, as far as there are enough of each."""
    many = np.bincount(label)[label] >= 10
    rest, test = train_test_split(np.arange(len(x)), test_size=0.2, random_state=0, stratify=np.where(many, label, -1))
    train, validation = train_test_split(rest, test_size=0.125, random_state=0)
    return Dataset("arrays", *(Examples(x[rows], label[rows]) for rows in (train, validation, test)))


def experiment(likelihood: CountLikelihood, size: int, hidden: int = 128) -> Experiment:
    """Builds the model: what a likelihood has of its own is shared by all rows."""
    decoder = MLPDecoder((hidden,), dropout=0.1, start="constant" if likelihood.zero_inflated else "mean")
    shared = isinstance(likelihood, NegativeBinomial)
    return Experiment(
        VariationalAutoencoder(
            LogCounts(MLPEncoder((hidden,), dropout=0.1)),
            GaussianLatent(SIZE),
            SharedDispersion(decoder) if shared else decoder,
        ),
        Loss(likelihood, {"reconstruction": Reconstruction(), "kl": KL()}),
        Data("arrays", preprocess=Counts()),
        AdamW(2e-3, Cosine(), weight_decay=1e-2),
        batch_size=64,
        epochs=max(1, 120_000 // size),
    )


def accuracy(dataset: Dataset, codes: tuple[np.ndarray, np.ndarray]) -> float:
    """Returns how often the nearest training codes tell the label of a test row."""
    nearest = KNeighborsClassifier(NEIGHBOURS).fit(codes[0], dataset.train.label)
    return float(nearest.score(codes[1], dataset.test.label))


def encoded(trained: Trained, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the codes of the training and of the test rows."""
    return trained.encode(dataset.train.x), trained.encode(dataset.test.x)


def without_code(dataset: Dataset) -> float:
    """Returns the negative log-likelihood of test rows under one negative binomial of each value at its mean share."""
    train, test = (part.x.astype(np.float64) for part in (dataset.train, dataset.test))
    share = (train.sum(axis=0) + 0.5) / (train.sum() + 0.5 * train.shape[1])

    def nats(x: np.ndarray, r: float, share: float, total: np.ndarray) -> float:
        mean = total * share
        return -float(stats.nbinom.logpmf(x, r, r / (r + mean)).sum())

    total, found = train.sum(axis=1), 0.0
    for value, part in enumerate(share):
        fit = optimize.minimize_scalar(
            lambda log_r, value=value, part=part: nats(train[:, value], np.exp(log_r), part, total),
            bounds=(-8, 10),
            method="bounded",
            options={"xatol": 0.05},
        )
        found += nats(test[:, value], np.exp(fit.x), part, test.sum(axis=1))
    return found / len(test)


def truth(test: Examples) -> float:
    """Returns the negative log-likelihood of `synthetic-counts` under what it was drawn from, at the rows' totals."""
    source, x = SyntheticCounts(), test.x.astype(np.float64)
    r, total = source.inverse_dispersions()[None], x.sum(axis=1, keepdims=True)
    places, weights = np.polynomial.hermite_e.hermegauss(60)
    parts = []
    for kind in range(source.kinds):
        shares = np.exp(source.log_shares(np.full(len(places), kind), places))
        for share, weight in zip(shares, weights / weights.sum(), strict=True):
            if weight > 1e-11:
                mean = total * share[None]
                parts.append(stats.nbinom.logpmf(x, r, r / (r + mean)).sum(axis=1) + np.log(weight / source.kinds))
    return -float(special.logsumexp(parts, axis=0).mean())


def compare(name: str, dataset: Dataset, epochs: int | None = None) -> dict[str, dict[str, dict[str, float]]]:
    """Trains and measures every model of a table, once for each seed, and prints a row of each."""
    train, test = (part.x for part in (dataset.train, dataset.test))
    logs = PCA(SIZE, random_state=0).fit(np.log1p(train))
    shares = [1e4 * x / x.sum(axis=1, keepdims=True) for x in (train, test)]
    scaled = PCA(SIZE, random_state=0).fit(np.log1p(shares[0]))
    exact = {
        "no code": {"nll": without_code(dataset)},
        "PCA of log counts": {"accuracy": accuracy(dataset, tuple(logs.transform(np.log1p(x)) for x in (train, test)))},
        "PCA of log shares": {"accuracy": accuracy(dataset, tuple(scaled.transform(np.log1p(x)) for x in shares))},
    }
    if name == "synthetic":
        exact["truth"] = {"nll": truth(dataset.test)}
    found = {called: {"0": row} for called, row in exact.items()}
    print(f"{name}: {len(train)} rows of {train.shape[1]} counts, {100 * (train == 0).mean():.0f} % zeros", flush=True)
    for called in LIKELIHOODS if epochs is None else ["negative binomial"]:
        of = experiment(LIKELIHOODS[called], len(train))
        if epochs is None:
            seeds = [dataclasses.replace(of, seed=seed) for seed in range(SEEDS)]
        else:
            seeds = [dataclasses.replace(of, epochs=epochs)]
        found[called] = {str(one.seed): trained(one, dataset, epochs is None) for one in seeds}
    for called, rows in found.items():
        for seed, row in rows.items():
            print(f"{name:10} {called:32} {seed}", *(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
    return found


def trained(of: Experiment, dataset: Dataset, likelihood: bool) -> dict[str, float]:
    """Trains and measures one model; its likelihood, which takes long, where it is asked for."""
    begun = time.perf_counter()
    model = aejax.fit(of, dataset=dataset, patience=20)
    seconds = time.perf_counter() - begun
    found = {
        "negative_elbo": model.evaluate(dataset.test)["loss_nats"],
        "accuracy": accuracy(dataset, encoded(model, dataset)),
        "epochs": model.history[-1]["epoch"],
        "seconds": round(seconds, 1),
    }
    return found | ({"nll": measure(model, dataset.test, SAMPLES)[f"nll_{SAMPLES}_nats"]} if likelihood else {})


def write(name: str, dataset: Dataset, found: Mapping[str, Any]) -> None:
    """Adds a table to the results, with what it was made with, and leaves its rows for a peer."""
    arrays = {f"{kind}_{part}": getattr(dataset.part(part), field) for part in PARTS for kind, field in KEPT.items()}
    np.savez(f"{name}.npz", **arrays)
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {"name": RESULT.stem}
    rows, values = dataset.train.x.shape
    setting = {"rows": rows, "values": values, "code": SIZE, "samples": SAMPLES, "neighbours": NEIGHBOURS}
    result[name] = {"setting": setting, "found": found, "hardware": hardware(), "versions": versions()}
    RESULT.write_text(json_text(result, indent=2) + "\n")


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode in ("words", "cells"):
        table = split(*(words() if mode == "words" else cells(sys.argv[2])))
        write(mode, table, compare(mode, table))
    else:
        table = load(Data("synthetic-counts", preprocess=Counts()))
        if not mode:
            some = {part: table.part(part).at_most(200) for part in PARTS}
            table = dataclasses.replace(table, **some)
        compared = compare("synthetic", table, None if mode else 2)
        if mode:
            write("synthetic", table, compared)
