"""What every use of TFDS needs: a quick look at the network first, and quiet."""

import contextlib
import io
import logging
import threading
from collections.abc import Iterator


def reachable(url: str, seconds: float = 8) -> bool:
    """Whether a server answers at that address (through a proxy where one is set) within that many seconds.

    TFDS itself retries for minutes, and without a time-out.
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
