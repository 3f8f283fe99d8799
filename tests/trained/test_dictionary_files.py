"""Dictionaries written for other libraries and read back: the same codes, and no field guessed."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.runs import read_safetensors, write_arrays
from aejax.trained import FrozenDictionary, keep, read_dictionary, thaw, write_dictionary

RNG = np.random.default_rng(0)
D, N, OUT = 5, 9, 4
X = RNG.normal(size=(30, D)).astype(np.float32) * 3 + 1


def array(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def frozen(rng, out=D, **settings):
    rows = array(rng, N, out)
    rows = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    return FrozenDictionary(array(rng, D, N), array(rng, N), jnp.zeros(N), rows, array(rng, out), **settings)


ABOVE = jnp.abs(array(RNG, N))
VARIANTS = {
    "standard": (frozen(RNG), ("saelens",)),
    "jumprelu": (dataclasses.replace(frozen(RNG), threshold=ABOVE), ("saelens",)),
    "topk": (frozen(RNG, k=3), ("saelens", "sparsify")),
    "transcoder": (frozen(RNG, OUT, transcodes=True), ("saelens",)),
    "jumprelu_transcoder": (dataclasses.replace(frozen(RNG, OUT, transcodes=True), threshold=ABOVE), ("saelens",)),
    "skip_transcoder": (frozen(RNG, OUT, transcodes=True, skip=array(RNG, D, OUT)), ("saelens",)),
    "topk transcoder": (frozen(RNG, k=3, transcodes=True), ("sparsify",)),
    "topk skip transcoder": (frozen(RNG, k=3, transcodes=True, skip=array(RNG, D, D)), ("sparsify",)),
}


def same(one, other):
    code = one.encode(X)
    assert 0 < (np.asarray(code) != 0).mean() < 1
    np.testing.assert_allclose(other.encode(X), code, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.reconstruct(X), one.reconstruct(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_written_and_read_has_the_same_codes(name, tmp_path):
    one, formats = VARIANTS[name]
    for form in ("saelens", "sparsify"):
        if form not in formats:
            with pytest.raises(InputError, match="export to s"):
                write_dictionary(one, form, tmp_path / form)
            continue
        write_dictionary(one, form, tmp_path / form)
        again = read_dictionary(tmp_path / form)
        same(one, again)
        assert (again.k, again.transcodes) == (one.k, one.transcodes)
        if form == "saelens":
            assert json.loads((tmp_path / form / "cfg.json").read_text())["architecture"] == name


def edited(folder, **changes):
    settings = json.loads((folder / "cfg.json").read_text())
    settings = {name: value for name, value in (settings | changes).items() if value is not None}
    (folder / "cfg.json").write_text(json.dumps(settings))


def weights(folder):
    arrays = read_safetensors(folder / "sae_weights.safetensors")
    return {name: np.asarray(value, float) for name, value in arrays.items()}


def with_arrays(folder, file, **changes):
    arrays = read_safetensors(folder / file) | changes
    write_arrays(folder / file, {name: array for name, array in arrays.items() if array is not None})


def test_rows_of_any_length_and_a_subtracted_bias_are_as_the_library_takes_them(rng, tmp_path):
    """By the equations of SAELens' TopKSAE, written out."""
    write_dictionary(VARIANTS["topk"][0], "saelens", tmp_path)
    rows, encoder = np.asarray(array(rng, N, D)) * np.arange(1, N + 1)[:, None], np.asarray(array(rng, D, N))
    with_arrays(tmp_path, "sae_weights.safetensors", W_dec=rows.astype(np.float16), W_enc=encoder)
    edited(tmp_path, apply_b_dec_to_input=True, rescale_acts_by_decoder_norm=True)
    w = weights(tmp_path)
    z = ((X - w["b_dec"]) @ w["W_enc"] + w["b_enc"]) * np.linalg.norm(w["W_dec"], axis=1)
    f = np.maximum(z, 0) * (np.argsort(np.argsort(-z, axis=1), axis=1) < 3)
    made = read_dictionary(tmp_path)
    np.testing.assert_allclose(made.encode(X), f, rtol=1e-4, atol=1e-4)
    expected = (f / np.linalg.norm(w["W_dec"], axis=1)) @ w["W_dec"] + w["b_dec"]
    np.testing.assert_allclose(made.reconstruct(X), expected, rtol=1e-4, atol=1e-3)
    edited(tmp_path, rescale_acts_by_decoder_norm=False)  # another order of units, which rows of one length cannot have
    with pytest.raises(InputError, match="without the lengths of the decoder's rows"):
        read_dictionary(tmp_path)


def test_gates_become_thresholds(rng, tmp_path):
    write_dictionary(VARIANTS["standard"][0], "saelens", tmp_path)
    gates = {"b_gate": array(rng, N), "r_mag": array(rng, N), "b_mag": array(rng, N), "b_enc": None}
    with_arrays(tmp_path, "sae_weights.safetensors", **gates)
    edited(tmp_path, architecture="gated", apply_b_dec_to_input=True)
    w = weights(tmp_path)
    x = X - w["b_dec"]
    magnitude = np.maximum(x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"], 0)
    made = read_dictionary(tmp_path)
    np.testing.assert_allclose(made.encode(X), (x @ w["W_enc"] + w["b_gate"] > 0) * magnitude, rtol=1e-4, atol=1e-4)


SAE, SPARSIFY = "sae_weights.safetensors", "sae.safetensors"


@pytest.mark.parametrize(
    ("form", "changes", "arrays", "match"),
    [
        ("saelens", {"k": None}, {}, "lacks k: nothing is assumed"),
        ("saelens", {"rescale_acts_by_decoder_norm": None}, {}, "lacks rescale_acts_by_decoder_norm"),
        ("saelens", {"finetuning": 1}, {}, "has finetuning, whose meaning is not known"),
        ("saelens", {"architecture": "temporal"}, {}, "architecture='temporal': of SAELens'"),
        ("saelens", {"architecture": "standard"}, {}, "has k, rescale_acts"),
        ("saelens", {"k": 10}, {}, "k=10 of 9 units"),
        ("saelens", {"k": 3.0}, {}, "k=3.0: it must be int"),
        ("saelens", {"k": -1}, {}, "k=-1: it must be int, and not negative"),
        ("saelens", {"normalize_activations": "layer_norm"}, {}, "normalize_activations='layer_norm': fold it"),
        ("saelens", {"metadata": {"sae_lens_version": "5.9.1"}}, {}, r"SAELens 5\.9\.1"),
        ("saelens", {"d_sae": 8}, {}, "W_enc as float32 of shape"),
        ("saelens", {}, {"b_enc": None}, "lacks b_enc"),
        ("saelens", {}, {"threshold": np.zeros(N, np.float32)}, "has threshold"),
        ("saelens", {}, {"b_enc": np.zeros(N, np.int32)}, "b_enc as int32"),
        ("sparsify", {"k": None}, {}, "lacks k"),
        ("sparsify", {"activation": "groupmax"}, {}, "activation='groupmax'"),
        ("sparsify", {"transcode": None}, {}, "lacks transcode"),
        ("sparsify", {"skip_connection": True}, {}, "lacks W_skip"),
    ],
)
def test_what_a_folder_does_not_say_or_says_beside_is_refused(form, changes, arrays, match, tmp_path):
    write_dictionary(VARIANTS["topk"][0], form, tmp_path)
    edited(tmp_path, **changes)
    with_arrays(tmp_path, SAE if form == "saelens" else SPARSIFY, **arrays)
    with pytest.raises(InputError, match=match):
        read_dictionary(tmp_path)


def test_folders_that_are_damaged_or_of_no_format_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder of one dictionary"):
        read_dictionary(tmp_path)
    write_dictionary(VARIANTS["topk"][0], "sparsify", tmp_path)
    whole = (tmp_path / SPARSIFY).read_bytes()
    for damaged in (whole[:-4], b"\xff" * 8 + whole[8:], whole[:8] + b"x" + whole[9:], b""):
        (tmp_path / SPARSIFY).write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            read_dictionary(tmp_path)
    (tmp_path / SPARSIFY).write_bytes(whole)
    (tmp_path / "cfg.json").write_text("[1]")
    with pytest.raises(InputError, match="no JSON object"):
        read_dictionary(tmp_path)


@pytest.mark.parametrize("name", ["topk", "jumprelu", "skip_transcoder"])
def test_an_imported_dictionary_is_a_run_as_any_other(name, tmp_path):
    one = VARIANTS[name][0]
    run = keep(thaw(one, "mine"), tmp_path, "there")
    trained = aejax.load(run.path)
    np.testing.assert_allclose(trained.encode(X), one.encode(X), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(trained.reconstruct(X), one.reconstruct(X), rtol=1e-4, atol=1e-4)
    assert trained.run.provenance[0]["imported"] == "there"
    same(one, aejax.trained.freeze(trained))


def test_the_libraries_computed_the_same_codes():
    """As `scripts/peer_dictionaries.py` found, where they are installed."""
    content = json.loads((Path(__file__).parents[2] / "scripts" / "results" / "peer_dictionaries.json").read_text())
    variants = {"l1", "topk", "batchtopk", "matryoshka", "jumprelu", "gated"}
    assert {name.removeprefix("saelens-") for name in content["exported"]} == variants | {"sparsify-topk"}
    assert len(content["imported"]) == 8
    for row in (*content["exported"].values(), *content["imported"].values()):
        assert row["code"] <= 1e-5
        assert row["reconstruction"] <= 1e-4
        assert row["active_units"] > 1
