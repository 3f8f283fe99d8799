import os
import socket
import threading

import pytest

from aejax.devices import _watch


@pytest.fixture
def peer(monkeypatch):
    """The other end of the one connection, and an event that says that this process would have ended, with 1."""
    here, there = socket.socketpair()
    ended = threading.Event()
    monkeypatch.setattr(_watch, "_connected", lambda stack: [stack.enter_context(here)])
    monkeypatch.setattr(os, "_exit", lambda code: ended.set() if code == 1 else None)
    monkeypatch.setattr(_watch, "BEAT", 0.02)
    with there:
        yield there, ended


def test_one_that_hangs_is_lost_within_its_time_and_one_that_beats_is_not(peer, capsys):
    there, ended = peer
    with _watch.watching(0.5, lambda: "lost"):
        for _ in range(20):
            there.sendall(b".")
            assert not ended.wait(0.05)
        assert ended.wait(5)
    assert capsys.readouterr().err == "aejax: lost\n"
    assert there.recv(10)  # so the other end has heard of this one


def test_one_that_ends_is_lost_at_once(peer, capsys):
    there, ended = peer
    with _watch.watching(1000, lambda: "lost"):
        assert not ended.wait(0.1)
        there.close()
        assert ended.wait(5)


def test_nothing_is_said_of_one_that_ends_when_all_is_over(peer, capsys):
    there, ended = peer
    with _watch.watching(1000, lambda: "lost") as over:
        over()
        there.close()
        assert not ended.wait(0.3)
    assert capsys.readouterr().err == ""
