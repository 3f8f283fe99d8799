"""The figure of a masked autoencoder shows what its encoder sees, and what is predicted where it sees nothing."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.data import Dataset, Standardise
from aejax.evaluation import _generation, _masked
from aejax.models import Identity, MaskedAutoencoder, PatchDecoder, PatchEncoder, to_patches
from tests.helpers.untrained import untrained

SHAPE = (8, 8, 3)
MODEL = MaskedAutoencoder(PatchEncoder(2, 8, 1, 2), Identity(8), PatchDecoder(2, 8, 1, 2))


def part(n, seed=0):
    rng = np.random.default_rng(seed)
    return Examples(rng.integers(0, 256, (n, *SHAPE), np.uint8), np.arange(n, dtype=np.int32) % 3)


@pytest.fixture(scope="module")
def trained():
    base = aejax.get("mae-photos")
    data = dataclasses.replace(base.data, preprocess=Standardise())
    return untrained(dataclasses.replace(base, model=MODEL, data=data), SHAPE, DATASET)


DATASET = Dataset("small", part(20), part(5, 1), part(12, 2), classes=("a", "b", "c"))


def test_three_quarters_are_hidden_and_predicted_in_the_data_s_units(trained):
    few = DATASET.test
    masked, made = _masked.filled(trained, few)
    given = trained.target(few)
    assert np.isnan(masked).mean() == 0.75
    np.testing.assert_array_equal(made[~np.isnan(masked)], given[~np.isnan(masked)])
    assert np.isfinite(made).all()
    hidden = np.isnan(to_patches(jnp.asarray(masked), 2)).reshape(12, 16, -1)
    assert (hidden.all(axis=2) | ~hidden.any(axis=2)).all()
    assert (hidden == hidden[:1]).all()
    changed = np.where(np.isnan(masked), 1 - given, given).astype(np.float32)
    np.testing.assert_allclose(_masked.filled(trained, Examples(changed))[1], made, rtol=1e-4, atol=1e-5)
    spread = made[np.isnan(masked)]
    assert 0.1 < spread.std() < 1  # standardised output, of about one, in the units of grey levels


def test_the_figure_has_a_row_for_each(trained):
    (figure,) = _masked.draw(trained, DATASET).values()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "seen", "filled in"]
    assert "the encoder sees 25%" in figure.texts[0].get_text() + str(figure.get_suptitle())


def test_codes_that_do_not_decode_by_themselves_are_not_drawn(trained):
    assert not _generation.suits(trained.experiment)
    assert _generation.why_not(trained) == ""
    with pytest.raises(InputError, match="is not of its codes alone, but of the example itself too"):
        trained.decode(trained.encode(DATASET.test.x))
    assert trained.reconstruct(DATASET.test.x).shape == (12, *SHAPE)
