"""What holds for every term there is: a new one is tested here as soon as it is registered."""

import itertools
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, as_arrays, known_subclasses
from aejax.losses import Bernoulli, Loss
from aejax.losses.aggregate import KLPart
from aejax.losses.mmd import MMD
from aejax.losses.terms import Term
from aejax.models import (
    Autoencoder,
    GaussianLatent,
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
MODELS = {
    "KLSparsity": SIGMOID,
    "ContractiveLayer": SIGMOID,
    "FreeEnergy": RBM,
    "ContrastiveDivergence": RBM,
    "Commitment": VQ,
    "Codebook": VQ,
}
"""Of terms that are not for a variational autoencoder."""
TERMS = known_subclasses(Term)
NAMES = [cls.__name__ for cls in TERMS]
KEYS = jax.random.split(jax.random.key(0), 100)


def built(term):
    """Its model, the model's variables, and a batch; four values an example."""
    model = MODELS.get(type(term).__name__, VAE).clone(shape=(4,))
    part = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (6, 4)), jnp.float32))
    return model, scaled(init(model), 1.0, 0.1), part


@cache
def init(model):
    """The variables of a model, which are the same for every term."""
    return compiled.init(Loss(), model, streams(KEYS[0]), Examples(jnp.zeros((6, 4))))


def scaled(variables, factor, shift=0.0):
    """The same with other parameters; what a model counts stays as it is."""
    return {**variables, "params": jax.tree.map(lambda leaf: factor * leaf + shift, variables["params"])}


def streams(key):
    return {name: jax.random.fold_in(key, number) for number, name in enumerate(("params", "latent", "corruption"))}


def values(model, term, variables, part, key, step=None):
    loss = Loss(Bernoulli(), {"term": term})
    made, _ = compiled.apply(loss, model, variables, streams(key), part, step is not None, step, mutable=True)
    return made["term_nats"]


@pytest.mark.parametrize("cls", [cls for cls in TERMS if cls is not MMD], ids=lambda cls: cls.__name__)
def test_the_mean_is_unchanged_when_the_batch_is_duplicated(cls):
    # Estimators without bias take a twin for another example: what they hold to instead is tested beside them.
    term = cls(examples=60_000.0, sampling="weighted") if issubclass(cls, KLPart) else cls()
    model, variables, part = built(term)

    @jax.jit
    def means(part):
        return jax.vmap(lambda key: values(model, term, variables, part, key).mean())(KEYS)

    once, twice = means(part), means(Examples(jnp.concatenate([part.x, part.x])))
    noise = np.hypot(once.std(), twice.std()) / np.sqrt(len(KEYS))
    np.testing.assert_allclose(twice.mean(), once.mean(), rtol=1e-5, atol=5 * noise)


@pytest.mark.parametrize("cls", TERMS, ids=NAMES)
def test_odd_inputs_give_finite_float32_new_numbers_no_new_trace_and_the_batch_what_it_says(cls):
    term = as_arrays(cls().resolve(60_000))
    model, variables, part = built(term)

    chex.clear_trace_counter()  # it goes by name, and every case has a function of this one

    @jax.jit
    @partial(chex.assert_max_traces, n=1)
    def measured(term, variables, part, step):
        def mean(variables):
            each = values(model, term, variables, part, KEYS[0], step)
            assert (each.shape, each.dtype, each.aval.weak_type) == ((6,), jnp.float32, False)
            return each.mean(), each[0]

        return jax.value_and_grad(lambda params: mean({**variables, "params": params}), has_aux=True)(
            variables["params"]
        )

    inputs = [part.x, jnp.zeros_like(part.x), jnp.ones_like(part.x)]
    states = [variables, scaled(variables, 30.0)]
    for x, made, number in itertools.product(inputs, states, (1, 2)):
        other = jax.tree.map(lambda leaf, number=number: number * leaf, term)
        (value, _), gradient = measured(other, made, Examples(x), jnp.int32(10**number))
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    others = Examples(jnp.concatenate([part.x[:1], 1 - part.x[1:]]))
    (_, first), (_, among_others) = (measured(term, variables, batch, jnp.int32(1))[0] for batch in (part, others))
    assert cls.of_batch or float(first) == pytest.approx(float(among_others), rel=1e-5, abs=1e-5)
