"""`aejax features` on runs from disk."""

import numpy as np
import pytest

import aejax


@pytest.mark.slow
def test_a_page_is_written_of_a_run_and_its_text(command, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    small = ["--model.latent.size", "12", "--model.latent.k", "3", "--steps", "4", "--batch-size", "8", "--no-figures"]
    assert command("train", "dictionary-topk", "--data", tmp_path / "x.npy", *small, "--out", tmp_path / "runs")[0] == 0
    (run,) = (tmp_path / "runs" / "dictionary-topk").iterdir()
    assert aejax.load(run).preprocess.scale > 0
    np.save(tmp_path / "ids.npy", np.arange(60) % 3)
    (tmp_path / "words.txt").write_text("a\nb\nc\n")
    given = [run, "--out", tmp_path / "page.html", "--data", tmp_path / "x.npy", "--tokens", tmp_path / "ids.npy"]
    assert command("features", *given, "--vocabulary", tmp_path / "words.txt")[0] == 0
    assert "60 examples (all of x.npy)" in (tmp_path / "page.html").read_text()
    for wrong, said in ((given, "give both, or neither"), ([run, "--out", tmp_path / "page.txt"], ".html")):
        code, _, error = command("features", *wrong)
        assert code == 2
        assert said in error
