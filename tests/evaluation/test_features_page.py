"""The page of features: what it says of units is what their codes are, and a browser shows and searches it."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import aejax
from aejax.core import Adam, Examples, InputError
from aejax.data import Data, Dataset, MeanLength
from aejax.evaluation import Text, features_page
from aejax.evaluation.activations import BINS, UnitUse
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Dictionary, ExactTopK

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def used(code, cuts):
    use = UnitUse.empty(code.shape[1], 4)
    for part in np.split(code, cuts):
        use.add(part, 0.25)
    return use


def test_what_is_kept_of_units_is_that_of_all_codes_at_once_however_they_are_cut(rng):
    code = rng.normal(size=(60, 5)) * [1, 8, 0.3, 100, 0] * (rng.random((60, 5)) < 0.6)
    code[7, 0] = code[31, 0] = -9.0  # a tie: the first comes first
    code[40:, 1] *= 50  # a histogram that grows
    one, other = used(code, []), used(code, [1, 2, 20, 45])
    for name in ("active", "total", "value", "row", "counts", "end"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), err_msg=name)
    for unit, column in enumerate(code.T):
        strength = np.abs(column)
        strong = strength[strength > 0.25]
        order = [row for row in np.argsort(-strength, kind="stable") if strength[row] > 0.25][:4]
        assert other.row[unit].tolist() == order + [-1] * (4 - len(order))
        assert other.value[unit].tolist() == [*column[order], *[0] * (4 - len(order))]
        assert other.active[unit] == len(strong)
        if len(strong):
            assert strong.max() < other.end[unit] <= 2 * strong.max()
            np.testing.assert_array_equal(other.counts[unit], np.histogram(strong, BINS, (0, other.end[unit]))[0])
    assert other.row[0, :2].tolist() == [7, 31]
    assert other.end[4] == 0


@pytest.fixture
def files(tmp_path):
    def written(ids, words):
        np.save(tmp_path / "ids.npy", np.asarray(ids))
        (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in words))
        return tmp_path / "ids.npy", tmp_path / "words.txt"

    return written


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["the", "##re", "##"], " there ##"),
        (["Ġthe", "re", "Ġ##"], " there ##"),
        (["▁the", "re", "▁##"], " there ##"),
        (["the", "re", "x"], " the re x"),
    ],
)
def test_words_are_joined_as_their_pieces_were_cut(words, said, files):
    text = Text.read(*files([0, 1, 2], words), 3)
    assert "".join(text.word(row) for row in range(3)) == said


def test_no_window_leaves_its_context(files):
    text = Text.read(*files(np.zeros((2, 20), int), ["a"]), 40)
    assert text.around(0) == range(13)
    assert text.around(19) == range(7, 20)
    assert text.around(20) == range(20, 33)
    assert Text.read(*files(np.zeros(40, int), ["a"]), 40).around(20) == range(8, 33)


@pytest.mark.parametrize(
    ("ids", "examples", "match"),
    [
        ([0, 1], 3, r"int64 of shape \(2,\), but there are 3 examples"),
        ([0.0, 1.0], 2, "float64 of shape"),
        ([0, 2], 2, "a token of number 2, but .* has 2 lines"),
        ([0, -1], 2, "a token of number -1"),
    ],
)
def test_tokens_that_are_none_of_the_examples_are_refused(ids, examples, match, files):
    with pytest.raises(InputError, match=match):
        Text.read(*files(ids, ["a", "b"]), examples)


@pytest.fixture(scope="module")
def dictionary():
    x = (np.random.default_rng(1).normal(size=(96, 6)) * 3 + 1).astype(np.float32)
    parts = [Examples(part) for part in (x[:64], x[64:72], x[72:])]
    experiment = Experiment(
        Dictionary(latent=ExactTopK(16, 3)), Loss(Gaussian()), Data("acts", preprocess=MeanLength()), Adam(1e-2)
    )
    experiment = dataclasses.replace(experiment, batch_size=16, epochs=2)
    return aejax.fit(experiment, dataset=Dataset("acts", *parts)), parts[2]


def held(page):
    return json.loads(re.search(r"id='content'>(.*?)</script>", page)[1])


def test_the_page_has_the_strongest_examples_in_their_text(dictionary, files):
    trained, part = dictionary
    words = ["</script>", *(f"w{number}" for number in range(23))]
    text = Text.read(*files(np.arange(24).reshape(2, 12), words), 24)
    page = features_page(trained, part, "test", text)
    content, code = held(page), trained.encode(part.x)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    np.testing.assert_allclose(content["units"]["share"], (code != 0).mean(axis=0), rtol=1e-3)
    alive = np.flatnonzero((code != 0).any(axis=0))
    assert [card["unit"] for card in content["cards"]] == alive.tolist()
    for card in content["cards"]:
        own = code[:, card["unit"]]
        top = card["examples"][0]
        assert top["number"] == own.argmax()
        assert content["units"]["example"][card["unit"]] == words[own.argmax()]
        assert top["tokens"][top["at"]][0].strip() == words[own.argmax()]
        first = own.argmax() // 12 * 12
        np.testing.assert_allclose([value for _, value in top["tokens"]], own[first : first + 12], rtol=1e-3)
        assert sum(card["counts"]) == (own != 0).sum()
    chosen = held(features_page(trained, part, "test", units=(5, 2)))["cards"]
    assert [card["unit"] for card in chosen] == [5, 2]
    assert len(held(features_page(trained, part, "test", most=2))["cards"]) == 2


def test_rows_of_tables_are_shown_by_the_columns_that_a_unit_moves_most(dictionary):
    trained, part = dictionary
    named = dataclasses.replace(trained.data, columns=tuple("abcdef"))
    card = held(features_page(dataclasses.replace(trained, data=named), part, "test", units=(3,)))["cards"][0]
    rows = np.asarray(trained.state.params["decoder"]["out"]["kernel"])[3]
    order = np.argsort(-np.abs(rows))
    assert card["columns"] == ["abcdef"[place] for place in order]
    assert [name for name, _ in card["weights"]] == card["columns"]
    for example in card["examples"]:
        np.testing.assert_allclose(example["cells"], part.x[example["number"]][order], rtol=1e-3)


def test_units_that_are_not_there_and_codes_that_are_not_sparse_are_refused(dictionary, tiny):
    trained, part = dictionary
    with pytest.raises(InputError, match=r"units \[16\] of 16"):
        features_page(trained, part, "test", units=(16,))
    with pytest.raises(InputError, match="are not sparse"):
        features_page(dataclasses.replace(trained, experiment=tiny.experiment), part, "test")


PROBE = """{
const cell = (row, place) => document.querySelectorAll("#units tbody tr")[row].cells[place].textContent;
const search = text => { const box = document.getElementById("search"); box.value = text;
  box.dispatchEvent(new Event("input")); };
const said = [];
document.querySelectorAll("#units th")[1].click();
said.push(cell(0, 1), cell(1, 1), document.querySelectorAll(".card").length);
said.push(document.querySelectorAll("SHOWN").length > 0, document.querySelectorAll("svg rect").length > 0);
search(cell(0, 0));
said.push(document.querySelectorAll("#units tbody tr").length, document.querySelectorAll(".card").length);
document.title = said.join();
}"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
@pytest.mark.parametrize("kind", ["text", "pictures"])
def test_a_browser_shows_sorts_and_searches_the_page(kind, dictionary, files, tmp_path):
    if kind == "text":
        trained, part = dictionary
        text = Text.read(*files(np.arange(24), [f"w{number}" for number in range(24)]), 24)
        page, selector = features_page(trained, part, "test", text), ".context .at"
    else:
        experiment = dataclasses.replace(aejax.get("sae-topk"), epochs=1)
        dataset = aejax.data.load(Data("mnist-5k"))
        trained = aejax.fit(experiment, dataset=dataset)
        part, text = dataset.test, None
        page, selector = features_page(trained, part, "test"), ".card .cut, .card .row img"
    share = (trained.encode(part.x) != 0).mean(axis=0)
    cards = len(held(page)["cards"])
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"<script>{PROBE.replace('SHOWN', selector)}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    first, second, shown, drawn, bars, found, left = re.search("<title>(.*?)</title>", dom)[1].split(",")
    np.testing.assert_allclose([float(first), float(second)], -np.sort(-share)[:2], rtol=1e-3)
    assert (int(shown), drawn, bars) == (cards, "true", "true")
    assert int(found) == 1
    assert int(left) <= 1
