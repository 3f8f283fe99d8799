"""Models converted to ONNX give what aejax gives, and run where there are neither aejax nor JAX."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from aejax.core import InputError
from aejax.models import Plain
from tests.helpers.untrained import untrained
from tests.helpers.zoo import KINDS_BY_OPERATIONS, shape_of, small

pytest.importorskip("jax2onnx", reason="jax2onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # what others' packages warn of is theirs

ALONE = """
import sys
sys.modules["aejax"] = sys.modules["jax"] = None  # neither can be imported
import numpy, onnxruntime
encoder, decoder = (onnxruntime.InferenceSession(f"{name}.onnx") for name in ("encoder", "decoder"))
given = dict(numpy.load("given.npz"))
(z,) = encoder.run(["z"], given)
(x,) = decoder.run(["x"], {"z": z, "label": given["label"]})
numpy.savez("made.npz", z=z, x=x)
"""


def model(name):
    return untrained(small(name), shape_of(name))


@pytest.mark.parametrize("name", KINDS_BY_OPERATIONS)
def test_every_kind_of_registered_model_is_converted(name, tmp_path):
    paths = model(name).export(tmp_path, "onnx")  # which compares what the files give with what aejax does
    assert [path.name for path in paths] == ["encoder.onnx", "decoder.onnx", "export.json"]


def test_a_script_without_aejax_and_jax_runs_encoder_and_decoder_by_their_names(tmp_path):
    trained, rng = model("cvae-mnist"), np.random.default_rng(2)
    about = json.loads(trained.export(tmp_path, "onnx")[-1].read_text())
    assert about["encoder"]["inputs"] == {
        "x": {"dtype": "float32", "shape": ["n", 28, 28, 1]},
        "label": {"dtype": "int32", "shape": ["n"]},
    }
    x, label = np.rint(rng.random((7, 28, 28, 1), np.float32)), rng.integers(0, 10, 7, np.int32)  # binary data
    np.savez(tmp_path / "given.npz", x=x, label=label)
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    z = trained.encode(x, label)
    with np.load(tmp_path / "made.npz") as made:
        np.testing.assert_allclose(made["z"], z, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(made["x"], trained.decode(z, label), rtol=1e-4, atol=1e-5)


def test_a_model_that_jax2onnx_cannot_convert_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    def draws(self, features, train=False):
        return made(self, features + jax.random.normal(jax.random.key(0), features.shape), train)

    trained, made = model("ae-linear-32"), Plain.__call__
    monkeypatch.setattr(Plain, "__call__", draws)
    with pytest.raises(InputError, match=r"jax2onnx cannot convert this model \(.+\): use --format stablehlo"):
        trained.export(tmp_path, "onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_whose_codes_do_not_decode_is_refused(tmp_path):
    with pytest.raises(InputError, match="the output of mae-photos is not of its codes alone"):
        model("mae-photos").export(tmp_path, "onnx")
    assert not list(tmp_path.iterdir())
