import re
from functools import partial

import jax
import numpy as np
import pytest

from aejax.core import apply
from aejax.losses import Bernoulli, ImportanceWeighted, Loss, Reconstruction
from aejax.losses.importance import CombinedImportanceWeighted, PartiallyImportanceWeighted
from tests.losses.test_variational import KEYS, ONE, TWO, built

pytestmark = pytest.mark.usefixtures("strict")
GENERATIVE = {"decoder", "prior"}


@partial(jax.jit, static_argnums=0)
def gradient(model, term, variables, part):
    """The batch's mean, with the noise that every term of as many codes shares, and its gradient."""
    loss = Loss(Bernoulli(), {"bound": term})

    def objective(params):
        return apply(loss, model, {"params": params}, KEYS, part, True)[0]["loss_nats"].mean()

    return jax.value_and_grad(objective)(variables["params"])


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("model", [ONE, TWO], ids=["one layer", "two layers"])
def test_piwae_moves_the_encoder_by_miwae_and_decoder_and_prior_by_iwae(model):
    variables, part = built(model, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3, bounds=2)}))
    value, partial = gradient(model, PartiallyImportanceWeighted(samples=3, bounds=2), variables, part)
    _, loose = gradient(model, ImportanceWeighted(samples=3, bounds=2), variables, part)
    tight_value, tight = gradient(model, ImportanceWeighted(samples=6), variables, part)
    assert float(value) == pytest.approx(float(tight_value), rel=1e-6)
    assert {"encoder", "latent", "decoder"} <= set(partial)
    for name in partial:
        assert_close(partial[name], (tight if name in GENERATIVE else loose)[name])
        assert not np.allclose(*(np.concatenate([g.ravel() for g in jax.tree.leaves(t[name])]) for t in (tight, loose)))


@pytest.mark.slow
def test_ciwae_lies_between_the_elbo_and_the_bound_in_value_and_gradient():
    variables, part = built(ONE, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3, bounds=2)}))
    elbo, bound = (
        jax.device_get(gradient(ONE, ImportanceWeighted(samples=samples, bounds=6 // samples), variables, part))
        for samples in (1, 3)
    )
    assert elbo[0] > bound[0]
    for beta in np.float32([0.0, 0.3, 1.0]):
        term = CombinedImportanceWeighted(samples=3, bounds=2, beta=beta)
        between = jax.tree.map(lambda a, b, beta=beta: beta * a + (1 - beta) * b, elbo, bound)
        assert_close(gradient(ONE, term, variables, part), between)


def decoded_rows(terms):
    """The first axes of what the compiled gradient's products of matrices in the decoder make."""
    loss = Loss(Bernoulli(), terms)
    variables, part = built(ONE, loss)
    step = jax.grad(lambda variables: apply(loss, ONE, variables, KEYS, part, True)[0]["loss_nats"].mean())
    text = jax.jit(step).lower(variables).compile().as_text()
    products = re.findall(r"= f32\[(\d+),\d+\]\S* dot\(.*VariationalAutoencoder\.decode", text)
    return {int(rows) for rows in products}


def test_a_step_decodes_the_codes_of_the_bound_and_no_single_one_beside_them():
    bound = {"bound": ImportanceWeighted(samples=7)}
    rows = decoded_rows(bound)
    assert 5 * 7 in rows
    assert 5 not in rows
    assert 5 in decoded_rows(bound | {"reconstruction": Reconstruction()})
