"""Shows a trained model in a notebook: its settings, its curve, its reconstructions."""

import base64
import html
import math
from typing import TYPE_CHECKING, Any

from aejax.experiment import model_in_words
from aejax.experiment.registry import changes

if TYPE_CHECKING:
    from aejax.trained.trained import Trained

_WIDTH, _HEIGHT = 320, 120
_COLOURS = {"train": "#4477aa", "validation": "#ee6677"}
PICTURE = "reconstructions.png"


def described(trained: "Trained") -> dict[str, str]:
    """Returns what is said of a model in short: the words of its one line, by what they are about."""
    experiment = trained.experiment
    epochs = [row["epoch"] for row in trained.history if row["split"] == "train"]
    return {
        "experiment": experiment.name,
        "model": model_in_words(experiment.model),
        "examples": f"[{', '.join(map(str, trained.shape))}]",
        "trained": f"{int(trained.state.step):,} steps" + (f", {epochs[-1]} epochs" if epochs else ""),
    } | ({} if trained.run is None else {"run": str(trained.run.path)})


def page(trained: "Trained") -> str:
    """Returns the model as HTML: what it is, what differs from the registered settings, losses, and a picture."""
    said: dict[str, Any] = described(trained)
    changed = changes(trained.given or trained.experiment)
    if changed:
        said["differs"] = ", ".join(f"{path}={value}" for path, value in changed.items())
    last = {row["split"]: row for row in trained.history}
    said |= {f"{split} loss": f"{row['loss_nats']:.4g} nats" for split, row in last.items()}
    rows = [f"<tr><th style='text-align:left'>{key}</th><td>{html.escape(f'{said[key]}')}</td></tr>" for key in said]
    return f"<table>{''.join(rows)}</table>{_curves(trained.history)}{_picture(trained)}"


def _curves(history: list[dict[str, Any]]) -> str:
    """Returns the losses of the parts against the steps, as a small drawing."""
    found = {split: [(row["step"], row["loss_nats"]) for row in history if row["split"] == split] for split in _COLOURS}
    found = {split: [point for point in line if math.isfinite(point[1])] for split, line in found.items()}
    points = [point for line in found.values() for point in line]
    if len(points) < 2:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    wide, tall = max(right - left, 1), max(high - low, 1e-12)
    lines = [
        f"<polyline fill='none' stroke='{_COLOURS[split]}' stroke-width='2' points='"
        + " ".join(f"{(x - left) / wide * _WIDTH:.1f},{_HEIGHT - (y - low) / tall * _HEIGHT:.1f}" for x, y in line)
        + "'/>"
        for split, line in found.items()
        if line
    ]
    names = ", ".join(f"<span style='color:{_COLOURS[split]}'>{split}</span>" for split, line in found.items() if line)
    box = f"width='{_WIDTH}' height='{_HEIGHT}' viewBox='-4 -4 {_WIDTH + 8} {_HEIGHT + 8}'"
    return f"<div><svg {box}>{''.join(lines)}</svg><br>loss, {names}: {high:.4g} to {low:.4g} nats</div>"


def _picture(trained: "Trained") -> str:
    file = None if trained.run is None else trained.run.path / "figures" / PICTURE
    if file is None or not file.is_file():
        return ""
    held = base64.b64encode(file.read_bytes()).decode()
    return f"<img alt='reconstructions' style='max-width:640px' src='data:image/png;base64,{held}'>"
