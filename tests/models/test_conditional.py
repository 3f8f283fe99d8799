import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Adam, Examples, InputError
from aejax.data import Dataset
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, MLPDecoder, MLPEncoder, VampPrior
from tests.helpers import compiled

MODEL = ConditionalAutoencoder(MLPEncoder((4,), "tanh"), GaussianLatent(2), MLPDecoder(), classes=3)


def test_the_label_adds_its_own_row_of_weights_to_both_ways():
    model, x = MODEL.resolve((4,), (4,)), jnp.ones((3, 4))
    variables = compiled.init(
        lambda model, batch: model.decode(model.encode(batch).mean, batch),
        model,
        {"params": jax.random.key(0)},
        Examples(x, jnp.arange(3)),
    )

    def both(model, batch):
        return model.encode(batch).mean, model.decode(jnp.ones((3, 2)), batch)

    mean, raw = compiled.apply(both, model, variables, {}, Examples(x, jnp.asarray([0, 2, 2])))[0]
    for out, kernel in (
        (mean, variables["params"]["latent"]["code"]["kernel"]),
        (raw, variables["params"]["decoder"]["out"]["kernel"]),
    ):
        np.testing.assert_allclose(out[1] - out[0], kernel[-1] - kernel[-3], rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(out[1], out[2])


@pytest.mark.slow
def test_what_the_label_says_is_not_left_to_the_code(tiny):
    """Images that their class determines: with the label known the rate goes to nothing, and the bound stays tight."""
    loss = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
    kinds = np.random.default_rng(3).integers(0, 2, (3, 4, 4, 1)).astype(np.uint8) * 255
    part = lambda label: Examples(kinds[label], label.astype(np.int32))  # noqa: E731
    dataset = Dataset("kinds", part(np.arange(60) % 3), part(np.arange(0)), part(np.arange(6) % 3))
    experiment = dataclasses.replace(tiny.experiment, model=MODEL, loss=loss, optimizer=Adam(3e-2), epochs=80)
    metrics = aejax.fit(experiment, dataset=dataset).evaluate(dataset.test)
    assert metrics["kl_nats"] < 0.1
    assert metrics["loss_nats"] < 0.5  # without the label, no model gets below the entropy of the kinds, log 3 = 1.1


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (None, "tiny has no labels, which a conditional model needs"),
        (np.full(40, 3, np.int32), "the labels of tiny run from 3 to 3, but model.classes is 3"),
        (np.full(40, -1, np.int32), "the labels of tiny run from -1 to -1"),
    ],
)
def test_data_without_fitting_labels_is_refused_before_anything_is_written(tiny, tmp_path, label, said):
    dataset = dataclasses.replace(tiny.dataset, train=Examples(tiny.dataset.train.x, label))
    with pytest.raises(InputError, match=said):
        aejax.fit(dataclasses.replace(tiny.experiment, model=MODEL), dataset=dataset, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_pseudo_inputs_without_labels_are_refused(tiny):
    experiment = dataclasses.replace(tiny.experiment, model=MODEL.clone(prior=VampPrior(2)))
    with pytest.raises(InputError, match="VampPrior needs an encoder that is given no label"):
        aejax.fit(experiment, dataset=tiny.dataset)


def test_a_conditional_model_asks_for_labels():
    model = MODEL.resolve((4,), (4,))
    with pytest.raises(InputError, match="conditional: give each example's label with it, from 0 to 2"):
        compiled.init(
            lambda model, x: model.encode(x), model, {"params": jax.random.key(0)}, Examples(jnp.zeros((1, 4)))
        )
