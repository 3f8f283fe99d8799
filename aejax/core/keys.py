"""Random keys: derived from the seed, the stream and the step, never threaded through."""

from enum import IntEnum

import jax
from jaxtyping import Array, Int, Key


class Stream(IntEnum):
    """One stream a use. The numbers are part of every run's identity: add new ones, change none."""

    PARAMS = 0
    ORDER = 1
    PREPROCESS = 2
    CORRUPTION = 3
    LATENT = 4
    DROPOUT = 5
    EVALUATION = 6
    CODES = 7
    VALUES = 8


def derive(key: Key[Array, ""], stream: Stream, step: int | Int[Array, ""] = 0) -> Key[Array, ""]:
    """The key of one use at one step: the same whatever came before it."""
    return jax.random.fold_in(jax.random.fold_in(key, stream), step)


def model_keys(key: Key[Array, ""], step: int | Int[Array, ""]) -> dict[str, Key[Array, ""]]:
    """The keys that a model and a loss may ask for at a step, by Linen's stream names."""
    streams = (Stream.CORRUPTION, Stream.LATENT, Stream.DROPOUT)
    return {stream.name.lower(): derive(key, stream, step) for stream in streams}
