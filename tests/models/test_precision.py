import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from aejax.core import Examples, linen
from aejax.losses import KL, Loss, Reconstruction
from aejax.models import (
    Autoencoder,
    GaussianLatent,
    IAFLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    RealNVPPrior,
    TiedAutoencoder,
    VariationalAutoencoder,
)
from tests.helpers import compiled

PLAIN = Autoencoder(MLPEncoder((6,), norm="batch"), Plain(3), MLPDecoder((6, 6)), shape=(4,))
VAE = VariationalAutoencoder(MLPEncoder((6,)), GaussianLatent(3), MLPDecoder((6,)), shape=(4,))
FLOWS = VAE.clone(latent=IAFLatent(3, 1, (5,)), prior=RealNVPPrior(1, (5,)))
TIED = TiedAutoencoder(MLPEncoder((6,)), Plain(3), shape=(4,))
PLAIN_LOSS = Loss()
ELBO = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
PART = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (5, 4)), jnp.float32))
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "latent", "corruption"))}


def variables(model, loss):
    return jax.jit(lambda: compiled.init(lambda model, batch: loss(model, batch, True), model, KEYS, PART))()


def objective(model, loss, collections):
    def mean(params):
        made, after = compiled.apply(loss, model, {"params": params, **collections}, KEYS, PART, True, mutable=True)
        return made["loss_nats"].mean(), (made, after)

    return mean


def both(model, loss=PLAIN_LOSS):
    """The parameters, and the objective of them."""
    made = dict(variables(model, loss))
    params = made.pop("params")
    return params, objective(model, loss, made)


def products(jaxpr):
    """The types of the factors of every matrix product, in order."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield str(equation.invars[0].aval.dtype), str(equation.invars[1].aval.dtype)
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner)


HALF, WHOLE = ("bfloat16", "bfloat16"), ("float32", "float32")


@pytest.mark.parametrize(
    ("model", "loss", "expected"),
    [
        (PLAIN, PLAIN_LOSS, [HALF, WHOLE, HALF, HALF, HALF]),
        (VAE, ELBO, [HALF, WHOLE, WHOLE, HALF, HALF]),
        (TIED, PLAIN_LOSS, [HALF, WHOLE, HALF, HALF]),
    ],
    ids=["plain", "variational", "tied"],
)
def test_encoder_and_decoder_compute_in_bfloat16_and_all_else_in_float32(model, loss, expected):
    params, mean = both(model.clone(precision="bfloat16"), loss)
    assert list(products(jax.make_jaxpr(mean)(params).jaxpr)) == expected
    slopes, (made, after) = jax.eval_shape(jax.grad(mean, has_aux=True), params)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, slopes, made, after))} == {jnp.dtype("float32")}


def test_flows_of_posterior_and_prior_compute_in_float32():
    model = FLOWS.clone(precision="bfloat16")
    trained = lambda model, part: ELBO(model, part, True)  # noqa: E731
    shapes = jax.eval_shape(lambda: linen.init_variables(trained, model, KEYS, PART))
    made, found = jax.make_jaxpr(
        lambda variables: linen.apply(ELBO, model, variables, KEYS, PART, True)[0], return_shape=True
    )(shapes)
    types = list(products(made.jaxpr))
    assert (types.count(HALF), {*types}) == (3, {HALF, WHOLE})
    assert {leaf.dtype for leaf in jax.tree.leaves((shapes, found))} == {jnp.dtype("float32")}


def test_precision_changes_no_parameter_that_training_starts_from():
    one, other = (variables(PLAIN.clone(precision=precision), PLAIN_LOSS) for precision in ("float32", "bfloat16"))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_bfloat16_is_near_float32_and_not_the_same():
    params, mean = both(PLAIN)
    _, mean_in_half = both(PLAIN.clone(precision="bfloat16"))
    whole, half = (float(jax.jit(function)(params)[0]) for function in (mean, mean_in_half))
    assert whole != half
    assert whole == pytest.approx(half, rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_computed_again_the_gradient_is_the_same_and_less_is_kept_for_it(precision):
    params, kept = both(PLAIN.clone(precision=precision))
    _, again = both(PLAIN.clone(precision=precision, remat=True))
    slopes = [jax.jit(jax.grad(mean, has_aux=True))(params)[0] for mean in (kept, again)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *slopes)

    def held(mean):
        back = jax.eval_shape(lambda params: jax.vjp(mean, params, has_aux=True)[1], params)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(back))

    assert held(again) < held(kept)
