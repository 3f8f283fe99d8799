"""What holds for every term there is: a new one is tested here as soon as it is registered."""

import itertools
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import Examples, as_arrays, known_subclasses
from aejax.losses import Bernoulli, Loss, MaskedReconstruction, MultiscaleSSIM, PermutationCritic, SlicedWasserstein
from aejax.losses.aggregate import KLPart
from aejax.losses.mmd import MMD
from aejax.losses.terms import Term
from aejax.models import (
    Autoencoder,
    CodeCritic,
    Dictionary,
    ExampleCritic,
    Gated,
    GaussianLatent,
    JumpReLU,
    MLPDecoder,
    MLPEncoder,
    Plain,
    TiedAutoencoder,
    VariationalAutoencoder,
    VectorQuantised,
)
from aejax.models.tied import TransposedDecoder
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
VAE = VariationalAutoencoder(MLPEncoder((5,), "tanh"), GaussianLatent(3), MLPDecoder((5,), "tanh"))
SIGMOID = Autoencoder(MLPEncoder(), Plain(3, "sigmoid"), MLPDecoder())
RBM = TiedAutoencoder(MLPEncoder(), Plain(3, "sigmoid"), TransposedDecoder())
VQ = Autoencoder(MLPEncoder((4,), "tanh"), VectorQuantised(2, 2, 4, learning="gradient"), MLPDecoder())
JUMPS = Dictionary(latent=JumpReLU(6, 0.1))
GATES = Dictionary(latent=Gated(6))
CRITIC = VAE.clone(critic=CodeCritic((4,)))
GAN = VAE.clone(critic=ExampleCritic(MLPEncoder((4,), "tanh")))
MODELS = {
    "KLSparsity": SIGMOID,
    "ContractiveLayer": SIGMOID,
    "FreeEnergy": RBM,
    "ContrastiveDivergence": RBM,
    "Commitment": VQ,
    "Codebook": VQ,
    **dict.fromkeys(("AuxK", "DeadPreActivation", "Matryoshka", "StepL0", "QuadraticL0", "TanhL0"), JUMPS),
    **dict.fromkeys(("GateL1", "GateDecoding"), GATES),
    **dict.fromkeys(("AdversarialPrior", "AdversarialCorrelation", "PriorCritic", "PermutationCritic"), CRITIC),
    **dict.fromkeys(("AdversarialDecoding", "DataCritic", "FeatureReconstruction"), GAN),
}
"""Of terms that are not for a variational autoencoder."""
TERMS = [cls for cls in known_subclasses(Term) if cls.__module__.startswith("aejax.")]  # no other test's
for of_images in (MultiscaleSSIM, MaskedReconstruction):
    TERMS.remove(of_images)
SAMPLED = (MMD, SlicedWasserstein, PermutationCritic)
NAMES = [cls.__name__ for cls in TERMS]
KEYS = jax.random.split(jax.random.key(0), 100)


def model_of(cls):
    return MODELS.get(cls.__name__, VAE).clone(shape=(4,))


def terms_of(model, make):
    """What `make` makes of the classes of all terms for a model, by name: they are measured in one program."""
    return {cls.__name__: make(cls) for cls in TERMS if model_of(cls) == model}


def built(model):
    """The model's variables, and a batch; four values an example."""
    part = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (6, 4)), jnp.float32))
    loss = Loss(Bernoulli(), terms_of(model, lambda cls: cls().resolve(60_000)))

    def in_training(model, batch):  # where some terms keep a state
        return loss(model, batch, True)

    variables = compiled.init(in_training, model, streams(KEYS[0]), Examples(jnp.zeros((6, 4))))
    return scaled(variables, 1.0, 0.1), part


def scaled(variables, factor, shift=0.0):
    """The same with other parameters; what a model counts stays as it is."""
    return {**variables, "params": jax.tree.map(lambda leaf: factor * leaf + shift, variables["params"])}


def streams(key):
    return {name: jax.random.fold_in(key, number) for number, name in enumerate(("params", "latent", "corruption"))}


def values(model, terms, variables, part, key, step=None):
    """The value of each term for each example, by the term's name."""
    loss = Loss(Bernoulli(), terms)
    made, _ = core.apply(loss, model, variables, streams(key), part, step is not None, step, mutable=True)
    return {name: made[f"{name}_{term.unit}"] for name, term in terms.items()}


@cache
def means_once_and_twice(model):
    """The mean of each term for each of `KEYS`, over a batch and over that batch twice."""
    # Estimators without bias take a twin for another example, that of a distance between two samples is the lower the
    # more there are, and a critic of halves sees others: what they hold to instead is tested beside them.
    terms = terms_of(model, lambda cls: cls(examples=6e4, sampling="weighted") if issubclass(cls, KLPart) else cls())
    for cls in SAMPLED:
        terms.pop(cls.__name__, None)
    variables, part = built(model)

    @jax.jit
    def means(part):
        return jax.vmap(lambda key: jax.tree.map(jnp.mean, values(model, terms, variables, part, key)))(KEYS)

    return means(part), means(Examples(jnp.concatenate([part.x, part.x])))


@pytest.mark.parametrize("cls", [cls for cls in TERMS if cls not in SAMPLED], ids=lambda cls: cls.__name__)
def test_the_mean_is_unchanged_when_the_batch_is_duplicated(cls):
    once, twice = (np.asarray(means[cls.__name__]) for means in means_once_and_twice(model_of(cls)))
    noise = np.hypot(once.std(), twice.std()) / np.sqrt(len(KEYS))
    np.testing.assert_allclose(twice.mean(), once.mean(), rtol=1e-5, atol=5 * noise)


@cache
def oddly_measured(model):
    """For odd inputs, the mean of each term and its gradient; and its first value in a batch and among others."""
    terms = as_arrays(terms_of(model, lambda cls: cls().resolve(60_000)))
    variables, part = built(model)
    chex.clear_trace_counter()  # it goes by name, and every model has a function of this one

    @jax.jit
    @partial(chex.assert_max_traces, n=1)
    def measured(terms, variables, part, step):
        def means(params):
            each = values(model, terms, {**variables, "params": params}, part, KEYS[0], step)
            for name, value in each.items():
                seen = (value.shape, value.dtype, value.aval.weak_type)
                assert seen == ((6,), jnp.float32, False), name
            made = jax.tree.map(jnp.mean, each)
            return made, (made, {name: value[0] for name, value in each.items()})

        slopes, (made, first) = jax.jacrev(means, has_aux=True)(variables["params"])
        return made, slopes, first

    odd = []
    inputs = [part.x, jnp.zeros_like(part.x), jnp.ones_like(part.x)]
    for x, state, number in itertools.product(inputs, [variables, scaled(variables, 30.0)], (1, 2)):
        other = jax.tree.map(lambda leaf, number=number: number * leaf, terms)
        odd.append(measured(other, state, Examples(x), jnp.int32(10**number))[:2])
    others = Examples(jnp.concatenate([part.x[:1], 1 - part.x[1:]]))
    return odd, [measured(terms, variables, batch, jnp.int32(1))[2] for batch in (part, others)]


@pytest.mark.slow
@pytest.mark.parametrize("cls", TERMS, ids=NAMES)
def test_odd_inputs_give_finite_float32_new_numbers_no_new_trace_and_the_batch_what_it_says(cls):
    odd, firsts = oddly_measured(model_of(cls))
    for values, slopes in odd:
        assert np.isfinite(values[cls.__name__])
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes[cls.__name__]))
    first, among_others = (float(values[cls.__name__]) for values in firsts)
    assert cls.of_batch or first == pytest.approx(among_others, rel=1e-5, abs=1e-5)
