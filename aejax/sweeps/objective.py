"""Decides by which metric the trials of a sweep are compared: by one that measures the same of each of them.

A loss does not where its own weights vary over the sweep: a lower weight alone makes it lower.
"""

import contextlib
import dataclasses
import functools
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from aejax.core import Examples, InputError
from aejax.data import Dataset
from aejax.experiment import Experiment, canonical, differences
from aejax.metrics import Better, direction, fixed_by, named_in
from aejax.models import traits
from aejax.runs import checkpoint_template
from aejax.trained import Trained

LOSS = "loss_nats"
"""The metric by which trials are compared where nothing else is said."""

MeasureTrained = Callable[[Trained, Examples], dict[str, float]]
"""Measures a trained model on examples."""

_FEW = 100
"""Number of examples on which it is tried whether a metric is measured."""


@dataclass(frozen=True)
class Objective:
    """Says by which metric of the validation part trials are compared, and which values of it are better."""

    metric: str = LOSS
    """The metric."""
    better: Better = "lower"
    """Whether lower or higher values are better."""

    @classmethod
    def of(
        cls,
        experiments: Sequence[Experiment],
        metric: str | None = None,
        better: Better | None = None,
        *,
        choosing: bool = False,
    ) -> "Objective":
        """Returns the objective of a plan, and asks for another metric where the one given measures not one thing.

        Args:
            experiments: those of the trials.
            metric: the metric; None: the loss.
            better: which values are better; None: what the metric's declaration says.
            choosing: whether trials must be compared, as in a search; a grid whose trials no metric compares, as on
                several data sets, is trained, and nothing in it is called the best.

        Raises:
            InputError: for a metric whose meaning varies over the experiments, where there is one whose does not; and
                for one of which nobody says which values are better.
        """
        name, terms = metric or LOSS, {term for experiment in experiments for term in experiment.loss.terms}
        moved = moving(name, experiments)
        offered = proposals(experiments) if moved else []
        if moved and (offered or choosing):
            said = f"give --metric {' or '.join(offered)}" if offered else "leave that out, or make it a grid"
            raise InputError(f"{name} {_differs(moved)}, so that it cannot compare the trials: {said}")
        return cls(name, direction(name, terms, better))


def moving(metric: str, experiments: Iterable[Experiment]) -> list[str]:
    """Returns the paths of the settings that vary over experiments and change what a metric measures; none: it is one.

    Weights of terms that are only logged, and warm-ups, which have ended when a model is measured, change nothing.
    """
    seen = {canonical((each.loss, each.data)): each for each in experiments}
    if len(seen) < 2:
        return []
    first, *others = [_as_measured(each, metric) for each in seen.values()]
    roots = fixed_by(metric, first.loss.terms)
    found: dict[str, None] = {}
    for other in others:
        for path in differences(first, other):
            of_data = path.startswith("data.") and not path.startswith("data.preprocess.")
            if of_data or any(f"{path}.".startswith(f"{root}.") for root in roots):
                found[path.removesuffix(".class")] = None
    return [path for path in found if not any(path.startswith(f"{whole}.") for whole in found)]


def proposals(experiments: Sequence[Experiment]) -> list[str]:
    """Returns metrics by which experiments can be compared, the one that says most about them first."""
    variational = all({traits.PRIOR, traits.DENSITY} <= {*each.model.meets} for each in experiments)
    named = [*(["negative_elbo_nats", "nll_50_nats"] if variational else []), "squared_error"]
    return [name for name in named if not moving(name, experiments)]


def why_unranked(metric: str, experiments: Sequence[Experiment]) -> str | None:
    """Says why no setting can be called the best by a metric; None where one can."""
    moved = moving(metric, experiments)
    return f"{metric} {_differs(moved)}" if moved else None


def measuring(
    objective: Objective,
    experiment: Experiment,
    dataset: Dataset,
    everything: bool = False,
    own: MeasureTrained | None = None,
) -> MeasureTrained:
    """Returns the quickest function of those that measure a trained model which gives the objective's metric.

    Args:
        objective: the objective.
        experiment: an experiment of the plan, not resolved.
        dataset: its data.
        everything: whether all is to be measured that `evaluation.measure` does.
        own: the user's function, in place of aejax's.

    Raises:
        InputError: where none gives the metric.
    """
    if objective.metric == LOSS and own is None and not everything:
        return Trained.evaluate
    part = dataset.validation if len(dataset.validation) else dataset.test
    few, untrained = part.at_most(_FEW), _untrained(experiment, dataset)
    measured: dict[str, float] = {}
    for way in _ways(objective.metric, everything) if own is None else (own,):
        with _silence():  # of parameters that are all zero there is much to warn of
            measured = way(untrained, few)
        if named_in(objective.metric, measured) is not None:
            return way
    known = ", ".join(measured)
    raise InputError(f"{experiment.name} has no metric {objective.metric!r} of validation: it has {known}")


def _ways(metric: str, everything: bool) -> Iterator[MeasureTrained]:
    """Yields functions that measure a trained model, the quickest first, each only where the one before will not do."""
    if not everything:
        yield Trained.evaluate
    from aejax.evaluation import suite  # two seconds of imports

    if not everything:
        yield _measure_quickly
    samples = re.fullmatch(r"nll_(\d+)_\w+", metric)
    yield functools.partial(suite.measure, samples=int(samples[1])) if samples else suite.measure


def _measure_quickly(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures all that `evaluation.measure` does but for estimates by samples, for one metric among them.

    So what it warns of the others is not said.
    """
    from aejax.evaluation import suite

    with _silence():
        return suite.measure(trained, part, samples=0)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drops what this thread logs for the length of the context; others, which train meanwhile, are heard."""
    log, own = logging.getLogger("aejax"), threading.get_ident()

    def heard(record: logging.LogRecord) -> bool:
        return record.thread != own

    log.addFilter(heard)
    try:
        yield
    finally:
        log.removeFilter(heard)


def _differs(paths: Sequence[str]) -> str:
    if any(f"{path}.".startswith("data.") for path in paths):
        return f"is measured on data that are not the same ({', '.join(paths)} vary)"
    return f"has another meaning at each {', '.join(paths)}"


def _as_measured(experiment: Experiment, metric: str) -> Experiment:
    """Returns an experiment without what makes no difference to a measurement of validation."""
    terms = experiment.loss.terms
    if metric == LOSS:
        terms = {name: term for name, term in terms.items() if not term.monitored}
    else:  # terms are measured before their weights
        terms = {name: dataclasses.replace(term, weight=1.0, monitored=False) for name, term in terms.items()}
    terms = {name: dataclasses.replace(term, warmup_steps=0.0) for name, term in terms.items()}
    data = dataclasses.replace(experiment.data, validation=0.0)
    return dataclasses.replace(experiment, loss=dataclasses.replace(experiment.loss, terms=terms), data=data)


def _untrained(experiment: Experiment, dataset: Dataset) -> Trained:
    """Returns a model with zeros for parameters: enough to see which metrics are measured."""
    resolved = experiment.resolve(dataset)
    state = checkpoint_template(resolved, dataset.shape)["state"]
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    preprocess = resolved.data.preprocess.fit(dataset.train.x)
    reference = resolved.reference(dataset.train, preprocess)
    return Trained(resolved, dataset.shape, preprocess, zeros, reference=reference)
