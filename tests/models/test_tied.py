from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import aejax
from aejax.core import InputError
from aejax.data import Data
from aejax.evaluation import suite
from aejax.experiment import Experiment, from_json, to_json
from aejax.losses import Loss
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.models import (
    Autoencoder,
    GaussianLatent,
    MLPEncoder,
    Plain,
    SpatialWinnerTakeAll,
    TiedAutoencoder,
    TopK,
    VectorQuantised,
    WinnerTakeAll,
)
from aejax.models.tied import TransposedDecoder
from tests.models.test_autoencoder import drawn, init, run

DEEP = TiedAutoencoder(MLPEncoder((6, 5), "tanh"), Plain(3), TransposedDecoder("tanh"), (4, 4, 1))


def test_there_is_one_kernel_a_layer():
    shapes = {name: leaf.shape for name, leaf in flatten_dict(init(DEEP, drawn((4, 4, 1)))["params"], sep="/").items()}
    kernels = sorted(shape for name, shape in shapes.items() if name.endswith("kernel"))
    assert kernels == [(5, 3), (6, 5), (16, 6)]
    assert {name: shape for name, shape in shapes.items() if name.startswith("decoder")} == {
        "decoder/Dense_0/bias": (5,),
        "decoder/Dense_1/bias": (6,),
        "decoder/out/bias": (16,),
    }


def test_the_decoder_is_the_encoder_backwards():
    x = drawn((4, 4, 1))
    variables = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), init(DEEP, x))
    params = jax.device_get(variables["params"])
    first, second, code = (
        params["encoder"]["Stack_0"]["Dense_0"],
        params["encoder"]["Stack_0"]["Dense_1"],
        params["latent"]["code"],
    )
    z = np.asarray(x).reshape(4, 16)
    for layer, act in ((first, np.tanh), (second, np.tanh), (code, lambda v: v)):
        z = act(z @ layer["kernel"] + layer["bias"])
    raw = z
    down = params["decoder"]
    for kernel, bias, act in (
        (code["kernel"], down["Dense_0"]["bias"], np.tanh),
        (second["kernel"], down["Dense_1"]["bias"], np.tanh),
        (first["kernel"], down["out"]["bias"], lambda v: v),
    ):
        raw = act(raw @ kernel.T + bias)
    coded, decoded = run(DEEP, variables, x)
    np.testing.assert_allclose(coded, z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(decoded, raw.reshape(4, 4, 4, 1), rtol=1e-4, atol=1e-5)


def test_both_uses_of_a_kernel_have_their_part_in_its_gradient():
    model = TiedAutoencoder(latent=Plain(2), shape=(5,))
    x = drawn((5,))
    variables = init(model, x)
    kernel = variables["params"]["latent"]["code"]["kernel"]
    slopes = jax.jit(jax.grad(lambda variables: run(model, variables, x)[1].sum()))(variables)
    slope = slopes["params"]["latent"]["code"]
    apart = jax.jit(jax.grad(lambda encode, decode: (x @ encode @ decode.T).sum(), (0, 1)))(kernel, kernel)
    np.testing.assert_allclose(slope["kernel"], apart[0] + apart[1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_trains_is_drawn_and_is_used_like_any_other(tiny, tmp_path):
    model = TiedAutoencoder(MLPEncoder((8,), norm="batch"), Plain(3), TransposedDecoder(norm="batch"))
    experiment = Experiment(model, Loss(), Data("tiny"), batch_size=8, epochs=2, name="tied")
    trained = aejax.fit(experiment, dataset=tiny.dataset, folder=tmp_path)
    loaded = aejax.load(trained.run.path)
    x = tiny.dataset.test.x
    assert loaded.encode(x).shape == (10, 3)
    np.testing.assert_array_equal(loaded.reconstruct(x), trained.reconstruct(x))
    assert trained.history[-1]["loss_nats"] < trained.history[0]["loss_nats"]
    (norm,) = trained.state.collections["batch_stats"]["decoder"]["Finish_0"].values()
    assert abs(np.asarray(norm["mean"])).max() > 0.001
    assert {"reconstructions", "codes"} <= set(suite.draw(trained, tiny.dataset))
    assert from_json(to_json(experiment)) == experiment


def test_a_decoder_of_an_untied_model_is_refused():
    model = Autoencoder(MLPEncoder(), Plain(3), TransposedDecoder(), (5,))
    with pytest.raises(InputError, match="use it in a TiedAutoencoder"):
        jax.eval_shape(partial(init, model), jnp.ones((2, 5)))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (TiedAutoencoder(latent=SpatialWinnerTakeAll(5, 1)), "latent of one dense layer, which SpatialWinner"),
        (TiedAutoencoder(latent=VectorQuantised(5, 2, 4)), "where 10 values go back through a layer that gave 2"),
        (TiedAutoencoder(MLPEncoder((4,), "glu"), Plain(3)), "where 4 values go back through a layer that gave 8"),
    ],
)
def test_what_cannot_be_tied_is_refused(model, said):
    with pytest.raises(InputError, match=said):
        jax.eval_shape(partial(init, model.clone(shape=(5,))), jnp.ones((2, 5)))


@pytest.mark.parametrize("latent", [TopK(4, 2), WinnerTakeAll(4), GaussianLatent(4)])
def test_latents_of_one_layer_can_be_tied(latent):
    x = drawn((5,))
    model = TiedAutoencoder(latent=latent, shape=(5,))
    code, raw = run(model, init(model, x), x)
    kernel = np.asarray(init(model, x)["params"]["latent"]["code"]["kernel"])
    np.testing.assert_allclose(raw, np.asarray(code) @ kernel.T, rtol=1e-4, atol=1e-5)


def test_an_output_wider_than_the_input_is_refused(tiny):
    model = TiedAutoencoder(latent=Plain(3), shape=GaussianLearnedScale().raw_shape((5,)))
    with pytest.raises(InputError, match="tied weights give 5 values"):
        jax.eval_shape(partial(init, model), jnp.ones((2, 5)))
