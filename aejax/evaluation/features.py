"""Makes one self-contained HTML page of what the units of a sparse code stand for.

It shows how often units are active and, of some of them, how strongly, the row that they decode to, and the examples
for which they are strongest: as pictures, as tokens in their text, or as rows of a table.
"""

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from aejax.core import Examples, InputError, json_text, spread
from aejax.evaluation import _features_script, _sparsity, figures, pages
from aejax.evaluation.activations import UnitUse, codes_at, unit_use
from aejax.evaluation.contexts import Text
from aejax.metrics import DENSE
from aejax.models import parameters_at
from aejax.trained import Trained
from aejax.trained.shown import shown_limits

STRONGEST = 10
"""Number of examples that are shown of each unit."""

COLUMNS = 8
"""Number of columns of a table that are shown of each unit: those that its row moves most."""

_SCALE = 2
"""Pixels of the page for each pixel of a small image."""


def features_page(
    trained: Trained,
    part: Examples,
    called: str,
    text: Text | None = None,
    units: Sequence[int] = (),
    most: int = 100,
) -> str:
    """Returns the page as HTML, which refers to nothing outside itself.

    Args:
        trained: the trained model, whose codes are sparse.
        part: the examples, which may be on disk; they are passed over once.
        called: what the examples are called, as "test".
        text: the tokens that the examples are the activations of; None: they are of none.
        units: the units that are shown; none: `most` of those that are active, from rare ones to frequent ones.
        most: the largest number of units that are shown where none are named.

    Raises:
        InputError: for a model without sparse codes, a unit that it does not have, and no examples.
    """
    experiment, size = trained.experiment, trained.experiment.model.latent.size
    if not _sparsity.suits(experiment):
        raise InputError(
            f"the codes of {experiment.name} are not sparse, so no example stands for a unit: train a dictionary, a "
            "sparse autoencoder, or with a term as code-l1"
        )
    unknown = [unit for unit in units if not 0 <= unit < size]
    if unknown or most < 1 or not len(part):
        raise InputError(
            f"units {unknown} of {size}, at most {most} units, {len(part)} examples: name units from 0 to {size - 1}, "
            "or 1 or more of them, and give examples"
        )
    use = unit_use(trained, part, STRONGEST, _sparsity.threshold(experiment))
    chosen = np.asarray(units, int) if units else _sampled(use, most)
    shown = _cards(trained, part, use, chosen, text)
    content = {"units": _table(trained, part, use, text), "cards": shown}
    held = json_text(content).replace("<", "\\u003c")  # no word may end the script
    title = f"Features of {experiment.name}"
    run = "" if trained.run is None else f", run {trained.run.path.name}"
    density = figures.activation_density(use.active / use.examples, title="How often units are active")
    body = [
        f"<h1>{html.escape(title + run)}</h1><p>{html.escape(_said(use, called))}</p>",
        pages.drawn("density", density, "log10 of the share of examples; dead units are counted aside."),
        f"<script type='application/json' id='content'>{held}</script>",
        _features_script.BODY.format(shown=len(chosen), size=f"{size:,}", strongest=STRONGEST),
    ]
    return pages.document(title, "\n".join(body), _features_script.SCRIPT, _features_script.STYLE)


def _said(use: UnitUse, called: str) -> str:
    share, dead = use.active / use.examples, int((use.active == 0).sum())
    return (
        f"Over {use.examples:,} examples ({called}): {len(share):,} units, of which {share.sum():.1f} are active in an "
        f"example on average, {dead:,} in none, and {int((share > DENSE).sum()):,} in more than {DENSE:.0%} of them."
    )


def _sampled(use: UnitUse, most: int) -> Int[np.ndarray, " chosen"]:
    """Chooses units that are active, spread over how often they are."""
    alive = np.flatnonzero(use.active)
    return np.sort(alive[np.argsort(use.active[alive], kind="stable")][spread(len(alive), most)])


def _table(trained: Trained, part: Examples, use: UnitUse, text: Text | None) -> dict[str, list[Any]]:
    """Returns the columns of the table of all units."""
    row = use.row[:, 0]
    names = [""] * len(row)
    for place, name in zip(np.flatnonzero(row >= 0), _names(trained, part, row[row >= 0], text), strict=True):
        names[place] = name.strip()
    return {
        "share": [_short(value) for value in use.active / use.examples],
        "mean": [_short(value) for value in use.total / np.maximum(use.active, 1)],
        "strongest": [_short(value) for value in use.value[:, 0]],
        "example": names,
    }


def _names(trained: Trained, part: Examples, rows: Int[np.ndarray, " k"], text: Text | None) -> list[str]:
    """Returns what examples are called: the word of their token, the class of their label, or their number."""
    if text is not None:
        return [text.word(row) for row in rows]
    if part.label is None or not trained.schema.classes:
        return [f"#{row}" for row in rows]
    return [trained.schema.classes[label] for label in np.asarray(part.label)[rows]]


def _cards(
    trained: Trained, part: Examples, use: UnitUse, units: Int[np.ndarray, " chosen"], text: Text | None
) -> list[dict[str, Any]]:
    """Returns what is shown of each chosen unit."""
    shown = _shower(trained, part, use, units, text)
    rows = _rows(trained)
    columns = trained.schema.columns
    cards = []
    for unit in units:
        card = {"unit": int(unit), "counts": use.counts[unit].tolist(), "end": use.end[unit]} | shown(unit)
        if rows is not None and figures.is_drawable(trained.shape) and rows.shape[1] == math.prod(trained.shape):
            card["row"] = _signed(rows[unit].reshape(1, *trained.shape))
        if rows is not None and len(columns) == rows.shape[1]:
            moved = np.argsort(-np.abs(rows[unit]), kind="stable")[:COLUMNS]
            card["weights"] = [[columns[place], round(float(rows[unit, place]), 2)] for place in moved]
        cards.append(card)
    return cards


def _shower(
    trained: Trained, part: Examples, use: UnitUse, units: Int[np.ndarray, " chosen"], text: Text | None
) -> Callable[[int], dict[str, Any]]:
    """Returns a function that says of a unit what its strongest examples are: in text, as pictures, or as rows."""
    if text is not None:
        return _contexts(trained, part, use, units, text)
    rows = np.unique(use.row[units])
    rows = rows[rows >= 0]
    x = trained.seen(part.take(rows).read().x) if len(rows) else np.zeros((0, *trained.shape))
    drawable, columns = figures.is_drawable(trained.shape), trained.schema.columns
    limits = shown_limits(trained, x) if drawable and len(x) else (0.0, 1.0)
    moved = _rows(trained)

    def shown(unit: int) -> dict[str, Any]:
        own = use.row[unit][use.row[unit] >= 0]
        values = x[np.searchsorted(rows, own)]
        said: dict[str, Any] = {
            "examples": [
                {"value": _short(value), "number": int(row), "name": name}
                for value, row, name in zip(use.value[unit], own, _names(trained, part, own, None), strict=False)
            ]
        }
        if drawable and len(own):
            said["strip"] = _strip(values, limits)
        elif columns:
            strength = np.abs(moved[unit]) if moved is not None and moved.shape[1] == len(columns) else -np.arange(99)
            places = np.argsort(-strength[: len(columns)], kind="stable")[:COLUMNS]
            said["columns"] = [columns[place] for place in places]
            for example, row in zip(said["examples"], values, strict=True):
                example["cells"] = [_short(row[place]) for place in places]
        return said

    return shown


def _contexts(
    trained: Trained, part: Examples, use: UnitUse, units: Int[np.ndarray, " chosen"], text: Text
) -> Callable[[int], dict[str, Any]]:
    """Returns a function that gives the tokens about the strongest ones of a unit, with its code at each."""
    pairs = [(row, unit) for unit in units for top in use.row[unit] if top >= 0 for row in text.around(top)]
    at = np.asarray(pairs, int).reshape(-1, 2)
    codes = codes_at(trained, part, at[:, 0], at[:, 1]) if len(at) else np.zeros(0)
    code = dict(zip(pairs, codes, strict=True))

    def shown(unit: int) -> dict[str, Any]:
        examples = []
        for value, top in zip(use.value[unit], use.row[unit], strict=True):
            if top >= 0:
                tokens = [[text.word(row), _short(code[row, unit])] for row in text.around(top)]
                place = int(top) - text.around(top)[0]
                examples.append({"value": _short(value), "number": int(top), "tokens": tokens, "at": place})
        return {"examples": examples}

    return shown


def _rows(trained: Trained) -> Float[np.ndarray, "units values"] | None:
    """Returns what each unit adds to the output, scaled to length 1; None where the decoder has more than one layer."""
    model, params = trained.experiment.model, trained.used.params
    if len(model.down) != 1:
        return None
    layer = parameters_at(params, model.down[0])
    kernel = np.asarray(layer["kernel"] if "kernel" in layer else parameters_at(params, model.up[-1])["kernel"].T)
    if kernel.ndim != 2 or len(kernel) != model.latent.size:
        return None
    return kernel / np.maximum(np.linalg.norm(kernel, axis=1, keepdims=True), 1e-12)


def _strip(images: Float[np.ndarray, "n *shape"], limits: tuple[float, float]) -> dict[str, Any]:
    """Returns images beside each other as one picture, with how many they are and their size on the page."""
    low, high = limits
    grey = figures.panels((images - low) / (high - low), 0.5)
    pixels = (np.clip(np.nan_to_num(grey), 0, 1) * 255).round().astype(np.uint8)
    beside = np.concatenate(list(pixels), axis=1)
    source = pages.png(beside[..., 0] if beside.shape[-1] == 1 else beside)
    return {"source": source, "width": _SCALE * pixels.shape[2], "height": _SCALE * pixels.shape[1]}


def _signed(images: Float[np.ndarray, "1 *shape"]) -> dict[str, Any]:
    """Returns values around zero as one picture: red above it and blue below, zero white."""
    from matplotlib import colormaps

    shown = figures.panels(images, 0.0)
    if shown.shape[-1] == 3:  # a colour each: half is zero
        return _strip(images, (-float(np.abs(images).max()) or -1.0, float(np.abs(images).max()) or 1.0))
    limit = float(np.abs(shown).max()) or 1.0
    pixels = (colormaps["RdBu_r"](0.5 + shown[0, ..., 0] / limit / 2)[..., :3] * 255).round().astype(np.uint8)
    return {"source": pages.png(pixels), "width": _SCALE * pixels.shape[1], "height": _SCALE * pixels.shape[0]}


def _short(value: Any) -> float:
    """Returns a number with as many digits as are read."""
    return float(f"{float(value):.4g}")
