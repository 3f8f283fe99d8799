import logging
import threading
import time
from types import SimpleNamespace

import pytest
import requests
import tensorflow_datasets as tfds

from aejax.data._remote import quiet, reachable


class Answer(SimpleNamespace):
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, True), (502, False)])
def test_a_server_is_there_unless_a_gateway_says_otherwise(monkeypatch, status, there):
    monkeypatch.setattr(requests, "get", lambda url, **kwargs: Answer(status_code=status))
    assert reachable("http://files.invalid/a") is there


def test_a_refused_connection_is_no_server(monkeypatch):
    def refuse(url, **kwargs):
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests, "get", refuse)
    assert not reachable("http://files.invalid/a")


def test_a_network_that_swallows_everything_costs_no_more_than_the_limit(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(requests, "get", lambda url, **kwargs: release.wait(20) and Answer(status_code=200))
    start = time.monotonic()
    assert not reachable("http://files.invalid/a", seconds=0.2)
    assert time.monotonic() - start < 2
    release.set()


def test_quiet_swallows_prints_and_logs_and_restores_the_level(capsys, caplog):
    absl = logging.getLogger("absl")
    before = absl.level
    with quiet():
        print("Downloading and preparing")
        absl.warning("OpenCV is not installed")
        for _ in tfds.core.utils.tqdm_utils.tqdm(range(3)):
            pass
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert absl.level == before
