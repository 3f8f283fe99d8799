"""Builds dictionaries of activations, on synthetic data whose features are known.

Each takes the user's own activations by `--data PATH`; its settings belong to examples whose mean length is the root of
their number of values, as `MeanLength` makes them.
"""

from aejax.core import Adam, Rate, WarmupStableDecay
from aejax.data import Data, MeanLength
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import (
    L0,
    AuxK,
    CodeL1,
    GateDecoding,
    GateL1,
    Gaussian,
    Loss,
    Matryoshka,
    QuadraticL0,
    Reconstruction,
    TargetL0,
    Term,
)
from aejax.models import BatchTopK, Dictionary, ExactTopK, Gated, JumpReLU, Rectified, UnitNormDecoder, Units

UNITS, ACTIVE = 256, 8
"""The number of units, and how many of them are active in an example."""

DECAY = 0.99
"""The share of its running threshold that a step of BatchTopK keeps: thresholds still rise in so few steps."""

SQUARED = Gaussian(0.5**0.5)
"""Its negative log-likelihood is the squared error, summed over values, and a constant: published weights fit it."""

FREE_ROWS, UNIT_ROWS = UnitNormDecoder(start="mean", length=0.1), UnitNormDecoder(start="mean", renormalise=True)


def l1() -> Experiment:
    """Builds rectified units under an L1 penalty in the lengths of the rows: Conerly et al. 2024."""
    return _experiment(Rectified(UNITS), _led(CodeL1(), 3.0), _found(0.2258, 0.0062), UNIT_ROWS)


def top_k() -> Experiment:
    """Builds units of which the k largest are active: Gao et al. 2024."""
    return _experiment(ExactTopK(UNITS, ACTIVE), {"aux": _aux()}, _found(0.2827, 0.0058))


def batch_top_k() -> Experiment:
    """Builds units of which the k B largest of a batch of B examples are active: Bussmann et al. 2024."""
    return _experiment(BatchTopK(UNITS, ACTIVE, DECAY), {"aux": _aux()}, _found(0.3460, 0.0101))


def matryoshka() -> Experiment:
    """Builds such units whose first ones reconstruct by themselves too: Bussmann et al. 2025."""
    terms = {"prefixes": Matryoshka(), "aux": _aux()}
    return _experiment(BatchTopK(UNITS, ACTIVE, DECAY), terms, _found(0.3205, 0.0101))


def jump_relu() -> Experiment:
    """Builds units of learned thresholds and rows of length 1: Rajamanoharan et al. 2024b, with section 4's target.

    Rows of length 1 have 8 times the learning rate: by the common one they turn slower than the short rows do with
    which others begin, and fewer features were found.
    """
    terms = {"sparsity": QuadraticL0(target=ACTIVE), "aux": _aux()}
    rates = {"rows": Rate("decoder.*kernel$", 8.0)}
    return _experiment(JumpReLU(UNITS, 0.1, 0.2), terms, _found(0.4522, 0.0073), UNIT_ROWS, rates)


def gated() -> Experiment:
    """Builds units with gates: Rajamanoharan et al. 2024a."""
    terms = {"gates": GateDecoding(), **_led(GateL1(), 0.3)}
    return _experiment(Gated(UNITS), terms, _found(0.4014, 0.0052), UNIT_ROWS)


def _led(term: Term, weight: float) -> dict[str, Term]:
    """Returns a term that makes codes sparse, led to the number of active units, and one that revives dead ones.

    Args:
        term: the term.
        weight: its weight at first.
    """
    return {"sparsity": TargetL0(weight, term=term, target=ACTIVE), "aux": _aux()}


def _aux() -> AuxK:
    return AuxK(window=1e5)


def _found(score: float, error: float) -> Expected:
    """Builds the figure: how well SAELens finds the features, and the error of the comparison.

    Args:
        score: the mean F1 of five seeds of SAELens, whose files are in experiments/results/dictionaries.json.
        error: 1.46 times their standard deviation, that of a difference between two means of five at 95 %.
    """
    return Expected("feature_f1", score, error, "SAELens 6.54 on the same features, five seeds, as many steps", "C")


def _experiment(
    latent: Units,
    terms: dict[str, Term],
    expected: Expected,
    decoder: UnitNormDecoder = FREE_ROWS,
    rates: dict[str, Rate] | None = None,
) -> Experiment:
    """Builds a dictionary that is trained as SAELens does by default, at a higher rate for fewer steps.

    The rate does not rise at first: with a rise, fewer of the features were found in as many steps.

    Args:
        latent: the units.
        terms: the terms of the loss beside the squared error, by their names.
        expected: the figure.
        decoder: the decoder.
        rates: learning rates of their own for some parameters, by names: see `Adam`; None: all have the same.
    """
    return Experiment(
        model=Dictionary(latent=latent, decoder=decoder),
        loss=Loss(SQUARED, {"reconstruction": Reconstruction(), **terms, "l0": L0(monitored=True)}),
        data=Data("synthetic-dictionary", preprocess=MeanLength()),
        optimizer=Adam(1e-3, WarmupStableDecay(0.0), clip_norm=1.0, rates=rates or {}),
        batch_size=1024,
        steps=4000,
        expected=expected,
    )
