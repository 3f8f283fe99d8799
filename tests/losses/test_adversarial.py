"""Two players in one step: each is trained by its own part of the loss, and by nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax import core
from aejax.core import Adam, Cosine, Examples, InputError, Player, as_arrays
from aejax.data import Data, Dataset
from aejax.experiment import Experiment
from aejax.losses import (
    KL,
    AdversarialCorrelation,
    AdversarialDecoding,
    AdversarialPrior,
    DataCritic,
    FeatureReconstruction,
    Forward,
    Gaussian,
    Loss,
    PermutationCritic,
    PriorCritic,
    Reconstruction,
    WeightL2,
)
from aejax.models import (
    Autoencoder,
    CodeCritic,
    ExampleCritic,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    NoCritic,
    Plain,
    VariationalAutoencoder,
)
from tests.helpers.small import same_bits

CRITIC = CodeCritic((6, 5), "tanh")
PLAYERS = {"critic": Player(Adam(2e-3, b1=0.5, clip_norm=1.0))}
MODELS = {
    "aae": VariationalAutoencoder(MLPEncoder((8,), "tanh"), Plain(3), MLPDecoder((8,), "tanh"), critic=CRITIC),
    "factor-vae": VariationalAutoencoder(
        MLPEncoder((8,), "tanh"), GaussianLatent(3), MLPDecoder((8,), "tanh"), critic=CRITIC
    ),
    "vae-gan": VariationalAutoencoder(
        MLPEncoder((8,), "tanh"),
        GaussianLatent(3),
        MLPDecoder((8,), "tanh"),
        critic=ExampleCritic(MLPEncoder((6,), "tanh")),
    ),
}
TERMS = {
    "aae": {"adversarial": AdversarialPrior(2.0), "critic": PriorCritic()},
    "factor-vae": {"kl": KL(), "correlation": AdversarialCorrelation(3.0), "critic": PermutationCritic()},
    "vae-gan": {
        "kl": KL(),
        "features": FeatureReconstruction(4.0),
        "adversarial": AdversarialDecoding(3.0),
        "critic": DataCritic(),
    },
}
KINDS = ["aae", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("factor-vae", "vae-gan"))]


def experiment(kind, **changes):
    loss = Loss(Gaussian(), {"reconstruction": Reconstruction(), **TERMS[kind]})
    made = Experiment(MODELS[kind], loss, Data("generated"), Adam(1e-2, players=PLAYERS), 8, epochs=2, name=kind)
    return dataclasses.replace(made, **changes)


def examples(n, seed=0):
    return Examples(np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32))


DATASET = Dataset("generated", examples(40), examples(11, 1), examples(10, 2))


def begun(kind, **changes):
    """A resolved experiment with its first state, and a batch."""
    made = experiment(kind, **changes).resolve(DATASET)
    loss, optimizer = as_arrays((made.loss, made.optimizer))
    batch = Examples(jnp.asarray(examples(8).x))
    key = jax.random.key(0)
    return made.model, loss, optimizer, core.init(made.model, loss, optimizer, batch, key), batch, key


def gradient(model, loss, state, batch, key):
    def objective(params):
        variables = dataclasses.replace(state, params=params).variables
        return core.apply(loss, model, variables, core.model_keys(key, 0), batch, True, jnp.asarray(0))[0][
            "loss_nats"
        ].mean()

    return jax.jit(jax.grad(objective))(state.params)


@pytest.mark.parametrize("kind", KINDS)
def test_each_player_s_gradient_is_that_of_its_own_terms_alone(kind):
    model, loss, _, state, batch, key = begun(kind)
    both = gradient(model, loss, state, batch, key)
    critics = {name: dataclasses.replace(term, weight=0.0) for name, term in loss.terms.items() if name != "critic"}
    alone = gradient(model, dataclasses.replace(loss, terms=loss.terms | critics), state, batch, key)
    mine = {"critic": dataclasses.replace(loss.terms["critic"], weight=0.0)}
    other = gradient(model, dataclasses.replace(loss, terms=loss.terms | mine), state, batch, key)
    zero = jax.tree.map(jnp.zeros_like, both)
    for part in both:
        expected, nothing = (alone, other) if part == "critic" else (other, alone)
        assert same_bits(both[part], expected[part])
        assert same_bits(nothing[part], zero[part])
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(both[part])) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_adds_nothing_to_the_total(kind):
    model, loss, _, state, batch, key = begun(kind)
    values = jax.jit(lambda: core.apply(loss, model, state.variables, core.model_keys(key, 0), batch)[0])()
    own = sum(term.weight * values[f"{name}_nats"] for name, term in loss.terms.items() if name != "critic")
    np.testing.assert_allclose(values["loss_nats"], own, rtol=1e-5)
    assert 0.3 < float(values["critic_nats"].mean()) < 1.5  # log 2 of one that knows nothing


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_of_rate_zero_keeps_its_bits_and_the_other_player_s_weight_does_not_move_it(kind):
    model, loss, optimizer, state, batch, key = begun(kind)
    heavier = {name: dataclasses.replace(term, weight=50.0 * term.weight) for name, term in loss.terms.items()}
    heavier["critic"] = loss.terms["critic"]
    step = jax.jit(core.step, static_argnums=0)
    still = {"critic": dataclasses.replace(PLAYERS["critic"], optimizer=Adam(0.0, horizon=1.0, clip_norm=1.0))}
    after, _ = step(model, loss, as_arrays(dataclasses.replace(optimizer, players=still)), state, batch, key)
    assert same_bits(after.params["critic"], state.params["critic"])
    assert not same_bits(after.params["encoder"], state.params["encoder"])
    one, _ = step(model, loss, optimizer, state, batch, key)
    two, _ = step(model, dataclasses.replace(loss, terms=heavier), optimizer, state, batch, key)
    assert same_bits(one.params["critic"], two.params["critic"])
    assert not same_bits(one.params["encoder"], two.params["encoder"])


def test_a_player_has_the_update_of_its_optimiser_by_itself():
    params = {"critic": {"kernel": jnp.ones((2, 3))}, "encoder": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}}
    slope = jax.tree.map(lambda leaf: 7.0 + leaf, params)
    optimizer = Adam(0.1, Cosine(), clip_norm=1.0, players={"critic": Player(Adam(0.3, accumulate=2))}).over(6)
    state, separate = optimizer.init(params), {}
    for part, own in (("critic", Adam(0.3, accumulate=2).over(6)), ("encoder", Adam(0.1, Cosine(), 1.0).over(6))):
        separate[part] = own, own.init(params[part]), params[part]
    for _ in range(4):
        params, state = optimizer.update(slope, state, params)
        for part, (own, opt_state, before) in separate.items():
            after, opt_state = own.update(slope[part], opt_state, before)
            separate[part] = own, opt_state, after
    for part, (_, _, expected) in separate.items():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), params[part], expected)


def test_the_critic_of_examples_trains_the_decoder_but_no_encoder():
    model, loss, _, state, batch, key = begun("vae-gan")
    alone = dataclasses.replace(loss, terms={name: loss.terms[name] for name in ("adversarial", "critic")})
    slope = gradient(model, alone, state, batch, key)
    for part in ("encoder", "latent"):
        assert same_bits(slope[part], jax.tree.map(jnp.zeros_like, slope[part]))
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope["decoder"])) > 0


def test_terms_of_a_critic_of_examples_are_those_written_out(monkeypatch):
    """With draws of the prior that are known, a decoder that is linear, and a critic of one layer."""
    model, loss, _, state, batch, key = begun("vae-gan")
    rng = np.random.default_rng(3)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    kernel, out, up, drawn = normal(5, 6), normal(6, 1), normal(3, 5), normal(8, 3)
    dense = {"encoder": {"Stack_0": {"Dense_0": {"kernel": kernel, "bias": np.zeros(6, np.float32)}}}}
    dense |= {"out": {"kernel": out, "bias": np.zeros(1, np.float32)}}
    assert jax.tree.structure(state.params["critic"]) == jax.tree.structure(dense)
    params = {**state.params, "critic": dense, "decoder": {"out": {"kernel": up, "bias": np.zeros(5, np.float32)}}}
    model = model.clone(decoder=MLPDecoder(()))
    monkeypatch.setattr(VariationalAutoencoder, "sample_prior", lambda self, key, n: jnp.asarray(drawn[:n]))
    variables = dataclasses.replace(state, params=params).variables
    keys = core.model_keys(key, 0)
    found = core.apply(loss, model, variables, keys, batch)[0]
    code = core.apply(lambda model: loss.forward(model, batch).code, model, variables, keys)[0]
    features = lambda x: np.tanh(x @ kernel)  # noqa: E731
    logit = lambda x: (features(x) @ out)[:, 0]  # noqa: E731
    softplus = lambda x: np.logaddexp(0, x)  # noqa: E731
    x, back, made = np.asarray(batch.x), np.asarray(code) @ up, drawn @ up
    close = lambda name, value: np.testing.assert_allclose(found[f"{name}_nats"], value, rtol=2e-5)  # noqa: E731
    close("features", np.square(features(x) - features(back)).sum(axis=1) / 2)
    close("adversarial", (softplus(-logit(back)) + softplus(-logit(made))) / 2)
    close("critic", softplus(-logit(x)) / 2 + softplus(logit(back)) / 4 + softplus(logit(made)) / 4)


@pytest.mark.slow
def test_the_total_correlation_of_a_correlated_gaussian_is_what_a_trained_critic_says():
    """Of two normals with correlation rho it is -log(1 - rho^2) / 2, the mean of the optimal critic's logit."""
    rho = 0.8
    critic, recipe = CodeCritic((32, 32), "tanh"), optax.adam(5e-3)

    def codes(key, n):
        first, second = jax.random.normal(key, (2, n))
        return jnp.stack([first, rho * first + (1 - rho**2) ** 0.5 * second], axis=1)

    def value(params, key):
        return jnp.mean(_of(PermutationCritic(), critic, params, codes(key, 1024), key))

    begun = {"params": jax.random.key(0)}
    params = core.init_variables(lambda critic, z: critic(z), critic, begun, codes(jax.random.key(1), 4))["params"]

    @jax.jit
    def trained(params):
        def step(carry, key):
            params, state = carry
            updates, state = recipe.update(jax.grad(value)(params, key), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, recipe.init(params)), jax.random.split(jax.random.key(2), 600))[0][0]

    found = _of(AdversarialCorrelation(), critic, trained(params), codes(jax.random.key(3), 20_000), jax.random.key(4))
    assert float(found.mean()) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.05)


def _of(term, critic, params, z, key):
    """A term's values of given codes, in a model whose critic has given parameters."""
    model = Autoencoder(MLPEncoder(), Plain(z.shape[1]), MLPDecoder(), critic=critic)

    def measured(model, z):
        return term(Forward(model, None, None, None, z, None, None))

    return core.apply(measured, model, {"params": {"critic": params}}, {"latent": key}, z)[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": Loss(Gaussian(), {"critic": PriorCritic()})}, "PriorCritic needs a critic of codes, which NoCritic"),
        ({"model": MODELS["aae"], "loss": Loss(Gaussian())}, "CodeCritic needs a term by which it learns"),
        (
            {"model": MODELS["aae"], "loss": Loss(Gaussian(), {"kl": AdversarialPrior(), "critic": DataCritic()})},
            "DataCritic needs a critic of examples, which CodeCritic does not have",
        ),
        (
            {
                "model": MODELS["vae-gan"].clone(critic=ExampleCritic(MLPEncoder((4,), norm="batch"))),
                "loss": Loss(Gaussian(), {"kl": KL(), "critic": DataCritic()}),
            },
            "MLPEncoder of the critic has norm batch or dropout",
        ),
        (
            {
                "model": MODELS["vae-gan"].clone(critic=ExampleCritic(MLPEncoder((4,), dropout=0.5))),
                "loss": Loss(Gaussian(), {"kl": KL(), "critic": DataCritic()}),
            },
            "MLPEncoder of the critic has norm batch or dropout",
        ),
        (
            {
                "model": MODELS["vae-gan"].clone(critic=ExampleCritic(MLPEncoder())),
                "loss": Loss(Gaussian(), {"kl": KL(), "critic": DataCritic()}),
            },
            "MLPEncoder of the critic has no layers",
        ),
        (
            {
                "model": MODELS["vae-gan"].clone(critic=ExampleCritic()),
                "loss": Loss(Gaussian(), {"kl": KL(), "critic": DataCritic()}),
            },
            "ConvEncoder needs images: give the critic --model.critic.encoder mlp-encoder",
        ),
        (
            {
                "model": MODELS["vae-gan"].clone(decoder=MLPDecoder((4,), norm="batch")),
                "loss": Loss(Gaussian(), {"kl": KL(), "critic": DataCritic()}),
            },
            "MLPDecoder normalises over the batch, but for a critic of examples",
        ),
        (
            {"model": MODELS["aae"], "loss": Loss(Gaussian(), {"adversarial": AdversarialPrior()})},
            "needs a term by which it learns",
        ),
        (
            {"optimizer": Adam(players={"other": Player(pattern="^nobody")})},
            "optimizer.players.other.pattern is '\\^nobody', which matches no parameter",
        ),
        (
            {"optimizer": Adam(players={"all": Player(Adam(players=PLAYERS), pattern="")})},
            "optimizer.players.all.optimizer has players or an average of its own",
        ),
    ],
)
def test_what_cannot_play_is_refused_before_training(change, said):
    plain = experiment("aae", model=MODELS["aae"].clone(critic=NoCritic()), optimizer=Adam())
    plain = dataclasses.replace(plain, loss=Loss(Gaussian(), {"reconstruction": Reconstruction()}))
    plain = dataclasses.replace(plain, model=Autoencoder(MLPEncoder((8,)), Plain(3), MLPDecoder((8,))))
    with pytest.raises(InputError, match=said):
        dataclasses.replace(plain, **change).resolve(DATASET)


@pytest.mark.slow
def test_a_penalty_on_weights_leaves_the_critic_s_alone():
    model, loss, _, state, batch, key = begun("aae")
    terms = {"decay": WeightL2(), **loss.terms}
    slope = gradient(model, dataclasses.replace(loss, terms=terms), state, batch, key)
    assert same_bits(slope["critic"], gradient(model, loss, state, batch, key)["critic"])
