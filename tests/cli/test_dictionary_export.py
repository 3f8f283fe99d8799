"""`aejax export` and `aejax import`, one after the other."""

import json

import numpy as np
import pytest

import aejax


@pytest.mark.slow
def test_a_dictionary_that_is_exported_and_imported_has_the_same_codes(command, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    small = ["--model.latent.size", "12", "--model.latent.k", "3", "--steps", "4", "--batch-size", "8", "--no-figures"]
    assert command("train", "dictionary-topk", "--data", tmp_path / "x.npy", *small, "--out", tmp_path / "runs")[0] == 0
    (run,) = (tmp_path / "runs" / "dictionary-topk").iterdir()
    for form in ("saelens", "sparsify"):
        folder = tmp_path / form
        code, out, _ = command("export", run, "--format", form, "--out", folder)
        assert (code, "12 units of 8 values" in out) == (0, True)
        assert command("export", run, "--format", form, "--out", folder)[0] == 2  # it is there already
        assert command("import", folder, "--out", tmp_path / "taken", "--name", form)[0] == 0
        (taken,) = (tmp_path / "taken" / form).iterdir()
        own = aejax.load(run)
        np.testing.assert_allclose(aejax.load(taken).reconstruct(x), own.reconstruct(x), rtol=1e-4, atol=1e-4)
        settings = json.loads((folder / "cfg.json").read_text())
        del settings["k"]
        (folder / "cfg.json").write_text(json.dumps(settings))
        code, _, error = command("import", folder, "--out", tmp_path / "taken")
        assert (code, "lacks k" in error) == (2, True)
