"""Every term with every latent, in a model without a prior, with one, and with labels: it trains, or it is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import Adam, Examples, InputError, as_arrays, known_subclasses
from aejax.losses import DIP, Bernoulli, Loss, MultiscaleSSIM, Term
from aejax.models import (
    Autoencoder,
    BatchTopK,
    CategoricalLatent,
    ConditionalAutoencoder,
    Dictionary,
    ExactTopK,
    FiniteScalarQuantised,
    Gated,
    GaussianLatent,
    HierarchicalLatent,
    IAFLatent,
    Identity,
    JumpReLU,
    Latent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    PlanarLatent,
    PowerSphericalLatent,
    Rectified,
    SpatialWinnerTakeAll,
    TopDownLatent,
    TopK,
    UnitNormDecoder,
    Units,
    VariationalAutoencoder,
    VectorQuantised,
    VonMisesFisherLatent,
    WinnerTakeAll,
    require,
)

KINDS = {
    "plain": Autoencoder,
    "variational": VariationalAutoencoder,
    "conditional": ConditionalAutoencoder,
    "dictionary": Dictionary,
}
LATENTS = {
    "linear": Plain(3),
    "relu": Plain(3, "relu"),
    "sigmoid": Plain(3, "sigmoid"),
    "identity": Identity(8),
    "normal": GaussianLatent(3),
    "layers": HierarchicalLatent((2, 1), (3,)),
    "planar": PlanarLatent(3, 1),
    "iaf": IAFLatent(3, 1, (3,)),
    "top-k": TopK(6, 2),
    "wta": WinnerTakeAll(6, 0.5),
    "maps": SpatialWinnerTakeAll(8, 2),
    "averages": VectorQuantised(2, 2, 4),
    "gradient": VectorQuantised(2, 2, 4, learning="gradient"),
    "finite": FiniteScalarQuantised(2, (3, 2)),
    "categorical": CategoricalLatent(2, 3),
    "mises-fisher": VonMisesFisherLatent(3),
    "power": PowerSphericalLatent(3),
    "rectified": Rectified(6),
    "exact-top-k": ExactTopK(6, 2),
    "batch-top-k": BatchTopK(6, 2),
    "jump-relu": JumpReLU(6),
    "gated": Gated(6),
}
UNITS = {name for name, latent in LATENTS.items() if isinstance(latent, Units)}
SPHERES = ("mises-fisher", "power")
FLOWS = ("planar", "iaf")
"""Latents of which one is tried, with a prior: to terms they are as `layers`, but for one bound."""
TERMS = {cls.__name__: cls() for cls in known_subclasses(Term) if cls is not MultiscaleSSIM}  # which is of images
TERMS |= {"DIP II": DIP(kind="II")}
WEIGHTED = ("ImportanceWeighted", "CombinedImportanceWeighted", "PartiallyImportanceWeighted", "DoublyReparameterised")
RATES = ("KL", "Capacity", *WEIGHTED)
SINGLE = ("FreeBits", "MutualInformation", "TotalCorrelation", "DimensionwiseKL")
NEEDED = {
    "KLSparsity": {"sigmoid"},
    "Commitment": {"averages", "gradient"},
    "Codebook": {"gradient"},
    "DIP II": {"normal"},
    **{name: {"normal", "layers", "planar", "iaf", "categorical", *SPHERES} for name in RATES},
    "DoublyReparameterised": {"normal", "layers", "categorical", *SPHERES},
    **{name: {"normal"} for name in SINGLE},
    **{name: set() for name in ("AdversarialPrior", "AdversarialCorrelation", "PriorCritic", "PermutationCritic")},
    **{name: set() for name in ("AdversarialDecoding", "DataCritic", "FeatureReconstruction")},
    **{name: set() for name in ("ContractiveLayer", "FreeEnergy", "ContrastiveDivergence")},
    "MaskedReconstruction": set(),
    **dict.fromkeys(("AuxK", "DeadPreActivation", "Matryoshka", "TanhL0"), UNITS),
    **{name: {"jump-relu"} for name in ("StepL0", "QuadraticL0")},
    **{name: {"gated"} for name in ("GateL1", "GateDecoding")},
}
ROWS = ("AuxK", "Matryoshka", "GateDecoding")
"""The latents of which a term has a meaning, behind an encoder with a hidden layer; any other term is for all."""


def accepted(term, latent, kind):
    prior = kind in ("variational", "conditional") or term not in (*RATES, *SINGLE, "MMD", "SlicedWasserstein")
    rows = kind == "dictionary" or term not in ROWS
    return prior and rows and latent in NEEDED.get(term, LATENTS)


PAIRS = [(latent, kind) for latent in LATENTS for kind in KINDS if kind != "dictionary" or latent in UNITS]
QUICK = {("sigmoid", "plain")}
TRAINED = [
    pytest.param(latent, kind, marks=() if (latent, kind) in QUICK else pytest.mark.slow)
    for latent, kind in PAIRS
    if kind != "variational" or latent == "normal"  # with labels, a model with a prior takes the same terms and more
    if latent not in FLOWS or (latent, kind) == ("iaf", "conditional")
]


def made(latent, kind):
    classes = 2 if kind == "conditional" else 0
    decoder = UnitNormDecoder() if kind == "dictionary" else MLPDecoder()
    model = KINDS[kind](MLPEncoder((8 - classes,), "tanh"), LATENTS[latent], decoder)
    model = model.clone(classes=classes) if classes else model
    return model.clone(subtract=False, tied_start=False) if kind == "dictionary" else model


def fitting(latent, kind):
    return {name: term for name, term in TERMS.items() if accepted(name, latent, kind)}


@pytest.mark.parametrize(("latent", "kind"), PAIRS)
def test_a_term_of_no_meaning_is_refused(latent, kind):
    model = made(latent, kind)
    for term in (TERMS[name] for name in TERMS.keys() - fitting(latent, kind).keys()):
        with pytest.raises(InputError, match=rf"^{type(term).__name__} needs .*, which \w+ does not have: "):
            require(term, model, Loss(Bernoulli()))


def test_with_labels_a_model_with_a_prior_takes_the_same_terms():
    assert all(fitting(latent, "variational") == fitting(latent, "conditional") for latent in LATENTS)


@pytest.mark.parametrize(("latent", "kind"), TRAINED)
def test_terms_train(latent, kind):
    terms = fitting(latent, kind)
    rng = np.random.default_rng(0)
    batch = Examples(jnp.asarray(rng.uniform(0, 1, (6, 4)), jnp.float32), jnp.arange(6) % 2)
    loss, optimizer = as_arrays((Loss(Bernoulli(), terms).resolve(60), Adam(horizon=2.0)))
    model = made(latent, kind).resolve((4,), (4,))

    @jax.jit
    def trained(key):
        def step(state, _):
            return core.step(model, loss, optimizer, state, batch, key)

        state, metrics = jax.lax.scan(step, core.init(model, loss, optimizer, batch, key), length=2)
        return state, jax.tree.map(lambda sums: sums[-1], metrics)

    state, metrics = trained(jax.random.key(0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    assert set(metrics) >= {"loss_nats", *(f"{name}_{term.unit}" for name, term in terms.items())}
    assert all(np.isfinite(metric.sum) for metric in metrics.values())


def test_every_latent_is_here():
    """But that of a hierarchy, whose model is its own: tests/models/test_top_down.py."""
    assert {type(latent) for latent in LATENTS.values()} == {*known_subclasses(Latent)} - {TopDownLatent}


def test_a_term_without_meaning_is_refused_before_training(tiny):
    model = tiny.experiment.model.clone(latent=TopK(6, 2))
    loss = Loss(Bernoulli(), {"sparse": TERMS["KLSparsity"]})
    with pytest.raises(InputError, match="KLSparsity needs codes between 0 and 1, which TopK does not have: use Plain"):
        dataclasses.replace(tiny.experiment, model=model, loss=loss).resolve(tiny.dataset)
