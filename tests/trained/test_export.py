"""Exported programs give what aejax gives, for any number of examples, and run where there is no aejax."""

import dataclasses
import functools
import importlib.util
import json
import logging
import subprocess
import sys
import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.trained import Trained, card, export
from tests.helpers.small import DATASET, EXPERIMENT
from tests.helpers.untrained import untrained
from tests.helpers.zoo import KINDS, shape_of, small

pytest.importorskip("flatbuffers")

ALONE = """
import sys
import warnings
from types import SimpleNamespace
sys.modules["aejax"] = sys.modules["flax"] = None  # neither can be imported
import jax, numpy
x = numpy.load("x.npy")
for size in (1, len(x)):
    program = jax.export.deserialize(open("encoder.stablehlo", "rb").read())
    codes = numpy.asarray(program.call(x[:size]))
numpy.save("codes.npy", codes)
"""


def model(name: str) -> Trained:
    """A registered model with hidden layers of 12 units."""
    return untrained(small(name), shape_of(name))


@functools.cache
def trained() -> Trained:
    return aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), DATASET)


@pytest.mark.slow
def test_an_encoder_and_a_decoder_take_any_number_of_examples(tmp_path):
    paths = trained().export(tmp_path / "out")
    encoder, decoder = (jax.export.deserialize(path.read_bytes()) for path in paths[:2])
    for size in (1, 7):
        x = DATASET.train.x[:size]
        codes = np.asarray(encoder.call(x.astype(np.float32) / 255))
        np.testing.assert_allclose(codes, trained().encode(x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.asarray(decoder.call(codes)), trained().decode(codes), rtol=1e-5, atol=1e-6)
    about = json.loads(paths[2].read_text())
    assert about["encoder"]["inputs"] == {"x": {"dtype": "float32", "shape": ["n", 4, 4, 1]}}
    assert about["decoder"]["output"] == {"dtype": "float32", "shape": ["n", 4, 4, 1]}
    assert about["units"] == "values are grey levels in [0, 1]"


@pytest.mark.parametrize(("name", "grey"), [("ae-keras", True), ("dae-tabular", False)])
def test_card_and_program_say_the_same_of_units_where_no_record_says_them(name, grey):
    older = dataclasses.replace(model(name), data=None)
    assert ("grey levels" in export._units(older), "grey levels" in card._use(older)) == (grey, grey)


def test_a_program_that_gives_other_values_is_not_kept(tmp_path, monkeypatch):
    def wrong(call, inputs, output):
        return b"", lambda x: np.asarray(call(jnp.asarray(x))) * 1.001

    monkeypatch.setattr(export, "_stablehlo", wrong)
    with pytest.raises(InputError, match="the exported encoder is off by 1"):
        trained().export(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_script_without_aejax_runs_the_encoder(tmp_path):
    trained().export(tmp_path)
    x = DATASET.train.x.astype(np.float32) / 255
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), trained().encode(x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_registered_model_is_exported(name, tmp_path):
    assert [path.name for path in model(name).export(tmp_path)] == [
        *("encoder.stablehlo", "decoder.stablehlo", "export.json")
    ]


def test_programs_of_another_form_that_lie_in_the_folder_are_not_forgotten(tmp_path):
    (tmp_path / "export.json").write_text('{"format": "onnx"}')
    with pytest.raises(InputError, match="holds programs as onnx"):
        trained().export(tmp_path)
    (tmp_path / "export.json").write_text('{"format": "stablehlo"}')
    trained().export(tmp_path)


def test_what_the_converter_says_on_its_way_is_not_said_to_the_user(monkeypatch, caplog, recwarn):
    def convert(call, shapes, input_names, output_names):
        assert (input_names, output_names) == (["x"], ["z"])
        logging.getLogger("onnx_ir").warning("the value type is not known")
        warnings.warn("and more", stacklevel=1)
        return SimpleNamespace(SerializeToString=lambda: b"content")

    session = SimpleNamespace(run=lambda outputs, given: [(outputs, given)])
    fake = SimpleNamespace(to_onnx=convert, InferenceSession=lambda *_, **__: session)
    monkeypatch.setattr(export, "import_extra", lambda *_: fake)
    content, run = export._onnx(lambda x: x, {"x": np.zeros((3, 2), np.float32)}, "z")
    assert content == b"content"
    assert run(1) == (["z"], {"x": 1})
    assert not caplog.messages
    assert not recwarn.list
    logging.getLogger("onnx_ir").warning("later")  # what is said afterwards is heard
    assert caplog.messages == ["later"]


@pytest.mark.skipif(importlib.util.find_spec("jax2onnx") is not None, reason="jax2onnx is installed")
def test_without_jax2onnx_the_extra_is_named(tmp_path):
    with pytest.raises(InputError, match=r'pip install "aejax\[onnx\]"'):
        trained().export(tmp_path, "onnx")
