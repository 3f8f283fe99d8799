"""Provides what every use of TFDS needs: a quick test of the network, and silence."""

import contextlib
import io
import logging
import threading
from collections.abc import Iterator


def reachable(url: str, seconds: float = 8) -> bool:
    """Returns whether a server answers at that address within so many seconds, through a proxy where one is set.

    TFDS itself retries for minutes and sets no time-out.
    """
    import requests  # what TFDS downloads with: the same proxies and certificates apply

    answered: list[bool] = []

    def ask() -> None:
        with (
            contextlib.suppress(requests.RequestException),
            requests.get(url, stream=True, timeout=4) as answer,
        ):
            answered.append(answer.status_code < 500)

    thread = threading.Thread(target=ask, daemon=True)  # looking up a host's name has no time-out of its own
    thread.start()
    thread.join(seconds)
    return answered == [True]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what TFDS prints, draws and logs off the terminal."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        absl.setLevel(level)
