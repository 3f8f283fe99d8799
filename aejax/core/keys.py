"""Derives random keys from the seed, the stream and the step, so that no key is threaded through the program."""

from enum import IntEnum

import jax
from jaxtyping import Array, Int, Key


class Stream(IntEnum):
    """Numbers the uses of random keys, one stream for each.

    The numbers are part of every run's identity: new ones may be added, none may change.
    """

    PARAMS = 0
    ORDER = 1
    PREPROCESS = 2
    CORRUPTION = 3
    LATENT = 4
    DROPOUT = 5
    EVALUATION = 6
    CODES = 7
    VALUES = 8
    PRIME = 9


def derive(key: Key[Array, ""], stream: Stream, step: int | Int[Array, ""] = 0) -> Key[Array, ""]:
    """Derives the key of one use at one step; it does not depend on the keys that were derived before.

    Args:
        key: the key of the run.
        stream: the use.
        step: the step of training, or another count that tells apart the draws of one stream.
    """
    return jax.random.fold_in(jax.random.fold_in(key, stream), step)


def model_keys(key: Key[Array, ""], step: int | Int[Array, ""]) -> dict[str, Key[Array, ""]]:
    """Derives the keys that a model and a loss may ask for at a step, by the names of Linen's streams."""
    streams = (Stream.CORRUPTION, Stream.LATENT, Stream.DROPOUT)
    return {stream.name.lower(): derive(key, stream, step) for stream in streams}
