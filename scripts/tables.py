"""Writes the tables of README.md and of pages of docs/, and the ledger that `aejax results` shows, from the results.

python scripts/tables.py           rewrites them in place
python scripts/tables.py --check   exits with 1 where a page is not what the results say
"""

import json
import math
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import aejax
from aejax.experiment import Entry, Expected, from_json
from aejax.experiment.results import FILE
from aejax.metrics import describe, labelled

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{page}.md" for page in ("results", "dictionaries", "families")))
LEDGER = ROOT / "aejax" / "experiment" / FILE
TITLES = {"aejax": "aejax", "keras-jax": "Keras on JAX", "keras-tensorflow": "Keras on TensorFlow", "torch": "PyTorch"}


def entries() -> str:
    """Returns a table of what every registered experiment measured, beside its figure."""
    rows = [
        "| experiment | what | metric on test | published | baseline | measured | tolerance | reached | time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    machines = {}
    for name, summary in _with_figure().items():
        if not _path(name).exists():
            rows.append(_not_measured(name, summary))
            continue
        result = _result(name)
        row = compared(result)
        time = f"{result['train_seconds']:.0f} s"
        cells = [f"`{name}`", summary, _metric(result), *_figures(result, row), _measured(result, row)]
        rows.append(_row(*cells, f"{row['tolerance']:g}", _reached(row), time))
        machines.setdefault(result["hardware"]["device"], result)
    hardware = " and ".join(f"{device} ({result['hardware']['cores']} cores)" for device, result in machines.items())
    return "\n".join([*rows, "", f"{LEGEND} Trained on {hardware}, jax {result['versions']['jax']}."])


LEGEND = (
    "C: computed exactly here, V: read in the source, R: quoted from it by another, M: unverified. ↓: lower is better, "
    "↑: higher. Bold: as good as a published figure, or better."
)


def best() -> str:
    """Returns a table of the experiments that are as good as their published figure, or better."""
    rows = ["| experiment | what | metric on test | published | measured |", "|---|---|---|---|---|"]
    for name, summary in _compared().items():
        result = _result(name)
        row = compared(result)
        if row["published"] is not None and row["reached"]:
            rows.append(_row(f"`{name}`", summary, _metric(result), _figures(result, row)[0], _measured(result, row)))
    return "\n".join(rows)


def beside() -> str:
    """Returns a table of the time that aejax takes beside other libraries, and of what detectors of anomalies reach."""
    cpu, vae, sweep, sae = (_bench(f"bench_{name}") for name in ("cpu", "vae", "sweep", "sae"))
    found = {
        "an epoch of 784-32-784 on 60,000 images": {
            "PyTorch": cpu["small"]["ratios"]["torch"],
            "Keras on JAX": cpu["small"]["ratios"]["keras-jax"],
        },
        "an epoch of a VAE, 784-500-20": {"Pythae": vae["vae"]["ratios"]["pythae"]},
        f"{sweep['trials']} settings of an experiment": {"PyTorch loops": sweep["ratios"]["PyTorch loops"]},
        "a step of a TopK dictionary of 3,072 units": {"SAELens": sae["ratios"]["saelens"]},
    }
    rows = [f"| trained alike, on one processor ({_machine(cpu)}) | aejax takes |", "|---|---|"]
    for what, ratios in found.items():
        shares = " and ".join(f"**{ratio:.2f}** of the time of {name}" for name, ratio in ratios.items())
        rows.append(_row(what, shares))
    odds = _result("odds")
    others = ", ".join(f"{title} {odds['published_means'][name]:.3f}" for title, name in PYOD.items())
    return "\n".join(
        [
            *rows,
            "",
            "Anomalies in twelve tables, each by that of fifteen detectors that is best on the other eleven (the",
            "fifteen were picked with all twelve in sight): mean AUROC",
            f"**{odds['means']['left_out']:.3f}**. PyOD's, with their defaults: {others}.",
            "",
            *_drawn(),
        ]
    )


def _drawn() -> list[str]:
    """Returns lines on how far generated digits are from real ones."""
    result, order = _result("generated"), _result("generation")["test"]
    distance = {row["entry"]: f"{row['fd_mnist_cnn']:.2f}" for row in result["rows"] if "fd_mnist_cnn" in row}
    named = ", ".join(f"`{name}` {distance[name]}" for name in ("maf-mnist", "real-nvp-mnist", "vae-flax"))
    ways = {"a RAE with a mixture": "rae_mixture", "a VAE with one": "vae_mixture", "with its prior": "vae_prior"}
    ghosh = ", ".join(f"{way} {order[f'{key}_fd_mnist_cnn']:.2f}" for way, key in ways.items())
    return [
        "Generated digits, by their Fréchet distance in features of a classifier of digits (no FID): training images",
        f"{result['floors']['mnist_cnn']['fd_mnist_cnn']:.2f}, {named};",
        f"in the order of Ghosh et al. 2020, of models trained for 5 epochs: {ghosh}.",
    ]


def _with_figure() -> dict[str, str]:
    """Returns the registered experiments that have a figure, with a line about each."""
    return {name: summary for name, summary in aejax.names().items() if aejax.get(name).expected}


def _compared() -> dict[str, str]:
    """Returns those of them that were trained in full, whose results are committed."""
    return {name: summary for name, summary in _with_figure().items() if _path(name).exists()}


def _not_measured(name: str, summary: str) -> str:
    """Returns the row of an experiment that has not been trained in full yet."""
    expected = aejax.get(name).expected
    assert expected is not None
    result = {"expected": {"metric": expected.metric, "tag": expected.tag}}
    row = expected.compare([math.nan])
    cells = [f"`{name}`", summary, _metric(result), *_figures(result, row), "not measured yet"]
    return _row(*cells, f"{row['tolerance']:g}", "", "")


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """Returns what a result says of its figure: see `Expected.compare`. One of an older version is compared here."""
    if result.get("name") in MEANS:  # of a study of many sets or seeds, whose figure is a mean over them too
        ours, figure = MEANS[result["name"]](result)
        return figure.compare([ours])
    expected = from_json(result["expected"])
    return result.get("comparison") or expected.compare([result["test"][expected.metric]])


def _result(name: str) -> dict[str, Any]:
    return json.loads(_path(name).read_text())


def _path(name: str) -> Path:
    return ROOT / "experiments" / "results" / f"{name}.json"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _metric(result: dict[str, Any]) -> str:
    metric = result["expected"]["metric"]
    known = describe(metric)
    return labelled(metric.replace("_", " "), None if known is None else known.better)


def _figures(result: dict[str, Any], row: dict[str, Any]) -> tuple[str, str]:
    """Returns the cells of the published figure and of the baseline, of which one is empty."""
    tag = result["expected"]["tag"]
    published, baseline = ("" if row[kind] is None else f"{row[kind]:g} ({tag})" for kind in ("published", "baseline"))
    return published, baseline


def _measured(result: dict[str, Any], row: dict[str, Any]) -> str:
    mean = f"{row['measured']:.4g}"
    if row["reached"] and row["published"] is not None:
        mean = f"**{mean}**"
    apart = "" if row["deviation"] is None else f" ± {row['deviation']:.2g}"
    return f"{mean}{apart} ({row['seeds']} seed{'s' if row['seeds'] > 1 else ''})"


def _reached(row: dict[str, Any]) -> str:
    return "yes" if row["reached"] else f"no, by {row['short_by']:.3g}"


def studies() -> str:
    """Returns a table of what the scripts under experiments/ measured, with a row for each that has a result."""
    rows = ["| script | measured | beside | reached |", "|---|---|---|---|"]
    for path in sorted((ROOT / "experiments").glob("*.py")):
        kept = ROOT / "experiments" / "results" / f"{path.stem}.json"
        if kept.exists():
            result = json.loads(kept.read_text())
            measured, beside = STUDIES[path.stem](result)
            rows.append(_row(f"`experiments/{path.name}`", _bold(measured, result), beside, _verdict(result)))
    return "\n".join(rows)


def _bold(measured: str, result: dict[str, Any]) -> str:
    """Returns the text with its numbers, between two asterisks each, in bold where a published figure is reached."""
    row = compared(result)
    return measured if row["published"] is not None and row["reached"] else measured.replace("**", "")


def _verdict(result: dict[str, Any]) -> str:
    """Says whether the study's figure is reached, and which one that is."""
    row = compared(result)
    kind = "baseline" if row["published"] is None else "published"
    within = f" (within {row['tolerance']:g})" if row["met"] and not row["reached"] else ""
    return f"{kind}: {_reached(row)}{within}"


def _odds(result: dict[str, Any]) -> tuple[str, str]:
    ours, theirs = result["means"], result["published_means"]
    published = ", ".join(f"{name} {theirs[key]:.3f}" for name, key in PYOD.items())
    chosen = "mean AUROC on twelve tabular sets, each with that of fifteen detectors that is best on the others (the "
    chosen += "fifteen were picked with all twelve in sight, which flatters it), "
    return f"{chosen}**{ours['left_out']:.3f}**; `dae-tabular` {ours['dae-tabular']:.3f}", f"PyOD: {published}"


def _one_class(result: dict[str, Any]) -> tuple[str, str]:
    percent = {name: f"{100 * mean:.2f}" for name, mean in result["means"].items()}
    return (
        f"mean AUROC, one digit against the rest, of the error for each unit of {result['chosen']['autoencoder']} "
        f"**{percent['autoencoder']}**, of the error itself {percent['autoencoder_error']}",
        f"linear AE (PCA) {percent['pca']} and {percent['pca_error']}, its error after all images of a digit 95.53 (C)",
    )


def _error(result: dict[str, Any]) -> tuple[str, str]:
    expected, error = result["expected"], result["test"]["error_percent"]
    return f"test error **{error:.2f} %**", f"{expected['value']:g} % ({expected['tag']}: {expected['source']})"


def _accuracy(result: dict[str, Any]) -> tuple[str, str]:
    expected, accuracy = result["expected"], result["test"]["accuracy"]
    return f"accuracy **{100 * accuracy:.2f} %**", (
        f"{100 * expected['value']:g} % ({expected['tag']}: {expected['source']})"
    )


def _rate(result: dict[str, Any]) -> tuple[str, str]:
    test, expected = result["test"], result["expected"]

    def at(point: str) -> str:
        return f"{test[f'{point}_squared_error']:.2f} at {test[f'{point}_bits_an_image']:.0f} bits an image"

    beside = f"PCA {at('PCA_at_4')}, JPEG {at('JPEG_at_1')}; PCA-32 at full precision {expected['value']:g} (C)"
    return f"codes of 4 bits: squared error **{at('autoencoder_at_4')}**", beside


def _transfer(result: dict[str, Any]) -> tuple[str, str]:
    percent = {name: f"{100 * value:.1f} %" for name, value in result["test"].items()}
    return (
        f"accuracy on digits 5-9 of codes learned on 0-4 **{percent['autoencoder_of_the_source']}**",
        f"PCA likewise {percent['PCA_of_the_source']}, codes of 5-9 themselves {percent['autoencoder_of_the_target']}, "
        f"raw pixels {percent['raw_pixels']}",
    )


def _k_sparse(result: dict[str, Any]) -> tuple[str, str]:
    errors = {name.removesuffix("_error_percent"): f"{value:.2f} %" for name, value in result["test"].items()}
    ours = ", ".join(f"{errors[f'k{k}']} (k = {k})" for k in (10, 25, 40))
    theirs = "2.10, 1.35 and 1.54 % (M: unverified)"
    return f"test error **{ours}**", f"{theirs}; here PCA {errors['PCA']}, raw pixels {errors['raw_pixels']}"


def _codes(result: dict[str, Any]) -> tuple[str, str]:
    def said(code: str) -> str:
        test = result["test"]
        near = ", ".join(f"{test[f'{code}_{size}_knn_accuracy']:.4f} ({size} numbers)" for size in (64, 2))
        accuracy, nmi = (test[f"{code}_10_kmeans_{metric}"] for metric in ("accuracy", "nmi"))
        return f"1-NN accuracy of codes {near}; k-means of ten numbers {accuracy:.3f}, NMI {nmi:.3f}"

    return f"**{said('code')}**", f"AE .9748 and VAE .9785 (64), AE .7647 (2), .879 and .807 (V); PCA: {said('PCA')}"


def _disentanglement(result: dict[str, Any]) -> tuple[str, str]:
    test = result["test"]
    seeds = {
        model: [f"{value:.2f}" for name, value in test.items() if name.startswith(f"{model}_mig_of")]
        for model in ("beta_vae", "vae")
    }
    return (
        f"MIG of a beta-VAE, mean of five seeds, **{test['beta_vae_mig']:.3f}** ({', '.join(seeds['beta_vae'])})",
        f"the plain VAE likewise {test['vae_mig']:.3f} ({', '.join(seeds['vae'])})",
    )


def _noise_level(result: dict[str, Any]) -> tuple[str, str]:
    errors = ", ".join(f"{result['test'][f'trained_at_{level}_seen_0.5']:.2f}" for level in ("0", "0.25", "0.5", "1"))
    return (
        f"squared error at noise 0.5, trained at noise 0, 0.25, 0.5 and 1, **{errors}**",
        f"the best linear denoiser {result['expected']['value']:g} (C)",
    )


def _sparsity(result: dict[str, Any]) -> tuple[str, str]:
    def at(point: str) -> str:
        return f"{result['test'][f'{point}_squared_error']:.2f} with {result['test'][f'{point}_active']:.0f}"

    return (
        f"squared error with active units of 200: top-k **{at('k_10')}, {at('k_20')}, {at('k_40')}**",
        f"L1 {at('weight_1')}, {at('weight_0.3')}, {at('weight_0.1')}; PCA-32 {result['expected']['value']:g} (C)",
    )


def _beta_and_size(result: dict[str, Any]) -> tuple[str, str]:
    def bounds(size: int) -> str:
        return ", ".join(f"{result['test'][f'size_{size}_weight_{w}_bound_nats']:.1f}" for w in ("0.5", "1", "2", "4"))

    return (
        f"bound of a VAE with 20 latents whose KL weighs 0.5, 1, 2 and 4 **{bounds(20)}** nats",
        f"10 latents {bounds(10)}; 20 with weight 1 after 30 epochs {result['expected']['value']:g} (V)",
    )


def _code_size(result: dict[str, Any]) -> tuple[str, str]:
    def errors(kind: str) -> str:
        return ", ".join(f"{result['test'][f'{kind}_of_{size}_squared_error']:.2f}" for size in (2, 8, 32, 64))

    return f"squared error of codes of 2, 8, 32 and 64 numbers **{errors('autoencoder')}**", f"PCA {errors('PCA')}"


def _precision(result: dict[str, Any]) -> tuple[str, str]:
    def both(metric: str, form: str = ".2f") -> str:
        return " and ".join(f"{result['test'][f'{name}_{metric}']:{form}}" for name in ("ae-conv", "vae-conv"))

    expected = result["expected"]
    return (
        f"loss of `ae-conv` and `vae-conv` in bfloat16, {expected['source'].split(', ', 1)[1]}: "
        f"**{both('bfloat16')}** nats",
        f"float32 {both('float32')}; {both('ratio', '.3f')} times as much, standard errors "
        f"{both('ratio_error', '.3f')}",
    )


def _generation(result: dict[str, Any]) -> tuple[str, str]:
    test, expected = result["test"], result["expected"]
    features = expected["source"].split("features ")[1].split(",")[0]

    def distances(*rows: str) -> str:
        return ", ".join(f"{test[f'{row}_fd_{features}']:.2f}" for row in rows)

    return (
        f"Frechet distance (`fd_{features}`, no FID) of what is generated after {test['epochs']:.0f} epochs: RAE with "
        f"mixture **{distances('rae_mixture')}**, VAE with mixture {distances('vae_mixture')}, with a second VAE "
        f"{distances('vae_second_stage')}, with prior {distances('vae_prior')}",
        f"floors: training images {distances('floor_train')}, a normal distribution in PCA-32 "
        f"{distances('floor_normal_in_pca32')}",
    )


def _ladder(result: dict[str, Any]) -> tuple[str, str]:
    test = result["test"]

    def said(model: str) -> str:
        likelihood = next(value for name, value in test.items() if name.startswith(f"{model}_nll") and "nats" in name)
        bound, parameters = test[f"{model}_negative_elbo_nats"], test[f"{model}_parameters"]
        return f"{bound:.2f} nats, likelihood {likelihood:.2f}, {parameters:,.0f} parameters"

    return (
        f"bound of a small top-down hierarchy **{said('hierarchy')}**",
        f"a flat model of the same stages {said('flat')}; the hierarchy is to be 1.5 lower",
    )


def _vae_gan(result: dict[str, Any]) -> tuple[str, str]:
    test, metric = result["test"], result["expected"]["metric"].removeprefix("gan_")

    def said(model: str) -> str:
        names = ("precision", "coverage", "c2st")
        more = ", ".join(f"{name} {test[metric.replace('fd', f'{model}_{name}', 1)]:.2f}" for name in names)
        return f"{more}, squared error of reconstructions {test[f'{model}_squared_error']:.1f}"

    return (
        f"Frechet distance (`{metric}`, one seed) of what a VAE-GAN generates **{test[f'gan_{metric}']:.2f}**, "
        f"{said('gan')}",
        f"the same VAE without a critic {test[f'vae_{metric}']:.2f}, {said('vae')}",
    )


def _dictionaries(result: dict[str, Any]) -> tuple[str, str]:
    kind = result["activations"]
    ours, theirs = ({v: _mean(rows, "fvu") for v, rows in kind.get(who, {}).items()} for who in ("aejax", "saelens"))
    said = ", ".join(f"{DICTIONARIES[variant]} {value:.4f}" for variant, value in ours.items())
    beside = ", ".join(f"{DICTIONARIES[variant]} {value:.4f}" for variant, value in theirs.items())
    return (
        f"unexplained variance of real activations, {kind['setting']['k']} active units: {said}",
        f"SAELens: {beside}",
    )


def _counts(result: dict[str, Any]) -> tuple[str, str]:
    found = result["words"]["found"]
    nats = {name: _mean(rows, "nll") for name, rows in found.items() if "nll" in rows["0"]}
    said = ", ".join(f"{name} {value:.0f}" for name, value in nats.items() if name != "no code")
    told = {name: _mean(rows, "accuracy") for name, rows in found.items() if "accuracy" in rows["0"]}
    theirs = _bench("peer_counts")["words"]["scVI"]
    return (
        f"nats of how often 1,000 words stand in a chapter: {said}; the book told by the code "
        f"{told['negative binomial']:.3f}",
        f"negative binomials without a code {nats['no code']:.0f}, scVI {_mean(theirs, 'nll'):.0f}; the book told by "
        f"PCA {told['PCA of log shares']:.3f}, by scVI's code {_mean(theirs, 'accuracy'):.3f}",
    )


def counts() -> str:
    """Returns a table of models of counts that were trained here and in scvi-tools on the same rows."""
    result, peer = _result("counts"), _bench("peer_counts")
    found = {name: {**result[name]["found"], "scVI": peer[name]["scVI"]} for name in COUNTS}
    heads = [f"{title}: nats ↓ | {label} told ↑" for title, label, _ in COUNTS.values()]
    rows = [_row("", *heads), f"|---|{'---|---|' * len(COUNTS)}"]
    for called, title in COUNT_MODELS.items():
        cells = [_over_seeds(found[name].get(called, {}), metric) for name in COUNTS for metric in ("nll", "accuracy")]
        rows.append(_row(title, *cells))
    settings = {name: result[name]["setting"] for name in COUNTS}
    sizes = ", ".join(
        f"{settings[name]['rows']:,} of {settings[name]['values']:,} {COUNTS[name][2]}" for name in COUNTS
    )
    setting, versions = settings["words"], peer["words"]["versions"]
    said = (
        f"Training rows: {sizes}. Nats are of a test row given its total, in both libraries by {setting['samples']} "
        f"importance samples; labels are told by the {setting['neighbours']} nearest codes, of {setting['code']} "
        "numbers each. ± is the standard deviation of three seeds. "
        f"scvi-tools {versions['scvi-tools']}, PyTorch {versions['torch']}."
    )
    return "\n".join([*rows, "", said])


def _over_seeds(rows: dict[str, dict[str, float]], metric: str) -> str:
    """Returns the mean of seeds and their standard deviation; nothing where the metric was not measured."""
    form, values = {"nll": ".1f", "accuracy": ".3f"}[metric], [row[metric] for row in rows.values() if metric in row]
    apart = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{apart}" if values else ""


def generated() -> str:
    """Returns a table of what trained entries generate, the nearest to the data first, beside training examples."""
    result = _result("generated")
    heads = ["FD ↓", "KID ↓", "precision ↑", "recall ↑", "density ↑", "coverage ↑", "C2ST ↓"]
    rows = [_row("entry", "codes from", "features", *heads), "|---|---|---|" + "---|" * len(heads)]
    for features, floor in result["floors"].items():
        found = [row for row in result["rows"] if f"fd_{features}" in row]
        rows.append(_row("training examples", "", f"`{features}`", *_distances(floor, features)))
        for row in sorted(found, key=lambda row: row[f"fd_{features}"]):
            drawn = row["drawn_from"].split(",")[0]
            rows.append(_row(f"`{row['entry']}`", drawn, f"`{features}`", *_distances(row, features)))
    return "\n".join(rows)


def _distances(row: dict[str, Any], features: str) -> list[str]:
    """Returns the cells of a row: squared units of the features, and shares."""
    names = {"fd": ".2f", "kid": ".3f", "precision": ".2f", "recall": ".2f", "density": ".2f", "coverage": ".2f"}
    return [f"{row[f'{name}_{features}']:{form}}" for name, form in {**names, "c2st": ".2f"}.items()]


def _generated(result: dict[str, Any]) -> tuple[str, str]:
    told = {row["entry"]: row for row in reversed(result["rows"])}
    distance = {name: row["fd_mnist_cnn"] for name, row in told.items() if "fd_mnist_cnn" in row}
    said = ", ".join(f"`{name}` {value:.2f}" for name, value in sorted(distance.items(), key=lambda pair: pair[1]))
    alone = _of_indices(result)[1]["fd_mnist_cnn"]
    return (
        f"Frechet distance (`fd_mnist_cnn`) of what trained entries generate: {said}",
        f"training images {result['floors']['mnist_cnn']['fd_mnist_cnn']:.2f}; `fsq-mnist` with each index by itself "
        f"{alone:.2f}",
    )


def _of_indices(result: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what `fsq-mnist` generates from a fitted prior over its indices, and from each index by itself."""
    fitted, alone = (row for row in result["rows"] if row["entry"] == "fsq-mnist")
    return fitted, alone


COUNTS = {
    "words": ("words by chapter", "book", "words"),
    "cells": ("genes by cell", "kind", "genes"),
}
"""Of each table of counts: what it is, what its labels are, and what its values are called."""

COUNT_MODELS = {
    "no code": "negative binomials without a code",
    "PCA of log counts": "PCA of log counts",
    "PCA of log shares": "PCA of log shares",
    "poisson": "aejax, Poisson",
    "negative binomial": "aejax, negative binomial",
    "zero-inflated negative binomial": "aejax, zero-inflated",
    "scVI": "scVI of scvi-tools, negative binomial",
}
"""The models of the table of counts."""


DICTIONARIES = {
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "jumprelu": "JumpReLU",
    "matryoshka": "Matryoshka",
    "l1": "L1",
    "gated": "Gated",
}


def _mean(rows: dict[str, dict[str, float]], metric: str) -> float:
    return statistics.mean(row[metric] for row in rows.values())


MEANS: dict[str, Callable[[dict[str, Any]], tuple[float, Expected]]] = {
    "odds": lambda result: (
        result["means"]["left_out"],
        Expected("auroc", max(result["published_means"].values()), source="the best of PyOD's on these sets", tag="V"),
    ),
    "one_class_mnist": lambda result: (
        result["means"]["autoencoder"],
        Expected("auroc", result["means"]["pca"], source="PCA's error for each unit of the same", tag="C"),
    ),
    "counts": lambda result: (
        _mean(result["words"]["found"]["negative binomial"], "nll"),
        Expected("nll_200_nats", _mean(_bench("peer_counts")["words"]["scVI"], "nll"), source="scVI", tag="C"),
    ),
    "generated": lambda result: (
        _of_indices(result)[0]["fd_mnist_cnn"],
        Expected("fd_mnist_cnn", _of_indices(result)[1]["fd_mnist_cnn"], source="each index by itself", tag="C"),
    ),
    "dictionaries": lambda result: (
        _mean(result["activations"]["aejax"]["topk"], "fvu"),
        Expected("fvu", _mean(result["activations"]["saelens"]["topk"], "fvu"), source="SAELens' TopK", tag="C"),
    ),
}
"""Of studies that give a mean over sets or seeds: that mean, and the figure that it is compared with."""

PYOD = {"isolation forest": "iforest", "its autoencoder": "autoencoder", "PCA": "pca", "kNN": "knn"}
STUDIES = {
    "beta_and_size": _beta_and_size,
    "code_size": _code_size,
    "codes": _codes,
    "counts": _counts,
    "k_sparse": _k_sparse,
    "ladder": _ladder,
    "dictionaries": _dictionaries,
    "disentanglement": _disentanglement,
    "generated": _generated,
    "generation": _generation,
    "noise_level": _noise_level,
    "odds": _odds,
    "one_class_mnist": _one_class,
    "precision": _precision,
    "rate_distortion": _rate,
    "sdae_mnist": _error,
    "self_taught": _accuracy,
    "sparsity": _sparsity,
    "transfer": _transfer,
    "ufldl_stacked": _accuracy,
    "vae_gan": _vae_gan,
}


def speed() -> str:
    """Returns a table of each contender's seconds for an epoch, and a text on the whole process and the matrix rate."""
    bench = _bench("bench_cpu")
    parts = {"small": "784-32-784, batch 256", "large": "784-512-16-512-784, batch 128"}
    rows = [f"| one epoch of 60,000 images | {' | '.join(parts.values())} |", "|---|---|---|"]
    rows += [f"| {title} | {' | '.join(_cell(bench[part], key) for part in parts)} |" for key, title in TITLES.items()]
    return "\n".join([*rows, "", *_beside(bench)])


def _beside(bench: dict[str, Any]) -> list[str]:
    whole, rows = bench["whole_process_seconds"], bench["small"]["rows"]["aejax"]
    shares = [f"{bench[part]['matrix_rate']['share_of_large']:.0%}" for part in ("small", "large")]
    own = [f"{bench[part]['matrix_rate']['share_of_own_shapes']:.0%}" for part in ("small", "large")]
    return [
        f"A whole process of 50 epochs, compilation included, takes {whole['aejax']:.1f} s; Keras on JAX's takes",
        f"{whole['keras-jax']:.1f} s ({whole['aejax'] / whole['keras-jax']:.2f} of it). `aejax train`, with saving,",
        f"measuring and drawing, takes {whole['aejax train']:.1f} s. The matrix products run at",
        f"{shares[0]} and {shares[1]} of the {rows['matrix_gflops']['large']:.0f} GFLOP/s that one large product",
        f"reaches here, and at {own[0]} and {own[1]} of what their own shapes reach on their own. Memory of",
        f"the aejax process: {rows['memory_mb'] / 1024:.2f} GB. Measured on {_machine(bench)}.",
    ]


def _cell(part: dict[str, Any], name: str) -> str:
    if name not in part["rows"]:
        return ""
    seconds = part["rows"][name]["epoch_seconds"]
    ratio = f" (aejax takes {part['ratios'][name]:.2f} of it)" if name in part["ratios"] else ""
    return f"{seconds:.3f} s{ratio}"


def vae_speed() -> str:
    """Returns a table of the speed of the VAE, the IWAE and the likelihood, beside Pythae's."""
    bench = _bench("bench_vae")
    steps = bench["iwae"]["setting"]["batch"]
    heads = {
        "vae": "VAE 784-500-20, batch 128: an epoch of 60,000",
        "iwae": f"IWAE of 50 samples, 784-200-200-50, batch {steps}: 200 steps",
    }
    titles = {"aejax": "aejax", "pythae": "Pythae, its trainer", "pythae-loop": "Pythae's model in a PyTorch loop"}
    nll = bench["nll"]
    rows = [
        f"| | {' | '.join(heads.values())} | NLL of a test image by {nll['samples']:,} samples |",
        "|---|---|---|---|",
    ]
    for name, title in titles.items():
        cell = ""
        if name in nll["rows"]:
            ratio = f" (aejax takes {nll['ratios'][name]:.3f} of it)" if name in nll["ratios"] else ""
            cell = f"{1000 * nll['rows'][name]['seconds_per_image']:.1f} ms{ratio}"
        rows.append(f"| {title} | {' | '.join(_cell(bench[part], name) for part in heads)} | {cell} |")
    ours, theirs = nll["rows"]["aejax"], nll["rows"]["pythae"]
    return "\n".join(
        [
            *rows,
            "",
            f"The same parameters give {ours['nll_nats']:.2f} nats here and {theirs['nll_nats']:.2f} in Pythae, on "
            f"{theirs['images']} images. Measured on {_machine(bench)}.",
        ]
    )


def residual_speed() -> str:
    """Returns a table of the speed of a user's own residual layers, beside plain Flax and Pythae."""
    if not (ROOT / "scripts" / "results" / "bench_residual.json").exists():
        return "`python scripts/bench_residual.py` measures a user's own residual layers; it has not been run yet."
    bench = _bench("bench_residual")
    setting, titles = bench["setting"], {"aejax": "aejax", "flax": "plain Flax, a jitted step", "pythae": "Pythae"}
    what = f"{setting['photos']:,} photos of 32 x 32, {setting['blocks']} residual blocks a side"
    rows = [f"| own layers: an epoch of {what}, batch {setting['batch']} | time |", "|---|---|"]
    rows += [f"| {title} | {_cell(bench, name)} |" for name, title in titles.items() if name in bench["rows"]]
    return "\n".join([*rows, "", f"Measured on {_machine(bench)}."])


def sweep_speed() -> str:
    """Returns a table of the time that a sweep of 32 settings takes, beside other ways to run them."""
    bench = _bench("bench_sweep")
    rows = [f"| {bench['trials']} settings of `ae-keras`, {bench['epochs']} epochs each | time |", "|---|---|"]
    for name, row in bench["rows"].items():
        ratio = bench["ratios"].get(name)
        beside = "" if ratio is None else f" (the sweep takes {ratio:.2f} of it)"
        rows.append(f"| {name} | {row['seconds']:.1f} s{beside} |")
    return "\n".join([*rows, "", f"Measured on {_machine(bench)}."])


def stream_speed() -> str:
    """Returns a table of the speed of training on MNIST from disk, beside that in memory."""
    if not (ROOT / "scripts" / "results" / "bench_stream.json").exists():
        return "`python scripts/bench_stream.py` measures its speed beside that in memory; it has not been run yet."
    bench = _bench("bench_stream")
    rows = ["| MNIST, 60,000 images | `ae-keras` | `ae-conv` |", "|---|---|---|"]
    names = ("ae-keras", "ae-conv")
    for way in ("in memory", "streamed"):
        cells = (f"{bench[name]['rows'][way]['examples_per_second']:,.0f} images a second" for name in names)
        rows.append(f"| {way} | {' | '.join(cells)} |")
    for title, key in (("share of the speed in memory", "share_of_throughput"), ("waiting", "input_wait_share")):
        rows.append(f"| {title} | {' | '.join(f'{100 * bench[name][key]:.3g} %' for name in names)} |")
    buffer = f"through a buffer of {1000 * bench['buffer_gigabytes']:.0f} MB"
    return "\n".join([*rows, "", *_reading(bench), f"Measured on {_machine(bench)}, {buffer}."])


def _reading(bench: dict[str, Any]) -> list[str]:
    """Returns a table of how fast rows come from files to the step's input, where that was measured."""
    found = bench.get("rows of 384 float16")
    if found is None:
        return []
    rows = ["| 1.5 million rows of 384 float16, shuffled in windows of 128 MB | rows a second |", "|---|---|"]
    rows.append(f"| the files are in the page cache | {found['cached_rows_per_second']:,.0f} |")
    cold, share = found["cold_rows_per_second"], found["share_of_sequential"]
    rows.append(f"| they are not | {cold:,.0f}, {share:.2f} of reading them from end to end |")
    return [*rows, ""]


def windows() -> str:
    """Returns a table of what shuffling within windows gives up, on digits sorted by class."""
    study = _bench("window_shuffle")
    what = f"`ae-keras` on MNIST sorted by class, {study['epochs']} epochs, {study['seeds']} seeds"
    rows = [f"| {what} | loss on test, nats | above a whole shuffle |", "|---|---|---|"]
    for name, row in study["rows"].items():
        called = "shuffled whole" if name == "whole" else f"in windows of {name}"
        above = "" if name == "whole" else f"{row['above_whole']:.2f} ± {row['standard_error']:.2f}"
        rows.append(f"| {called} | {row['mean']:.2f} ± {row['deviation']:.2f} | {above} |")
    return "\n".join([*rows, "", "± a standard deviation of seeds, and of the difference a standard error."])


def one_pass() -> str:
    """Returns a table of one pass over many small rows from disk."""
    if not (ROOT / "scripts" / "results" / "one_pass.json").exists():
        return "`python scripts/one_pass.py` trains in one pass over 2^27 rows of 16 bytes; it has not been run yet."
    found = _bench("one_pass")
    peaks, same = found["peak_megabytes"], "the same" if found["same_bits"] else "other"
    rows = [f"| one pass over {found['rows']:,} rows of {found['bytes_a_row']} bytes, a linear model | |", "|---|---|"]
    rows.append(f"| rows a second, start and measuring included | {found['rows_per_second']:,.0f} |")
    rows += [f"| most memory, {name} | {peak:,.0f} MB |" for name, peak in peaks.items()]
    rows.append(f"| killed {found['kills']} times on the way | ends with {same} bits |")
    return "\n".join([*rows, "", f"Measured on {_machine(found)}."])


def dictionaries(kind: str) -> str:
    """Returns a table of dictionaries that were trained here and in SAELens on the same data.

    `kind` is the kind of data: activations, or synthetic features.
    """
    result = _result("dictionaries")
    setting = result[kind]["setting"]
    metrics = {
        "activations": {"fvu": "unexplained variance ↓", "l0": "active units", "dead_share": "dead units ↓"},
        "synthetic": {"feature_f1": "F1 ↑", "mcc": "MCC ↑", "fvu": "unexplained variance ↓", "l0": "active units"},
    }[kind]
    rows = [f"| | | {' | '.join(metrics.values())} | seeds |", f"|---|---|{'---|' * len(metrics)}---|"]
    for variant, title in DICTIONARIES.items():
        for who, called in (("aejax", "aejax"), ("saelens", "SAELens"), ("sparsify", "sparsify")):
            if found := result[kind].get(who, {}).get(variant):
                cells = [_spread(metric, [row[metric] for row in found.values()]) for metric in metrics]
                rows.append(_row(title, called, *cells, str(len(found))))
    what = (
        f"{setting['units']:,} units for {setting['values']} values, {setting['steps']:,} batches of "
        f"{setting['batch']:,} at a rate of {setting['rate']:g}; measured on {setting['test']:,} other examples. ± is "
        "the standard deviation of seeds; where there is one seed, a small difference says little."
    )
    versions = result[kind]["versions"]
    named = {"saelens": ("SAELens", "sae-lens"), "sparsify": ("sparsify", "eai-sparsify")}
    peers = ", ".join(
        f"{title} {versions[who][package]} (PyTorch {versions[who]['torch']})"
        for who, (title, package) in named.items()
        if who in versions
    )
    return "\n".join([*rows, "", f"{what} {peers}; {_machine(result)}."])


def found_features() -> str:
    """Returns a short table of what dictionaries find here and in SAELens, whose numbers are in brackets.

    Where its dictionary has another number of active units, that number stands in the place of what it leaves.
    """
    result = _result("dictionaries")
    columns = {
        "features of synthetic data found, F1 ↑": ("synthetic", "feature_f1"),
        "variance of real activations unexplained ↓": ("activations", "fvu"),
        "units dead on them ↓": ("activations", "dead_share"),
    }
    rows = [f"| aejax (SAELens) | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for variant, title in DICTIONARIES.items():
        cells = []
        for kind, metric in columns.values():
            ours, theirs = (result[kind][who].get(variant) for who in ("aejax", "saelens"))
            form, factor, unit = DIGITS.get(metric, (".3f", 1, ""))
            said = [f"{factor * _mean(found, metric):{form}}{unit}" for found in (ours, theirs) if found]
            if ours and theirs and not 0.9 < _mean(theirs, "l0") / _mean(ours, "l0") < 1.1:
                said[1] = f"{_mean(theirs, 'l0'):,.0f} active"
            cells.append(said[0] + "".join(f" ({other})" for other in said[1:]) if said else "")
        rows.append(_row(title, *cells))
    return "\n".join(rows)


def dictionary_speed() -> str:
    """Returns a table of the time and the memory of a step of TopK beside SAELens', and of several dictionaries."""
    bench = _bench("bench_sae")
    setting, titles = bench["setting"], {"aejax": "aejax", "saelens": "SAELens"}
    what = (
        f"TopK, {setting['k']} of {setting['units']:,} units for {bench['values']} values, batch {setting['batch']:,}"
    )
    rows = [f"| {what} | a step | most memory | unexplained variance ↓ |", "|---|---|---|---|"]
    for name, row in bench["rows"].items():
        ratio = f" (aejax takes {bench['ratios'][name]:.2f} of it)" if name in bench["ratios"] else ""
        cells = (f"{row['step_seconds']:.3f} s{ratio}", f"{row['memory_mb']:.0f} MB", f"{row['fvu']:.3f}")
        rows.append(_row(titles[name], *cells))
    if several := bench.get("several"):
        called = {"together": "on one read of the data", "alone": "one run after the other"}
        count, steps = len(several["setting"]["targets"]), several["setting"]["steps"]
        rows += ["", f"| {count} dictionaries of other numbers of active units, {steps} steps each | |", "|---|---|"]
        rows += [_row(called[name], f"{row['seconds']:.1f} s") for name, row in several["rows"].items()]
    busy = "; others used the machine meanwhile" if bench["busy"] else ""
    return "\n".join([*rows, "", f"Measured on {_machine(bench)}{busy}."])


DIGITS = {"l0": (".2f", 1, ""), "dead_share": (".1f", 100, " %")}
"""How metrics are written that are not written with four digits: the format, a factor and the unit."""


def _spread(metric: str, values: list[float]) -> str:
    """Returns the mean of seeds and their standard deviation, as a metric is written."""
    form, factor, unit = DIGITS.get(metric, (".4f", 1, ""))
    apart = f" ± {factor * statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{factor * statistics.mean(values):{form}}{apart}{unit}"


def _bench(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "scripts" / "results" / f"{name}.json").read_text())


def _machine(bench: dict[str, Any]) -> str:
    return f"{bench['hardware']['device']}, {bench['hardware']['cores']} cores"


def fill(text: str) -> str:
    """Returns the text of a page with each table that it marks made anew."""
    tables = {
        "best": best,
        "beside": beside,
        "entries": entries,
        "studies": studies,
        "speed": speed,
        "vae": vae_speed,
        "residual": residual_speed,
        "sweep": sweep_speed,
        "stream": stream_speed,
        "windows": windows,
        "one pass": one_pass,
        "activations": partial(dictionaries, "activations"),
        "synthetic": partial(dictionaries, "synthetic"),
        "dictionaries": found_features,
        "dictionary speed": dictionary_speed,
        "counts": counts,
        "generated": generated,
    }
    for name, table in tables.items():
        if f"<!-- {name} -->\n" in text:
            before, rest = text.split(f"<!-- {name} -->\n")
            text = f"{before}<!-- {name} -->\n{table()}\n<!-- end {name} -->{rest.split(f'<!-- end {name} -->')[1]}"
    return text


def ledger() -> str:
    """Returns the content of the ledger, which `aejax results` shows: see `aejax.experiment.Entry`."""
    found = []
    for name in _compared():
        result = _result(name)
        row, known = compared(result), describe(result["expected"]["metric"])
        hardware = result["hardware"]
        entry = Entry(
            name=name,
            better=None if known is None else known.better,
            source=result["expected"]["source"],
            tag=result["expected"]["tag"],
            seconds=round(result["train_seconds"], 1),
            commit=result.get("commit"),
            processor=f"{hardware['device']}, {hardware['cores']} cores",
            jax=result["versions"]["jax"],
            **{key: value for key, value in row.items() if key != "met"},
        )
        found.append(asdict(entry))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def written() -> dict[Path, str]:
    """Returns the pages with their tables, and the ledger, as the results say that they should be."""
    return {page: fill(page.read_text()) for page in PAGES} | {LEDGER: ledger()}


def main() -> None:
    """Rewrites the tables of the pages, or with --check exits with 1 where they are not what the results say."""
    for page, text in written().items():
        if sys.argv[1:] != ["--check"]:
            page.write_text(text)
        elif page.read_text() != text:
            sys.exit(f"{page.relative_to(ROOT)} is not what the results say: run scripts/tables.py")


if __name__ == "__main__":
    main()
