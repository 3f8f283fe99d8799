import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, InputError
from aejax.losses import Commitment, Gaussian, Loss, Reconstruction
from aejax.losses.quantised import Codebook
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, VectorQuantised
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "corruption", "latent"))}
PART = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (6, 4)), jnp.float32))
TERMS = {"reconstruction": Reconstruction(), "codebook": Codebook(), "commitment": Commitment()}


def built(latent=VectorQuantised(2, 3, 5, "gradient", patience=None), **terms):  # noqa: B008
    loss = Loss(Gaussian(), terms or TERMS)
    model = Autoencoder(MLPEncoder((8,)), latent, MLPDecoder(), (4,))
    return loss, model, compiled.init(lambda model, part: loss(model, part, True), model, KEYS, PART)


def gradients(**terms):
    """The largest gradient of the mean loss in each part of the model."""
    loss, model, variables = built(**terms)

    def total(params):
        values, _ = compiled.apply(loss, model, {**variables, "params": params}, KEYS, PART)
        return values["loss_nats"].mean()

    params = jax.grad(total)(variables["params"])
    parts = {
        "encoder": (params["encoder"], params["latent"]["code"]),
        "codebook": params["latent"]["moved"],
        "decoder": params["decoder"],
    }
    return {name: max(float(abs(leaf).max()) for leaf in jax.tree.leaves(part)) for name, part in parts.items()}


@pytest.mark.parametrize(
    ("terms", "moved"),
    [
        ({"commitment": Commitment()}, {"encoder"}),
        ({"codebook": Codebook()}, {"codebook"}),
        ({"reconstruction": Reconstruction()}, {"encoder", "decoder"}),
    ],
    ids=["commitment", "codebook", "reconstruction"],
)
def test_each_term_moves_its_own_part_of_the_model(terms, moved):
    assert {name for name, largest in gradients(**terms).items() if largest > 0} == moved


@pytest.mark.parametrize("learning", ["average", "gradient"])
def test_both_distances_are_sums_over_the_code_of_an_example(learning):
    terms = TERMS if learning == "gradient" else {"commitment": Commitment()}
    loss, model, variables = built(VectorQuantised(2, 3, 5, learning), **terms)
    values, _ = compiled.apply(loss, model, variables, KEYS, PART)
    posterior, _ = compiled.apply(lambda model, part: model.encode(part), model, variables, {}, PART)
    expected = np.square(np.asarray(posterior.features, np.float64) - posterior.mean).sum(axis=1)
    for name in set(terms) - {"reconstruction"}:
        np.testing.assert_allclose(values[f"{name}_nats"], expected, rtol=1e-5)


def test_means_are_unchanged_when_the_batch_is_duplicated():
    loss, model, variables = built()
    twice = Examples(jnp.concatenate([PART.x, PART.x]))
    for name, once in compiled.apply(loss, model, variables, KEYS, PART)[0].items():
        np.testing.assert_allclose(
            compiled.apply(loss, model, variables, KEYS, twice)[0][name].mean(), once.mean(), rtol=1e-6
        )


def test_training_and_evaluation_give_the_same_terms():
    loss, model, variables = built(VectorQuantised(2, 3, 5, "gradient", patience=1))
    held, _ = compiled.apply(loss, model, variables, KEYS, PART)
    training, _ = compiled.apply(loss, model, variables, KEYS, PART, True, mutable=True)
    jax.tree.map(np.testing.assert_array_equal, training, held)


def test_descending_the_codebook_term_brings_the_codes_to_the_means_of_their_features():
    loss, model, variables = built(codebook=Codebook())

    def total(moved):
        params = {**variables["params"], "latent": {**variables["params"]["latent"], "moved": moved}}
        values, _ = compiled.apply(loss, model, {**variables, "params": params}, KEYS, PART)
        return values["loss_nats"].mean()

    posterior, _ = compiled.apply(lambda model, part: model.encode(part), model, variables, {}, PART)
    index, vectors = np.asarray(posterior.index).reshape(-1), np.asarray(posterior.features).reshape(-1, 3)
    placed = np.asarray(variables["codebook"]["latent"]["placed"])
    chosen = np.eye(5)[index]
    expected = 2 * (chosen.sum(axis=0)[:, None] * placed - chosen.T @ vectors) / 6
    gradient = jax.grad(total)(variables["params"]["latent"]["moved"])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("term", [Commitment(), Codebook()])
def test_a_latent_without_a_codebook_is_refused(term):
    with pytest.raises(InputError, match="needs a codebook, which Plain does not have: use VectorQuantised"):
        built(Plain(3), term=term)


def test_a_codebook_of_averages_is_not_to_be_learned_by_gradient_too():
    with pytest.raises(InputError, match="leave the term out"):
        built(VectorQuantised(2, 3, 5))
