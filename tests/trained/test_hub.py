"""The real client of the Hugging Face hub pushes and fetches models, on a hub that this machine serves."""

import hashlib
import importlib.util
import socket
import sys

import numpy as np
import pytest

import aejax
from aejax import cli
from aejax.core import InputError
from tests.helpers.hub import OTHERS, OWN, Hub
from tests.helpers.untrained import untrained
from tests.helpers.zoo import shape_of, small

if importlib.util.find_spec("huggingface_hub") is None:  # imported only once the environment says which hub
    pytest.skip("huggingface_hub is not installed", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # what others' packages warn of is theirs

X = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def trained():
    return untrained(small("ae-linear-32"), shape_of("ae-linear-32"))


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Sets which hub the client speaks to and as whom, which it reads while it is imported."""

    def set_to(address, token=OWN, **more):
        for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
            monkeypatch.delitem(sys.modules, name)
        given = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": token}
        given |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "0"} | more
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    return set_to


@pytest.fixture
def hub(client):
    made = Hub()
    client(made.address)
    yield made
    made.stop()


def test_what_is_pushed_is_loaded_with_the_same_bits(hub, trained, tmp_path):
    first = trained.push("owner/digits", private=True)
    assert first.startswith(f"{hub.address}/owner/digits/commit/")
    assert hub.private == {"owner/digits"}
    saved = trained.save(tmp_path / "saved")
    pushed = hub.repositories["owner/digits"][-1]
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == pushed
    back = aejax.load("hf:owner/digits")
    np.testing.assert_array_equal(back.encode(X), trained.encode(X))
    np.testing.assert_array_equal(back.reconstruct(X), trained.reconstruct(X))


def test_a_model_pushed_again_replaces_the_first_which_its_revision_still_has(hub, trained):
    commit = trained.push("owner/digits").rsplit("/", 1)[1]
    other = untrained(small("ae-linear-32"), shape_of("ae-linear-32"), seed=1)
    hub.repositories["owner/digits"][-1] |= {"samplers/old.safetensors": b"of the first", "LICENSE": b"by hand"}
    other.push("owner/digits")
    assert (
        {"LICENSE"}
        < hub.repositories["owner/digits"][-1].keys()
        == {*("model.safetensors", "experiment.json", "README.md", "LICENSE")}
    )
    np.testing.assert_array_equal(aejax.load("hf:owner/digits").encode(X), other.encode(X))
    np.testing.assert_array_equal(aejax.load(f"hf:owner/digits@{commit}").encode(X), trained.encode(X))


def test_large_files_are_pushed_by_xet_where_the_hub_offers_it(hub, client, trained, tmp_path):
    client(hub.address, HF_HUB_DISABLE_XET="0")
    content = (trained.save(tmp_path / "saved") / "model.safetensors").read_bytes()
    hub.chunks, hub.large = tmp_path / "chunks", {hashlib.sha256(content).hexdigest(): content}
    trained.push("owner/digits")
    assert "GET /api/models/owner/digits/xet-write-token/main" in hub.asked
    assert not [asked for asked in hub.asked if "/lfs/" in asked]
    held = b"".join(path.read_bytes() for path in hub.chunks.rglob("*") if path.is_file())
    assert len(held) > 0.5 * len(content)  # compressed
    np.testing.assert_array_equal(aejax.load("hf:owner/digits").encode(X), trained.encode(X))


def test_what_was_downloaded_is_loaded_where_the_hub_cannot_be_reached(hub, client, trained):
    trained.push("owner/digits")
    aejax.load("hf:owner/digits")
    client(nowhere())
    np.testing.assert_array_equal(aejax.load("hf:owner/digits").encode(X), trained.encode(X))
    client(hub.address, HF_HUB_OFFLINE="1")
    np.testing.assert_array_equal(aejax.load("hf:owner/digits").encode(X), trained.encode(X))


def test_commands_take_a_model_of_the_hub(hub, trained, tmp_path, monkeypatch):
    trained.push("owner/digits")
    np.save(tmp_path / "x.npy", X)
    given = ["encode", "hf:owner/digits", "--data", f"{tmp_path}/x.npy", "--out", f"{tmp_path}/codes.npy"]
    monkeypatch.setattr(sys, "argv", ["aejax", *given])
    cli.main()
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), trained.encode(X))


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("letters", OWN, r"the hub has no model hf:owner/letters, or does not show it to you: .* \(hf auth login\)$"),
        ("private", OTHERS, "the hub has no model hf:owner/private, or does not show it to you"),
        ("private", "", "the hub has no model hf:owner/private, or does not show it to you"),
        ("gated", OTHERS, "hf:owner/gated is open to those alone whom its owner admits: ask on its page"),
        ("other@v9", OWN, "hf:owner/other@v9: the hub has the model but not this revision: give a branch"),
        ("other", OWN, r"hf:owner/other is no model of aejax, as it has no experiment\.json"),
        ("empty", OWN, r"hf:owner/empty is no model of aejax, as it has no experiment\.json"),
        ("-a", OWN, "hf:owner/-a names no model of the hub: Repo id must use alphanumeric chars"),
    ],
)
def test_what_cannot_be_loaded_is_said(name, token, said, hub, client):
    client(hub.address, token)
    files = {"README.md": b"another library's", "weights.bin": b"..."}
    hub.repositories = {f"owner/{name}": [{}, files] for name in ("private", "gated", "other")} | {"owner/empty": [{}]}
    hub.private, hub.gated = {"owner/private"}, {"owner/gated"}
    with pytest.raises(InputError, match=said):
        aejax.load(f"hf:owner/{name}")


def test_who_may_not_write_is_told(hub, client, trained):
    with pytest.raises(InputError, match="the hub does not let you write to hf:others/digits"):
        trained.push("others/digits")
    client(hub.address, token="")
    with pytest.raises(
        InputError,
        match=r"not let you write to hf:owner/digits \(Invalid username or password\.\): log in as who may \(hf auth",
    ):
        trained.push("owner/digits")
    assert not hub.repositories
    with pytest.raises(InputError, match="hf:owner/-a names no model of the hub"):
        trained.push("owner/-a")


def test_a_hub_that_is_not_there_or_fails_is_said(hub, client, trained):
    hub.broken = True
    with pytest.raises(
        InputError, match=r"the hub cannot write to hf:owner/digits \(Internal error\): try again later"
    ):
        trained.push("owner/digits")
    client(nowhere())
    for act in (lambda: aejax.load("hf:owner/digits"), lambda: trained.push("owner/digits")):
        with pytest.raises(InputError, match=r"the hub cannot be reached for hf:owner/digits \(.*Connection refused\)"):
            act()


def nowhere():
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
