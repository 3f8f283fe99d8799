import functools
import gzip
import http.server
import threading

import numpy as np
import pytest

from aejax.core import InputError
from aejax.data import Data, _mnist, _remote, cache, load, prepare
from aejax.data._idx import read_idx


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(small_idx, monkeypatch):
    """A server of the small files on this machine, which the look at the network may reach."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_mnist, "reachable", _remote.reachable)
    handler = functools.partial(Quiet, directory=str(small_idx))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def base(server) -> str:
    return f"http://127.0.0.1:{server.server_port}/"


def check(dataset, small_idx) -> None:
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((12, 28, 28, 1), (4, 28, 28, 1))
    images = read_idx(small_idx / "t10k-images-idx3-ubyte.gz", rank=3)
    labels = read_idx(small_idx / "train-labels-idx1-ubyte.gz", rank=1)
    np.testing.assert_array_equal(dataset.test.x[..., 0], images)
    np.testing.assert_array_equal(dataset.train.label, labels)
    assert dataset.train.label.dtype == np.int32


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_files_in_a_folder_are_prepared_once_and_then_not_needed(name, small_idx, registered, tmp_path, capfd):
    registered()
    assert prepare(name, small_idx) == cache.path(name)
    moved = small_idx.rename(tmp_path / "elsewhere")
    check(load(Data(name, validation=0.0)), moved)
    assert capfd.readouterr() == ("", "")


def test_a_changed_file_is_refused_by_its_checksum(small_idx, registered):
    registered()
    file = small_idx / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1] + b"\x09"))
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte.gz is not the official file of kmnist"):
        prepare("kmnist", small_idx)
    assert cache.read("kmnist") is None


def test_a_folder_that_lacks_a_file_names_it(small_idx, registered):
    registered()
    (small_idx / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"lacks t10k-images-idx3-ubyte.gz: put the official files of mnist"):
        prepare("mnist", small_idx)


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        prepare("mnist", tmp_path / "nowhere")


def test_without_network_or_files_one_sentence_says_what_to_do():
    with pytest.raises(InputError) as caught:
        load(Data("mnist"))
    message = str(caught.value)
    assert "storage.googleapis.com does not answer" in message
    assert "`aejax data prepare mnist --from DIR`" in message
    assert "--data mnist-5k" in message
    assert "\n" not in message


def test_a_damaged_copy_without_a_source_is_logged_and_then_missing(small_idx, registered, caplog):
    registered()
    file = prepare("mnist", small_idx)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="mnist is not on this machine"):
        load(Data("mnist"))
    assert "cannot be used and is made again" in caplog.text


def test_a_download_is_kept_and_makes_a_damaged_copy_again(small_idx, registered, server, monkeypatch):
    registered(base(server))
    check(load(Data("mnist", validation=0.0)), small_idx)
    cache.path("mnist").write_bytes(b"PK damaged")
    monkeypatch.setattr(_mnist, "reachable", lambda url: pytest.fail("the network is not needed"))
    check(load(Data("mnist", validation=0.0)), small_idx)
    assert cache.read("mnist") is not None


def test_a_server_without_the_file_is_an_input_error(small_idx, registered, server):
    registered(base(server))
    (small_idx / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz could not be fetched: run `aejax data prep"):
        load(Data("mnist"))


def test_a_server_with_another_file_is_refused(small_idx, registered, server):
    registered(base(server))
    (small_idx / "t10k-labels-idx1-ubyte.gz").write_bytes(b"<html>log in first</html>")
    with pytest.raises(InputError, match=r"http.*t10k-labels-idx1-ubyte.gz is not the official file"):
        load(Data("mnist"))


def test_a_cache_that_cannot_be_written_is_an_input_error(small_idx, registered, tmp_path, monkeypatch):
    registered()
    (tmp_path / "file").touch()
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match="set AEJAX_CACHE to"):
        prepare("mnist", small_idx)


def test_the_official_files(official):
    prepare("mnist", official)
    whole = load(Data("mnist", validation=0.0))
    assert (len(whole.train), len(whole.validation), len(whole.test)) == (60_000, 0, 10_000)
    assert whole.shape == (28, 28, 1)
    assert whole.train.x.dtype == np.uint8
    assert whole.train.label[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert whole.test.label[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert whole.train.x.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    cut = load(Data("mnist"))
    assert (len(cut.train), len(cut.validation), len(cut.test)) == (54_000, 6_000, 10_000)
