"""Writes the model card of a saved model: what it is, what was measured of it, how it is used."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aejax.experiment import Experiment, names, origins
from aejax.experiment.registry import changes
from aejax.metrics import describe, labelled
from aejax.runs import versions

if TYPE_CHECKING:
    from aejax.trained.trained import Trained

_HEAD = """---
library_name: aejax
tags:
- autoencoder
- jax
- flax
---"""
"""What the Hugging Face hub reads of a card."""


def model_card(trained: "Trained", result: dict[str, Any] | None, picture: str | None) -> str:
    """Returns the card as Markdown.

    Args:
        trained: the model.
        result: the content of its result.json, of which `test` and `examples` are read; None: nothing was measured.
        picture: the name of a picture beside the card; None: there is none.
    """
    experiment = trained.experiment
    summary = names().get(experiment.name)
    parts = [
        _HEAD,
        f"# {experiment.name}",
        f"{summary[0].upper()}{summary[1:]}." if summary else "",
        f"![Examples above their reconstructions]({picture})" if picture else "",
        "## Use",
        _use(trained),
        "## Measured",
        _measured(trained, result),
        "## Trained",
        _trained(trained),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def own_code(experiment: Experiment) -> dict[str, str]:
    """Returns in which module, or file by its name alone, each class is defined that is not aejax's own."""
    return {name: Path(origin).name for name, origin in origins(experiment).items()}


def _use(trained: "Trained") -> str:
    shape = ", ".join(map(str, trained.shape))
    label = ", label" if trained.experiment.model.classes else ""
    units = "grey levels: uint8, or numbers in [0, 1]" if trained.grey else "numbers in the units of the training data"
    return f"""```python
import aejax

trained = aejax.load("FOLDER")  # this folder, or hf:OWNER/NAME
codes = trained.encode(x{label})
made = trained.decode(codes{label})
```

`x` is [n, {shape}], {units}; codes are [n, {trained.experiment.model.latent.size}].{_needs(trained)}"""


def _needs(trained: "Trained") -> str:
    """Returns a sentence on the files that are not in the folder, and that have to be imported first."""
    files = sorted(set(own_code(trained.experiment).values()))
    return "" if not files else f" Before loading, import {', '.join(files)}, which this folder does not hold."


def _measured(trained: "Trained", result: dict[str, Any] | None) -> str:
    test = None if result is None else result.get("test")
    if not isinstance(test, dict) or not test:
        return "Nothing was measured on a test part."
    rows = ["| metric | test | unit |", "|---|---|---|"]
    for name, value in test.items():
        known = describe(name, trained.experiment.loss.terms)
        shown = "not finite" if value is None else f"{value:.4f}"
        rows.append(f"| {labelled(name, known.better if known else None)} | {shown} | {known.unit if known else ''} |")
    assert result is not None
    return "\n".join(rows) + f"\n\nOn {result.get('examples', 'all')} examples; ↓ lower is better, ↑ higher."


def _trained(trained: "Trained") -> str:
    experiment, data = trained.experiment, trained.data
    lines = [f"- {int(trained.state.step):,} steps of {experiment.batch_size} examples, seed {experiment.seed}"]
    if data is not None:
        values = f"{data.dtype} from {data.low:g} to {data.high:g}"
        lines.append(f"- on {data.rows['train']:,} examples of {data.name}, {values}")
    if trained.reference is not None:
        kept = int(trained.reference.count)
        lines.append(f"- model.safetensors holds {kept:,} rows of the training data, which the detector compares with")
    given = trained.given or experiment
    changed = changes(given)
    if changed is None:
        lines.append(f"- of an experiment of its own, `{type(experiment.model).__name__}`: see experiment.json")
    elif changed:
        settings = ", ".join(f"`{path}` {value}" for path, value in changed.items())
        lines.append(f"- as the registered `{experiment.name}` but for {settings}")
    else:
        lines.append(f"- as the registered `{experiment.name}`: `aejax show {experiment.name}`")
    made_with = versions()
    lines.append("- saved with " + ", ".join(f"{name} {made_with[name]}" for name in ("aejax", "jax", "flax")))
    return "\n".join(lines)
