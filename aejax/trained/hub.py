"""Pushes saved models to the Hugging Face hub, and fetches them from there."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from aejax.core import InputError, first_line, import_extra
from aejax.trained import samplers
from aejax.trained.saving import ARRAYS, PICTURE, save

if TYPE_CHECKING:
    from aejax.trained.trained import Trained

HUB = "hf:"
"""What the name of a model on the Hugging Face hub begins with."""

_SETTINGS = "experiment.json"
_FILES = [ARRAYS, _SETTINGS, "result.json", "README.md", PICTURE, f"{samplers.FOLDER}/*"]
"""What is read of a repository, and what a push takes away where the new model has none of it."""


def push(trained: "Trained", repository: str, test: Any = None, private: bool = False) -> str:
    """Saves a trained model to a repository of the Hugging Face hub: see `Trained.push`."""
    hub = import_extra("huggingface_hub", "hub")
    name = hub_name(f"{HUB}{repository.removeprefix(HUB)}")[0]
    with tempfile.TemporaryDirectory() as made, _said(f"{HUB}{name}", "write to"):
        folder = save(trained, Path(made) / "model", test)
        hub.create_repo(name, private=private, exist_ok=True)
        about = {"commit_message": "Save the model", "delete_patterns": _FILES}
        return str(hub.upload_folder(repo_id=name, folder_path=str(folder), **about))


def fetched(name: str) -> Path:
    """Downloads a model from the Hugging Face hub, or finds it in the hub's cache, and returns its folder.

    `name` is hf:OWNER/NAME, or hf:OWNER/NAME@REVISION. Raises `InputError` where there is none, or none of aejax.
    """
    repository, revision = hub_name(name)
    hub = import_extra("huggingface_hub", "hub")
    with _said(name, "read"):
        folder = Path(hub.snapshot_download(repository, revision=revision, allow_patterns=_FILES))
    if not (folder / _SETTINGS).exists():
        raise InputError(f"{name} is no model of aejax, as it has no {_SETTINGS}: give one that Trained.push wrote")
    return folder


def hub_name(name: str) -> tuple[str, str | None]:
    """Returns the repository and the revision in hf:OWNER/NAME@REVISION. Raises `InputError` for any other form."""
    repository, _, revision = name.removeprefix(HUB).partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(f"{name} names no model of the hub: give hf:OWNER/NAME, or hf:OWNER/NAME@REVISION")
    return repository, revision or None


@contextlib.contextmanager
def _said(name: str, deed: str) -> Iterator[None]:
    """Says the errors of the hub, of its client and of the network in sentences of ours; ours and the disk's stay."""
    errors = import_extra("huggingface_hub.errors", "hub")
    try:
        yield
    except (errors.HTTPError, errors.HFValidationError, errors.LocalEntryNotFoundError, ConnectionError) as error:
        raise InputError(_sentence(errors, name, deed, error)) from error


def _sentence(errors: ModuleType, name: str, deed: str, error: Exception) -> str:
    """Returns what went wrong with a model of the hub, and what to do; `deed` is what was to be done with it."""
    if isinstance(error, errors.HFValidationError):
        return f"{name} names no model of the hub: {first_line(error)}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name}: the hub has the model but not this revision: give a branch, a tag or a commit of it"
    if isinstance(error, errors.GatedRepoError):
        return f"{name} is open to those alone whom its owner admits: ask on its page, and log in (hf auth login)"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no model {name}, or does not show it to you: correct the name, or log in (hf auth login)"
    if not isinstance(error, errors.HfHubHTTPError):
        return f"the hub cannot be reached for {name} ({first_line(error)}): look at the network, or at HF_ENDPOINT"
    said = error.server_message or first_line(error)
    if error.response.status_code in (401, 403):
        return f"the hub does not let you {deed} {name} ({said}): log in as who may (hf auth login)"
    return f"the hub cannot {deed} {name} ({said}): try again later"
