import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax import core
from aejax.core import Adam, Examples, InputError, as_arrays, known_subclasses
from aejax.losses import (
    KL,
    MMD,
    Capacity,
    DoublyReparameterised,
    FreeBits,
    ImportanceWeighted,
    Loss,
    MultiscaleSSIM,
    Reconstruction,
    SlicedWasserstein,
    Term,
)
from aejax.metrics import Bound
from aejax.models import (
    Autoencoder,
    MLPDecoder,
    MLPEncoder,
    ResidualEncoder,
    TopDownAutoencoder,
    TopDownDecoder,
    TopDownLatent,
    require,
)

SHAPE, CHANNELS = (6, 5, 1), (1, 2)
ENCODER, DECODER = ResidualEncoder((4, 4), (2, 2), pyramid=True), TopDownDecoder((4, 4), (2, 2))
MODEL = TopDownAutoencoder(ENCODER, TopDownLatent(CHANNELS), DECODER).resolve(SHAPE, SHAPE)
SIZES = (9, 8)
BATCH = Examples(jnp.asarray(np.random.default_rng(0).integers(0, 2, (3, *SHAPE)), jnp.float32))
ELBO = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})


@pytest.fixture(scope="module")
def fresh():
    state = jax.jit(lambda key: core.init(MODEL, as_arrays(ELBO), Adam(horizon=9.0), BATCH, key))(jax.random.key(0))
    return dict(state.variables)


@pytest.fixture(scope="module")
def variables(fresh):
    """Those of a model whose layers depart from where they begin: every parameter is moved at random."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), fresh)


def with_model(function, variables, model=MODEL, key=2):
    """Calls `function(model, batch)` with the model bound, as one program."""
    keys = {name: jax.random.key(key) for name in ("latent", "corruption", "dropout")}
    return jax.jit(lambda v: core.apply(function, model, v, keys, BATCH)[0])(variables)


def test_the_sizes_of_layers_are_those_of_the_maps():
    assert MODEL.latent.places == ((3, 3), (2, 2))
    assert (MODEL.latent.sizes, MODEL.latent.size) == (SIZES, 17)
    assert TopDownLatent(CHANNELS).sizes == ()


def test_the_prior_begins_as_standard_normal_and_the_posterior_near_it(fresh):
    def drawn(model, batch):
        forward = ELBO.forward(model, batch)
        return forward.code, forward.log_posterior, forward.rates, model.prior_log_prob(forward.code)

    code, density, rates, before = with_model(drawn, fresh)
    np.testing.assert_allclose(before, stats.norm.logpdf(code).sum(axis=1), rtol=1e-5)
    assert (np.abs(density - before) > 0).all()  # not alike for all examples
    assert ((rates > 0) & (rates < 1)).all()


def test_one_way_down_is_what_its_parts_give_one_by_one(variables):
    def both(model, batch):
        posterior = model.encode(batch)
        drawn = model.draw(posterior, jax.random.key(5), batch)
        code, density = posterior.sample_and_log_prob(jax.random.key(5))
        apart = (code, model.decode(code, batch), density)
        again = (posterior.sample(jax.random.key(5)), model.decode(drawn.code, batch), posterior.log_prob(drawn.code))
        return drawn[:3], apart, again

    drawn, apart, again = with_model(both, variables)
    for found in (apart, again):
        for one, other in zip(drawn, found, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def gaussians(model, batch):
    """The parameters of prior and posterior of both layers along the draw of one code, and that code's densities."""
    seen, posterior = [], model.encode(batch)

    def choose(number, distribution):
        layer = distribution.sample(jax.random.fold_in(jax.random.key(3), number))
        seen.append((layer, distribution.mean, distribution.scale))
        return layer

    found = model.descend(len(batch), choose, posterior.maps)
    asked = iter(model.latent.split(found.code)[::-1])
    priors = []

    def replay(number, distribution):
        priors.append((distribution.mean, distribution.scale))
        return next(asked)

    model.descend(len(batch), replay)
    return seen, priors, (found.log_prior, found.log_posterior, found.rates, found.code)


def test_densities_and_rates_are_those_of_the_layers_gaussians_in_float64(variables):
    seen, priors, (log_prior, log_posterior, rates, code) = with_model(gaussians, variables)
    before, after, divergences = np.zeros(3), np.zeros(3), []
    for (layer, mean, scale), (prior_mean, prior_scale) in zip(seen, priors, strict=True):
        layer, mean, scale, m, s = (np.float64(each) for each in (layer, mean, scale, prior_mean, prior_scale))
        after += stats.norm.logpdf(layer, mean, scale).sum(axis=1)
        before += stats.norm.logpdf(layer, m, s).sum(axis=1)
        divergence = np.log(s / scale) + (scale**2 + (mean - m) ** 2) / (2 * s**2) - 0.5
        divergences.append(divergence.sum(axis=1))
    np.testing.assert_allclose(log_prior, before, rtol=1e-4)
    np.testing.assert_allclose(log_posterior, after, rtol=1e-4)
    np.testing.assert_allclose(rates, np.stack(divergences[::-1], axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(code, np.concatenate([layer for layer, _, _ in seen[::-1]], axis=1))
    assert np.abs(rates).min() > 0.05  # the layers depart from their priors, so that there is something to compare


def test_the_rate_is_the_mean_of_the_ratio_of_the_densities(variables):
    def ratios(model, batch):
        posterior = model.encode(batch)
        tiled = [jnp.repeat(maps[:1], 4000, axis=0) for maps in posterior.maps]
        draw = lambda number, distribution: distribution.sample(jax.random.fold_in(jax.random.key(7), number))  # noqa: E731
        found = model.descend(4000, draw, tiled)
        return found.log_posterior - found.log_prior, found.rates.sum(axis=1)

    ratio, rate = (np.asarray(each, np.float64) for each in with_model(ratios, variables))
    difference = ratio - rate
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert rate.std() > 0.01  # a lower layer's rate depends on the draw of the layer above


def test_a_layer_knows_those_above_it_and_no_other(variables):
    def changed(model, batch):
        posterior = model.encode(batch)
        others = [posterior.maps[0] + 1, posterior.maps[1]]
        means = [dataclasses.replace(posterior, maps=maps).mean for maps in (posterior.maps, others)]
        upper = [dataclasses.replace(posterior, maps=[posterior.maps[0], posterior.maps[1] + 1]).mean]
        return [*means, *upper]

    own, finer, coarser = (np.asarray(mean) for mean in with_model(changed, variables))
    np.testing.assert_array_equal(own[:, SIZES[0] :], finer[:, SIZES[0] :])
    assert (own[:, : SIZES[0]] != finer[:, : SIZES[0]]).any()
    assert (own[:, SIZES[0] :] != coarser[:, SIZES[0] :]).any()
    assert (own[:, : SIZES[0]] != coarser[:, : SIZES[0]]).any()  # through the layer above, the lower one changes too


def test_codes_of_the_prior_are_drawn_layer_by_layer(variables):
    codes = with_model(lambda model, batch: model.sample_prior(jax.random.key(1), 5), variables)
    densities = with_model(lambda model, batch: model.prior_log_prob(codes), variables)
    assert codes.shape == (5, 17)
    assert len({tuple(row) for row in np.asarray(codes).round(6)}) == 5
    assert np.isfinite(densities).all()


def test_many_codes_of_an_example_are_as_one_by_one(variables):
    def scored(model, batch):
        posterior = model.encode(batch)
        codes, densities = posterior.sample_and_log_prob(jax.random.key(0), 4)
        return codes, densities, jnp.stack([posterior.log_prob(code) for code in codes])

    codes, densities, again = with_model(scored, variables)
    assert codes.shape == (4, 3, 17)
    np.testing.assert_allclose(densities, again, rtol=1e-4)
    assert len({tuple(row) for row in np.asarray(codes).reshape(12, 17).round(6)}) == 12


def test_weights_of_importance_are_one_on_average(variables):
    """The mean of p(z) / q(z | x) over draws of q is 1: both are densities."""

    def ratios(model, batch):
        posterior = model.encode(batch)
        codes, densities = posterior.sample_and_log_prob(jax.random.key(0), 3000)
        return model.prior_log_prob(codes.reshape(-1, 17)).reshape(3000, 3) - densities

    few = jax.tree.map(lambda leaf: leaf * 0.3, variables)
    weights = np.exp(np.asarray(with_model(ratios, few), np.float64))
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert (abs(weights.mean(axis=0) - 1) < 4 * error).all()
    assert (error < 0.1).all()


def test_the_bound_s_parts_and_a_layer_s_rate_are_measured(variables):
    measured = with_model(Bound(), variables)
    rates = [measured[f"rate_layer_{number}_nats"] for number in (1, 2)]
    np.testing.assert_allclose(measured["rate_nats"], sum(rates), rtol=1e-5)
    assert (np.asarray(rates) > 0).all()


def test_free_bits_are_of_layers(variables):
    free = with_model(lambda model, batch: FreeBits(free=1e9)(ELBO.forward(model, batch)), variables)
    np.testing.assert_allclose(free, 2e9)
    none = with_model(lambda model, batch: FreeBits(free=1e-9)(ELBO.forward(model, batch)), variables)
    rate = with_model(lambda model, batch: KL()(ELBO.forward(model, batch)), variables)
    np.testing.assert_allclose(none, rate, rtol=1e-6)


def test_the_doubly_reparameterised_bound_has_the_value_and_the_image_s_gradient_of_the_other(variables):
    losses = [Loss(terms={"bound": term}) for term in (ImportanceWeighted(samples=4), DoublyReparameterised(samples=4))]

    def gradient(loss):
        total = lambda v: core.apply(as_arrays(loss), MODEL, v, keys, BATCH, True)[0]["loss_nats"].mean()  # noqa: E731
        return jax.jit(jax.value_and_grad(total))(variables)

    keys = {name: jax.random.key(4) for name in ("latent", "corruption", "dropout")}
    (value, one), (other, two) = (gradient(loss) for loss in losses)
    np.testing.assert_allclose(value, other, rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(two))
    out = one["params"]["decoder"]["enlargements_1"], two["params"]["decoder"]["enlargements_1"]
    # The gradient of the last layer, below which there is no code, is the same.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), *out)


def test_an_example_is_trained_on_by_itself(variables):
    def loss(v, x):
        keys = {"latent": jax.random.key(0), "corruption": jax.random.key(0), "dropout": jax.random.key(0)}
        return core.apply(as_arrays(ELBO), MODEL, v, keys, Examples(x), True)[0]["loss_nats"]

    one, other = (jax.jit(loss)(variables, x) for x in (BATCH.x, BATCH.x.at[1:].set(1 - BATCH.x[1:])))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    assert (np.asarray(one[1:]) != np.asarray(other[1:])).all()


OURS = [term for term in known_subclasses(Term) if term.__module__.startswith("aejax.")]


@pytest.mark.slow
@pytest.mark.parametrize("term", OURS, ids=lambda term: term.__name__)
def test_a_term_has_a_finite_gradient_or_is_refused(term):
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL(), "term": term()})
    try:
        require(loss.terms["term"], MODEL, loss)
    except InputError:
        assert term not in (KL, Capacity, FreeBits, MMD, SlicedWasserstein, ImportanceWeighted, DoublyReparameterised)
        return
    if term is MultiscaleSSIM:  # the images are too small for it
        return

    @jax.jit
    def step(loss, key):
        optimizer = Adam(horizon=9.0)
        return core.step(MODEL, loss, optimizer, core.init(MODEL, loss, optimizer, BATCH, key), BATCH, key)

    state, metrics = step(as_arrays(loss), jax.random.key(0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))


@pytest.mark.parametrize(
    ("encoder", "channels", "decoder", "message"),
    [
        (
            ResidualEncoder((4, 4)),
            (1, 1),
            DECODER,
            "needs maps of all sizes, which ResidualEncoder does not",
        ),
        (MLPEncoder(), (1, 1), DECODER, "needs maps of all sizes, which MLPEncoder does not have"),
        (ENCODER, (1, 1), MLPDecoder(), "needs a stage for each layer of the code, which MLPDecoder does not have"),
        (ResidualEncoder((4, 4), (2, 1), pyramid=True), (1, 1), DECODER, "give both the same strides"),
        (ENCODER, (1, 1, 1), DECODER, "and the code has 3 layers"),
    ],
)
def test_parts_that_do_not_agree_are_refused(encoder, channels, decoder, message):
    with pytest.raises(InputError, match=message):
        TopDownAutoencoder(encoder, TopDownLatent(channels), decoder).resolve(SHAPE, SHAPE)


def test_a_posterior_is_one_distribution_where_the_network_has_dropout_too(variables):
    """Then it is drawn from without dropout: a code's density is the same whoever asks for it."""
    model = MODEL.clone(decoder=MODEL.decoder.clone(dropout=0.5), encoder=MODEL.encoder.clone(dropout=0.5))

    def densities(model, batch):
        posterior = model.encode(batch, True)
        code, density = posterior.sample_and_log_prob(jax.random.key(5))
        return density, posterior.log_prob(code), posterior.fixed().log_prob(code)

    one, *others = with_model(densities, variables, model)
    for other in others:
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_places_that_are_not_the_encoder_s_are_refused():
    assert MODEL.resolve(SHAPE, SHAPE).latent == MODEL.latent
    with pytest.raises(InputError, match="places are"):
        MODEL.clone(latent=MODEL.latent.clone(places=((9, 9), (2, 2)))).resolve(SHAPE, SHAPE)


@pytest.mark.parametrize("parts", [(TopDownLatent(), MLPDecoder()), (TopDownLatent(), TopDownDecoder())])
def test_the_parts_need_their_own_model(parts):
    for part in parts:
        if part.needs:
            with pytest.raises(InputError, match="use TopDownAutoencoder"):
                require(part, Autoencoder(MLPEncoder(), *parts))


def test_half_precision_and_remat_change_the_numbers_little_and_not_at_all(variables):
    loss = lambda model, batch: ELBO(model, batch, True)["loss_nats"]  # noqa: E731
    own = np.asarray(with_model(loss, variables))
    np.testing.assert_array_equal(own, with_model(loss, variables, MODEL.clone(remat=True)))
    half = np.asarray(with_model(loss, variables, MODEL.clone(precision="bfloat16")))
    assert (own != half).any()
    np.testing.assert_allclose(own, half, rtol=0.05)


def test_an_encoder_s_pyramid_ends_with_what_it_returns_without(variables):
    plain = ENCODER.clone(pyramid=False)
    own = {"params": variables["params"]["encoder"]}
    every, last = ENCODER.apply(own, BATCH.x), plain.apply(own, BATCH.x)
    np.testing.assert_array_equal(every[:, -last.shape[1] :], last)
    assert every.shape == (3, 9 * 4 + 4 * 4)
