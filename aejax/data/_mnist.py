"""Reads MNIST and the sets in its format: TFDS downloads and checks the files, and they are unpacked here.

TFDS itself would need TensorFlow to unpack them.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aejax.core import Examples, InputError, first_line
from aejax.data import cache
from aejax.data._idx import read_idx
from aejax.data._remote import quiet, reachable


def read(name: str, source: Path | None) -> dict[str, Examples]:
    """Returns the train and test parts of `mnist`, `fashion_mnist` or `kmnist`: uint8 `[n, 28, 28, 1]` and labels.

    The four .gz files come from the folder `source` if it is given, else from an earlier download, else from the
    network. Raises `InputError` where they are not available, or are not the official ones.
    """
    import tensorflow_datasets as tfds

    with quiet():
        infos = tfds.builder_cls(name).url_infos
        urls = {info.filename: url for url, info in infos.items()}
        _check_source(name, urls, infos, source)
        files = _download(name, urls, infos, source)
    return {part: _part(files, prefix) for part, prefix in (("train", "train"), ("test", "t10k"))}


def _check_source(name: str, urls: dict[str, str], infos: dict[str, Any], source: Path | None) -> None:
    """Raises `InputError` for a folder that lacks a file; without a folder, for a network that does not answer."""
    from tensorflow_datasets.core.download import resource

    if source is not None:
        lacking = [file for file in sorted(urls) if not (source / file).is_file()]
        if lacking:
            raise InputError(f"{source} lacks {', '.join(lacking)}: put the official files of {name} there")
        return
    downloads = cache.cache_folder() / "downloads"
    kept = [next(downloads.rglob(resource.get_dl_fname(url, infos[url].checksum)), None) for url in infos]
    url = next(iter(infos))
    if None in kept and not reachable(url):
        raise _missing(name, f"{urlsplit(url).hostname} does not answer")


def _download(name: str, urls: dict[str, str], infos: dict[str, Any], source: Path | None) -> dict[str, Path]:
    """Returns the paths of the files by name, through TFDS, which checks them against its recorded checksums."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    folder = cache.cache_folder() / "downloads"
    try:
        manager = tfds.download.DownloadManager(
            download_dir=folder, manual_dir=source, dataset_name=name, url_infos=infos
        )
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({first_line(error)}): set AEJAX_CACHE to a folder that can"
        ) from error
    files = {}
    for file, url in urls.items():
        try:
            files[file] = Path(manager.download(url))
        except NonMatchingChecksumError as error:
            raise InputError(
                f"{source / file if source else url} is not the official file of {name} (its SHA-256 is not "
                "the one that TFDS has on record): fetch it again"
            ) from error
        except Exception as error:  # requests, the system and TFDS each raise errors of their own here
            raise _missing(name, f"{url} could not be fetched") from error
    return files


def _part(files: dict[str, Path], prefix: str) -> Examples:
    """Reads one part from its file of images and its file of labels."""
    images = read_idx(files[f"{prefix}-images-idx3-ubyte.gz"], rank=3)
    labels = read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"], rank=1)
    return Examples(images[..., None], labels.astype("int32"))


def _missing(name: str, why: str) -> InputError:
    """Makes the error for files that are not available, which says how to provide them."""
    return InputError(
        f"{name} is not on this machine and {why}: run `aejax data prepare {name} --from DIR` with the "
        "folder that holds its four .gz files, or use --data mnist-5k, which needs no network"
    )
