"""Holds the ledger: what every registered experiment that has a figure measured, beside that figure."""

import json
from dataclasses import dataclass
from importlib import resources

from aejax.core import require_known
from aejax.metrics import Better

FILE = "results-of-entries.json"
"""The file of the ledger, beside this module; `scripts/tables.py` writes it from the committed results."""


@dataclass(frozen=True)
class Entry:
    """Says what one registered experiment measured, and on what."""

    name: str
    """The name of the experiment."""
    metric: str
    """The metric that is compared, on the test part."""
    better: Better | None
    """Which values are better, lower or higher; None: neither by themselves."""
    published: float | None
    """The published figure; None where the figure is a baseline."""
    baseline: float | None
    """The baseline, computed by this project on the same data; None where the figure is published."""
    source: str
    """Where the figure is from."""
    tag: str
    """How the figure is known: see `Expected.tag`."""
    tolerance: float
    """By how much the mean may be worse than the figure."""
    measured: float
    """The mean over the seeds."""
    deviation: float | None
    """The standard deviation over the seeds; None of one seed."""
    seeds: int
    """The number of seeds."""
    reached: bool
    """Whether the mean is as good as the figure."""
    short_by: float
    """By how much the mean is worse than the figure; 0 where it is reached."""
    seconds: float
    """The seconds that one training took."""
    commit: str | None
    """The commit that was measured, with a + where its source was changed since; None where it was not kept."""
    processor: str
    """What it was trained on."""
    jax: str
    """The version of JAX."""


def ledger(*names: str) -> list[Entry]:
    """Returns what experiments measured when they were last trained in full.

    Args:
        names: the experiments; none: all that have a figure.

    Raises:
        InputError: for a name that the ledger lacks.
    """
    text = resources.files("aejax.experiment").joinpath(FILE).read_text()
    entries = {content["name"]: Entry(**content) for content in json.loads(text)}
    for name in names:
        require_known("measured experiment", name, list(entries), "aejax results")
    return [entries[name] for name in names or entries]
