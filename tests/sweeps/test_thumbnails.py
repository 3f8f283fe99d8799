import dataclasses

import numpy as np

import aejax
from aejax.core import Examples, spread
from aejax.data import scaled
from aejax.losses import KL, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, MLPDecoder, MLPEncoder
from aejax.sweeps import _thumbnails
from aejax.trained import Trained


def test_a_strip_has_the_examples_and_what_the_model_makes_of_them(tiny):
    model = ConditionalAutoencoder(MLPEncoder((4,)), GaussianLatent(2), MLPDecoder(), classes=3)
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    trained = aejax.fit(dataclasses.replace(tiny.experiment, model=model, loss=loss, epochs=1), dataset=tiny.dataset)
    test = tiny.dataset.test
    rows = _thumbnails.read_thumbnails(_thumbnails.thumbnails(trained, test))
    assert set(rows) == {"original", "reconstruction", "sample"}
    assert {row.shape for row in rows.values()} == {(_thumbnails.COUNT, 4, 4, 1)}
    np.testing.assert_allclose(rows["original"], scaled(test.at_most(8).x), atol=1e-6)
    np.testing.assert_allclose(
        rows["reconstruction"], trained.reconstruct(test.x, test.label)[spread(10, 8)], atol=0.5 / 255
    )


def test_vectors_have_no_strip(tiny):
    vectors = Trained(tiny.experiment, (6,), tiny.experiment.data.preprocess, state=None)
    assert _thumbnails.thumbnails(vectors, Examples(np.zeros((3, 6), np.uint8))) is None
