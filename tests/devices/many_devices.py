"""What must hold on eight devices; `test_devices.py` runs it where there are as many."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import core, devices
from aejax.core import BUFFER, Adam, ExponentialAverage, InputError, Muon, Rate
from aejax.core.optimizers import SGD
from aejax.data import Data, Scale, load, pack
from aejax.devices import Parallel, Program, programs
from aejax.losses import GECO, KL, AuxK, Gaussian, KLSparsity, Loss, Reconstruction
from aejax.models import (
    Autoencoder,
    GaussianLatent,
    IAFLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    RealNVPPrior,
    TopK,
    UnitNormDecoder,
    VariationalAutoencoder,
    WinnerTakeAll,
)
from aejax.models.distributions import Point
from aejax.runs.checkpoints import Checkpoints
from aejax.training import loop, source_for
from aejax.training._priming import priming_examples
from tests.helpers.zoo import small

NORMED = Autoencoder(MLPEncoder((16,), norm="batch"), Plain(3), MLPDecoder())
VAE = VariationalAutoencoder(MLPEncoder((16,)), GaussianLatent(3), MLPDecoder())
FLOWS = VAE.clone(latent=IAFLatent(3, 1, (6,)), prior=RealNVPPrior(2, (6,)))
ELBO = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
TOLERANCE = 2e-5
"""Relative, of every loss of a run: sums are taken in another order."""


def losses(trained):
    return np.asarray([row["loss_nats"] for row in trained.history])


@pytest.fixture
def normed(tiny):
    """Without noise of its own; batch statistics make every example depend on its whole batch."""
    return dataclasses.replace(tiny.experiment, model=NORMED, optimizer=SGD(1e-2), epochs=3)


@pytest.fixture
def vae(tiny):
    return dataclasses.replace(tiny.experiment, model=VAE, loss=ELBO, epochs=3)


def test_there_are_eight_devices():
    assert jax.device_count() == 8


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_streamed_data_are_dealt_out_as_data_in_memory_are(vae, tmp_path, strategy):
    x = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 1), np.uint8)
    np.save(tmp_path / "x.npy", x)
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    experiment = dataclasses.replace(vae, data=Data(str(tmp_path / "packed")))
    whole, streamed = (aejax.fit(experiment, parallel=Parallel(strategy), buffer=buffer) for buffer in (1, 1.1e-6))
    np.testing.assert_allclose(losses(streamed), losses(whole), rtol=TOLERANCE)


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_dictionaries_keep_on_each_device_what_is_of_the_whole_batch(strategy):
    from tests.training.test_dictionaries import BATCH, DATASET, JUMPS

    aux = AuxK(1 / 32, window=20.0, normaliser="variance")
    varied = dataclasses.replace(BATCH, loss=dataclasses.replace(BATCH.loss, terms={**BATCH.loss.terms, "aux": aux}))
    for experiment in (BATCH, JUMPS, varied):
        one, several = (aejax.fit(experiment, dataset=DATASET, parallel=Parallel(strategy, count)) for count in (1, 8))
        np.testing.assert_allclose(losses(several), losses(one), rtol=10 * TOLERANCE)
        statistics = (several.state.collections, one.state.collections)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), *statistics)


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_windows_of_a_stream_are_dealt_out_as_to_one_device(normed, tmp_path, strategy):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (300, 4, 4, 1), np.uint8))
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    experiment = dataclasses.replace(normed, data=Data(str(tmp_path / "packed"), window=3.2e-4))  # of two steps
    layouts = [Parallel(strategy, count) for count in (1, 2, 4, 8)]
    one, *others = (losses(aejax.fit(experiment, parallel=layout, buffer=2.1e-6)) for layout in layouts)
    for other in others:
        np.testing.assert_allclose(other, one, rtol=TOLERANCE)
    data = load(experiment.data)
    shorter = dataclasses.replace(experiment, epochs=2)
    begun = loop.train(shorter, data, folder=tmp_path, parallel=layouts[1], buffer=2.1e-6)
    resumed = loop.train(experiment, data, resume=begun.run.path, parallel=layouts[3], buffer=2.1e-6)
    np.testing.assert_allclose(losses(resumed), one, rtol=TOLERANCE)


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_loss_curves_are_those_of_one_device(tiny, normed, strategy):
    one = aejax.fit(normed, dataset=tiny.dataset, parallel=Parallel(devices=1))
    assert losses(one)[-1] < losses(one)[0] - 0.1
    for count in (1, 2, 4, 8):
        several = aejax.fit(normed, dataset=tiny.dataset, parallel=Parallel(strategy, count))
        np.testing.assert_allclose(losses(several), losses(one), rtol=TOLERANCE, err_msg=f"{count}")
        statistics = (several.state.collections, one.state.collections)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), *statistics)


@pytest.mark.parametrize("model", [VAE, FLOWS], ids=["normal", "flows"])
def test_under_jit_even_the_noise_is_that_of_one_device(tiny, vae, model):
    vae = dataclasses.replace(vae, model=model)
    one = aejax.fit(vae, dataset=tiny.dataset, parallel=Parallel(devices=1))
    np.testing.assert_allclose(losses(aejax.fit(vae, dataset=tiny.dataset)), losses(one), rtol=TOLERANCE)


@pytest.mark.parametrize("model", [VAE, FLOWS], ids=["normal", "flows"])
def test_under_pmap_a_variational_run_is_as_good(tiny, vae, model):
    longer = dataclasses.replace(vae, model=model, epochs=40)
    one = aejax.fit(longer, dataset=tiny.dataset, parallel=Parallel(devices=1))
    mapped = aejax.fit(longer, dataset=tiny.dataset, parallel=Parallel("pmap"))
    assert not np.allclose(losses(mapped), losses(one), rtol=TOLERANCE)
    np.testing.assert_allclose(losses(mapped)[-20:].mean(), losses(one)[-20:].mean(), rtol=0.02)


@core.pytree
@dataclasses.dataclass(frozen=True)
class Noise(Loss):
    """Says what each example's noise was."""

    def __call__(self, model, batch, train=False, step=None):
        noise = jax.random.normal(model.make_rng("latent"), (len(batch),))
        raw = model.decode(model.encode(batch, train).mean, batch, train)
        return {"loss_nats": 0 * raw.sum(axis=(1, 2, 3)), "noise": noise, "squared": noise**2}


def begun(tiny, experiment, parallel, **changed):
    """The program of an experiment, its state before the first step, and the batches of its first epoch."""
    experiment = dataclasses.replace(experiment, **changed).resolve(tiny.dataset)
    parallel = parallel.resolve(experiment)
    program = Program.of(experiment, Scale(), parallel)
    source = source_for(experiment, tiny.dataset, Scale(), parallel, BUFFER)
    state = program.init((4, 4, 1))
    parallel.check_divided(state)
    return program, parallel.place(state), next(source.batches(0, source.steps))


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_every_device_has_noise_of_its_own_metrics_are_those_of_all_and_the_state_is_donated(tiny, strategy):
    noisy, state, batches = begun(tiny, tiny.experiment, Parallel(strategy), loss=Noise())
    after, metrics = noisy.train(state, batches)
    total, squared = np.asarray(metrics["noise"].sum), np.asarray(metrics["squared"].sum)
    # One example on each device: if they drew alike, the square of the sum would be eight sums of squares.
    assert total.shape == (5,)
    assert (total**2 < 0.9 * 8 * squared).all()
    np.testing.assert_array_equal(metrics["loss_nats"].count, np.full(5, 8))
    # The epoch has taken the memory of the state before it.
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert all(leaf.sharding.device_set == set(jax.devices()) for leaf in jax.tree.leaves(after))


@pytest.mark.parametrize("devices", [1, 8])
def test_parameters_to_start_from_outlive_the_run_that_starts_from_them(tiny, devices):
    experiment = dataclasses.replace(tiny.experiment, epochs=1)
    first = aejax.fit(experiment, dataset=tiny.dataset, parallel=Parallel(devices=1))
    before = jax.tree.map(np.array, first.state.params)
    aejax.fit(experiment, dataset=tiny.dataset, params=first.state.params, parallel=Parallel(devices=devices))
    jax.tree.map(np.testing.assert_array_equal, first.state.params, before)


def test_under_jit_the_work_is_divided():
    experiment = aejax.get("vae-flax").resolve_for((28, 28, 1), 1)
    part = devices.place(aejax.core.Examples(np.zeros((1024, 28, 28, 1), np.uint8)), Scale())

    def operations(count):
        parallel = Parallel(devices=count)
        program = Program.of(experiment, Scale(), parallel)
        state = parallel.place(program.init((28, 28, 1)))
        arguments = (parallel, program.model, program.loss, program.optimizer, program.preprocess, state)
        placed = jax.device_put(part, parallel.whole)
        lowered = programs._evaluate.lower(*arguments, placed, program.key, batch_size=1024)
        return lowered.compile().cost_analysis()["flops"]

    assert operations(8) == pytest.approx(operations(1) / 8, rel=0.1)


def test_wide_layers_are_divided_by_the_paths_of_their_parameters(tiny, vae):
    parallel = Parallel(tensor=4, wide=r"encoder.*kernel$")
    program, state, batches = begun(tiny, vae, parallel)
    state, _ = program.train(state, batches)
    kernel = state.params["encoder"]["Stack_0"]["Dense_0"]["kernel"]  # [16, 16]
    assert kernel.addressable_data(0).shape == (16, 4)
    (adam, *_), decoder = state.opt_state, state.params["decoder"]
    assert adam.mu["encoder"]["Stack_0"]["Dense_0"]["kernel"].sharding == kernel.sharding
    assert decoder["out"]["kernel"].is_fully_replicated
    one = aejax.fit(vae, dataset=tiny.dataset, parallel=Parallel(devices=1))
    np.testing.assert_allclose(
        losses(aejax.fit(vae, dataset=tiny.dataset, parallel=parallel)), losses(one), rtol=TOLERANCE
    )


def test_a_run_goes_on_with_another_number_of_devices_and_by_the_other_strategy(tiny, normed, tmp_path):
    longer = dataclasses.replace(normed, epochs=6)
    whole = aejax.fit(longer, dataset=tiny.dataset, parallel=Parallel(devices=1))
    begun = loop.train(normed, dataset=tiny.dataset, folder=tmp_path, parallel=Parallel(tensor=2))
    resumed = loop.train(longer, dataset=tiny.dataset, resume=begun.run.path, parallel=Parallel("pmap", 4))
    assert len(losses(resumed)) == 12
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=TOLERANCE)


def test_a_state_that_devices_hold_in_parts_is_saved_whole_and_restored_in_parts(tiny, vae, tmp_path):
    _, state, _ = begun(tiny, vae, Parallel(tensor=4))
    assert not all(leaf.is_fully_replicated for leaf in jax.tree.leaves(state))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, {"state": state}, 1, None)
    checkpoints.wait()
    restored = checkpoints.restore([5], {"state": state})["state"]
    jax.tree.map(np.testing.assert_array_equal, restored, state)
    assert all(jax.tree.leaves(jax.tree.map(lambda one, other: one.sharding == other.sharding, restored, state)))


def test_layers_stay_divided_from_the_first_state_to_the_one_that_is_returned(tiny, vae, tmp_path):
    """A model that one device cannot hold: no wide array is ever whole on a device."""
    parallel = Parallel(tensor=4, wide=r"kernel$")
    trained = loop.train(vae, dataset=tiny.dataset, folder=tmp_path, parallel=parallel)
    kernels = [leaf for leaf in jax.tree.leaves(trained.state) if leaf.ndim == 2]
    assert kernels
    for leaf in jax.live_arrays():
        if leaf.ndim == 2 and leaf.shape in {kernel.shape for kernel in kernels} and leaf.dtype == np.float32:
            assert leaf.sharding.is_fully_replicated is False, leaf.shape
    longer = dataclasses.replace(vae, epochs=4)
    resumed = loop.train(longer, dataset=tiny.dataset, resume=trained.run.path, parallel=parallel)
    one = aejax.fit(longer, dataset=tiny.dataset, parallel=Parallel(devices=1))
    np.testing.assert_allclose(losses(resumed), losses(one), rtol=TOLERANCE)


class Counting(Plain):
    """Counts, of all examples that it was trained on, those whose feature is above a half, feature by feature."""

    @nn.compact
    def __call__(self, features, train=False):
        bright = self.variable("counters", "bright", jnp.zeros, features.shape[1:], jnp.int32)
        if train and not self.is_initializing():
            bright.value += core.batch_sum((features > 0.5).astype(jnp.int32))
        return Point(nn.Dense(self.size, name="code")(features))


COUNTED = Autoencoder(MLPEncoder(), Counting(3), MLPDecoder())


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_what_is_counted_over_a_batch_is_counted_once_on_any_number_of_devices(tiny, strategy):
    counted = dataclasses.replace(tiny.experiment, model=COUNTED, epochs=3)
    one, several = (
        aejax.fit(counted, dataset=tiny.dataset, parallel=parallel)
        for parallel in (Parallel(devices=1), Parallel(strategy))
    )
    counts = [np.asarray(trained.state.collections["counters"]["latent"]["bright"]) for trained in (one, several)]
    np.testing.assert_array_equal(*counts)
    x = tiny.dataset.train.x.reshape(40, -1)
    np.testing.assert_array_equal(counts[0], 3 * (x / np.float32(255) > 0.5).sum(axis=0))  # 8 divides 40


HOOKED = {
    "jit": Parallel("jit"),
    "pmap": Parallel("pmap"),
    "divided layers": Parallel(tensor=2, wide="kernel$"),
}


@pytest.mark.parametrize("layout", HOOKED)
def test_a_start_a_projection_a_constraint_and_an_average_are_those_of_one_device(tiny, layout):
    experiment = dataclasses.replace(
        tiny.experiment,
        model=Autoencoder(MLPEncoder(), TopK(8, 3), UnitNormDecoder(start="mean", renormalise=True)),
        loss=Loss(Gaussian(), {"error": GECO(target=15.0, rate=1e-2)}),
        optimizer=Adam(1e-2, average=ExponentialAverage(0.8), rates={"slow": Rate("bias$", 0.5)}),
        epochs=3,
    )
    one = aejax.fit(experiment, dataset=tiny.dataset, parallel=Parallel(devices=1))
    several = aejax.fit(experiment, dataset=tiny.dataset, parallel=HOOKED[layout])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), several.state, one.state)
    np.testing.assert_allclose(losses(several), losses(one), rtol=1e-4)
    assert one.state.collections["loss"]["error"][0] != 1


@pytest.mark.parametrize("layout", HOOKED)
def test_a_model_is_primed_alike_on_any_number_of_devices(tiny, layout):
    model = Autoencoder(MLPEncoder(), Plain(4), MLPDecoder(start="median"))
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=Loss(Gaussian())).resolve(tiny.dataset)
    sample = priming_examples(experiment.model, tiny.dataset, Scale())
    biases = []
    for parallel in (Parallel(devices=1), HOOKED[layout]):
        program = Program.of(experiment, Scale(), parallel.resolve(experiment))
        biases.append(np.asarray(program.init((4, 4, 1), sample).params["decoder"]["out"]["bias"]))
    np.testing.assert_array_equal(*biases)


REFUSED = {
    "more than there are": (Parallel(devices=9), {}, "9 devices were asked for, but there are 8"),
    "uneven shares": (Parallel(devices=8), {"batch_size": 12}, "batch_size is 12, which 8 devices cannot share"),
    "uneven groups": (Parallel(devices=8, tensor=3), {}, "8 devices cannot hold wide layers in groups of 3"),
    "groups larger than all": (Parallel(tensor=9), {}, "tensor is 9, but there are 8 devices"),
    "paths that are no pattern": (Parallel(wide="("), {}, "which is no regular expression"),
    "a divided layer under pmap": (Parallel("pmap", tensor=2), {}, "it has no tensor parallelism: use jit"),
    "a term of the batch under pmap": (
        Parallel("pmap"),
        {"loss": Loss(terms={"sparse": KLSparsity()})},
        "KLSparsity is a statistic of the whole batch",
    ),
    "a latent of the batch under pmap": (
        Parallel("pmap"),
        {"model": Autoencoder(MLPEncoder(), WinnerTakeAll(8), MLPDecoder())},
        "WinnerTakeAll is a statistic of the whole batch",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_laid_out_is_refused(tiny, case):
    parallel, changed, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        parallel.resolve(dataclasses.replace(tiny.experiment, **changed))


def test_wide_layers_of_which_there_are_none_are_refused(tiny):
    with pytest.raises(InputError, match="no parameter has a path that matches 'nothing'"):
        begun(tiny, tiny.experiment, Parallel(tensor=2, wide="nothing"))


@pytest.mark.parametrize(("batch_size", "count"), [(8, 8), (12, 6), (500, 5), (7, 7), (1, 1)])
def test_by_default_as_many_devices_as_can_share_a_batch(tiny, batch_size, count):
    experiment = dataclasses.replace(tiny.experiment, batch_size=batch_size)
    assert Parallel().resolve(experiment).devices == count


@pytest.mark.parametrize("name", ["ae-photos", "dae-photos", "vae-photos", "vq-photos", "mae-photos"])
def test_entries_of_photos_train_on_many_devices_as_on_one(name):
    photos = np.random.default_rng(0).integers(0, 256, (48, 32, 32, 3), np.uint8)
    entry = small(name)
    entry = dataclasses.replace(entry, data=entry.data.named("arrays"), batch_size=8, epochs=2)
    one, jit, pmap = (
        losses(aejax.fit(entry, dataset=photos, parallel=layout))
        for layout in (Parallel(devices=1), Parallel("jit", 4), Parallel("pmap", 4))
    )
    np.testing.assert_allclose(jit, one, rtol=1e-3)  # Adam's first steps are of rounding where gradients are small
    np.testing.assert_allclose(pmap, one, rtol=1e-3 if name == "ae-photos" else 0.2)  # noise is each device's own


def test_muon_s_updates_are_those_of_one_device_also_where_layers_are_divided(tiny):
    muon = dataclasses.replace(tiny.experiment, optimizer=Muon(1e-2), epochs=3)
    one = losses(aejax.fit(muon, dataset=tiny.dataset, parallel=Parallel(devices=1)))
    for layout in (Parallel("jit", 4), Parallel("pmap", 4), Parallel("jit", 4, tensor=2)):
        several = losses(aejax.fit(muon, dataset=tiny.dataset, parallel=layout))
        np.testing.assert_allclose(several, one, rtol=1e-4, err_msg=str(layout))
