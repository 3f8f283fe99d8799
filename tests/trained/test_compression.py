import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import aejax
from aejax.cli import _entry
from aejax.core import InputError
from aejax.data import Data, Standardise
from aejax.losses import KL, Commitment, Gaussian, Loss, Reconstruction, SigmoidGaussian
from aejax.losses.quantised import Codebook
from aejax.models import ConditionalAutoencoder, FiniteScalarQuantised, GaussianLatent, MLPDecoder, VectorQuantised
from aejax.trained import Quantizer, compress, decompress
from aejax.trained.codefile import unpack
from aejax.trained.compression import fingerprint
from tests.helpers.small import DATASET, EXPERIMENT

CODES = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.floats(-1e3, 1e3, width=32))
FIELDS = (("x", "x"), ("y", "label"))


@pytest.fixture(scope="module")
def trained():
    return aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET)


# The quantiser


@settings(deadline=None)
@given(CODES, st.integers(1, 8))
def test_what_is_inside_the_range_moves_by_half_a_level_at_most(codes, bits):
    quantizer = Quantizer(codes.min(axis=0), codes.max(axis=0), bits)
    levels = quantizer.quantise(codes)
    step = (quantizer.high - quantizer.low) / 2**bits
    assert levels.dtype == np.uint8
    assert levels.max() < 2**bits
    assert (np.abs(quantizer.restore(levels) - codes) <= step / 2 + 1e-3).all()


@settings(deadline=None)
@given(CODES, st.integers(1, 8))
def test_the_fitted_range_is_no_worse_than_the_codes_own(codes, bits):
    own, fitted = Quantizer(codes.min(axis=0), codes.max(axis=0), bits), Quantizer.fit(codes, bits)
    error = [np.square(q.restore(q.quantise(codes)) - codes).mean() for q in (fitted, own)]
    assert error[0] <= error[1] * (1 + 1e-3) + 1e-6


def test_more_bits_lose_less_and_a_constant_dimension_loses_nothing(rng):
    codes = rng.normal(size=(2000, 2)).astype(np.float32) * np.float32([1, 0]) + np.float32([0, 7])
    restored = [(q := Quantizer.fit(codes, bits)).restore(q.quantise(codes)) for bits in range(1, 9)]
    error = [np.square(values - codes).mean(axis=0) for values in restored]
    assert all(more[0] < less[0] for less, more in itertools.pairwise(error))
    assert np.max(error, axis=0)[1] == 0
    # The best two levels for a standard normal are at +-0.798, and lose 0.3634 (Max 1960, table I).
    assert error[0][0] == pytest.approx(0.3634, abs=0.03)


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(InputError, match=f"bits is {bits}: give a whole number from 1 to 8"):
        Quantizer.fit(np.zeros((2, 2), np.float32), bits)


# With a model


def test_what_comes_back_is_what_the_quantised_codes_decode_to(trained):
    quantizer = Quantizer.fit(trained.encode(DATASET.train.x), 5)
    back = decompress(trained, compress(trained, DATASET.test.x, quantizer))
    codes = quantizer.restore(quantizer.quantise(trained.encode(DATASET.test.x)))
    np.testing.assert_array_equal(back, trained.decode(codes))


LATENTS = {
    "average": VectorQuantised(4, 2, 300),
    "gradient": VectorQuantised(4, 2, 300, "gradient"),
    "residual": VectorQuantised(2, 2, 300, depth=2),
    "finite": FiniteScalarQuantised(4, (12, 25)),
}


def discrete(kind):
    terms = {"commitment": Commitment(), "codebook": Codebook()}
    needed = {"gradient": ("commitment", "codebook"), "finite": ()}.get(kind, ("commitment",))
    terms = {"reconstruction": Reconstruction()} | {name: terms[name] for name in needed}
    model = EXPERIMENT.model.clone(latent=LATENTS[kind])
    return dataclasses.replace(EXPERIMENT, model=model, loss=Loss(Gaussian(), terms), epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LATENTS)
def test_examples_of_indices_come_back_as_they_are_reconstructed(kind):
    trained = aejax.fit(discrete(kind), dataset=DATASET)
    x = np.tile(DATASET.test.x, (30, 1, 1, 1))
    content = compress(trained, x, None)
    np.testing.assert_array_equal(decompress(trained, content), trained.reconstruct(x))
    assert 8 * len(content) < len(x) * 4 * 9 + 8 * 300  # nine bits tell one of 300; the header and tables take the rest


@pytest.fixture(scope="module")
def conditional():
    model = ConditionalAutoencoder(EXPERIMENT.model.encoder, GaussianLatent(2), EXPERIMENT.model.decoder, classes=3)
    loss = dataclasses.replace(EXPERIMENT.loss, terms={"reconstruction": Reconstruction(), "kl": KL()})
    return dataclasses.replace(EXPERIMENT, model=model, loss=loss, epochs=1)


@pytest.mark.slow
def test_a_conditional_model_s_file_keeps_the_labels(conditional):
    trained, test = aejax.fit(conditional, dataset=DATASET), DATASET.test
    quantizer = Quantizer.fit(trained.encode(DATASET.train.x, DATASET.train.label), 8)
    codes = quantizer.restore(quantizer.quantise(trained.encode(test.x, test.label)))
    back = decompress(trained, compress(trained, test.x, quantizer, test.label))
    np.testing.assert_array_equal(back, trained.decode(codes, test.label))
    assert not np.array_equal(back, trained.decode(codes, (test.label + 1) % 3))
    with pytest.raises(InputError, match="give each example's label"):
        compress(trained, test.x, quantizer)


def test_the_fingerprint_is_all_that_decoding_depends_on(trained):
    state, preprocess = trained.state, Standardise().fit(DATASET.train.x)
    moved = jax.tree.map(lambda leaf: leaf + 1e-6, state.params["decoder"])
    model = trained.experiment.model.clone(decoder=MLPDecoder(bias=1.0))
    others = [
        dataclasses.replace(trained, state=dataclasses.replace(state, params=state.params | {"decoder": moved})),
        dataclasses.replace(trained, state=dataclasses.replace(state, collections={"codebook": jnp.ones(3)})),
        dataclasses.replace(trained, preprocess=preprocess),
        dataclasses.replace(trained, preprocess=dataclasses.replace(preprocess, std=2 * preprocess.std)),
        dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, model=model)),
        dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, loss=Loss(SigmoidGaussian()))),
    ]
    assert fingerprint(trained) == fingerprint(dataclasses.replace(trained))
    assert len({fingerprint(each) for each in (trained, *others)}) == 7


@pytest.fixture
def command(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["aejax", *map(str, arguments)])
        try:
            _entry.main()
        except SystemExit as exit_:
            return exit_.code
        return 0

    return run


@pytest.fixture
def data(tmp_path):
    arrays = {f"{key}_{name}": getattr(DATASET.part(name), part) for name in ("train", "test") for key, part in FIELDS}
    np.savez(tmp_path / "data.npz", **arrays)
    return Data(str(tmp_path / "data.npz"), validation=0.0)


def test_the_commands_round_trip_and_refuse_another_run(tmp_path, command, data, capsys):
    experiment = dataclasses.replace(EXPERIMENT, data=data, epochs=1)
    run, other = (
        aejax.fit(dataclasses.replace(experiment, seed=seed), folder=tmp_path, figures=False).run.path
        for seed in range(2)
    )
    file, out = tmp_path / "x.aej", tmp_path / "out.npy"
    assert command("compress", run, "--data", data.name, "--bits", "3", "--out", file) == 0
    assert f"{file.stat().st_size} bytes for 10 examples" in capsys.readouterr().out
    assert command("decompress", run, file, "--out", out) == 0
    loaded = aejax.load(run)
    quantizer = Quantizer.fit(loaded.encode(DATASET.train.x), 3)
    codes = quantizer.restore(quantizer.quantise(loaded.encode(DATASET.test.x)))
    np.testing.assert_array_equal(np.load(out), loaded.decode(codes))
    capsys.readouterr()
    for arguments in (
        ("decompress", other, file, "--out", out),
        ("decompress", run, tmp_path / "none.aej", "--out", out),
        ("compress", run, "--data", data.name, "--bits", "9", "--out", file),
    ):
        assert command(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_the_commands_take_a_codebook_and_labels(tmp_path, command, data, conditional, capsys, caplog):
    vq = dataclasses.replace(discrete("average"), data=data)
    run, labelled = (
        aejax.fit(experiment, folder=tmp_path, figures=False).run.path
        for experiment in (vq, dataclasses.replace(conditional, data=data))
    )
    file, out = tmp_path / "x.aej", tmp_path / "out.npy"
    assert command("compress", run, "--data", data.name, "--out", file) == 0
    assert command("decompress", run, file, "--out", out) == 0
    np.testing.assert_array_equal(np.load(out), aejax.load(run).reconstruct(DATASET.test.x))
    assert command("compress", run, "--data", data.name, "--bits", "4", "--out", file) == 2
    assert "are indices, which take no --bits" in capsys.readouterr().err
    assert command("sample", run, "--n", 3, "--out", out) == 0
    assert "drawn independently" in caplog.text
    caplog.clear()
    assert command("sampler", run, "--hidden", 8, "--epochs", 1) == 0
    assert "bits for the indices of a test example" in capsys.readouterr().out
    assert command("compress", run, "--data", data.name, "--out", file) == 0
    assert command("decompress", run, file, "--out", out) == 0
    np.testing.assert_array_equal(np.load(out), aejax.load(run).reconstruct(DATASET.test.x))
    assert command("sample", run, "--n", 3, "--out", out) == 0
    assert "drawn independently" not in caplog.text
    assert command("sampler", labelled, "--kind", "autoregressive") == 2
    np.save(tmp_path / "plain.npy", DATASET.test.x)
    for arguments, label in (((data.name,), DATASET.test.label), ((tmp_path / "plain.npy", "--label", 2), [2] * 10)):
        assert command("compress", labelled, "--bits", 8, "--out", file, "--data", *arguments) == 0
        np.testing.assert_array_equal(unpack(file.read_bytes(), fingerprint(aejax.load(labelled))).label, label)
        assert command("decompress", labelled, file, "--out", out) == 0
    assert command("compress", labelled, "--data", tmp_path / "plain.npy", "--out", file) == 2
