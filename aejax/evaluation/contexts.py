"""Reads the text that activations belong to: the number of each token, and the word of each number."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from aejax.core import InputError, first_line

AROUND = 12
"""Number of tokens that are shown on either side of one."""


@dataclass(frozen=True)
class Text:
    """Holds tokens in the order of the examples, of which each belongs to one."""

    ids: Int[np.ndarray, "contexts length"]
    """The number of each token; what stands in one row was given to the model together."""
    words: tuple[str, ...]
    """The word of each number, with a space before it where it begins a word."""

    @classmethod
    def read(cls, tokens: Path, vocabulary: Path, examples: int) -> "Text":
        """Reads a text.

        Args:
            tokens: a file of the tokens' numbers, `[n]`, or `[contexts, length]` where no context goes beyond a row.
            vocabulary: a file of words, one a line: the first is that of number 0. The marks of word pieces (##), of
                byte pairs (Ġ) and of SentencePiece (▁) become spaces between words.
            examples: the number of examples.

        Raises:
            InputError: where a file cannot be read, and where the tokens are not as many, or have no word.
        """
        try:
            ids = np.asarray(np.load(tokens, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{tokens} cannot be read ({first_line(error)}): give a .npy file of whole numbers"
            ) from None
        if ids.dtype.kind not in "iu" or ids.ndim not in (1, 2) or ids.size != examples:
            raise InputError(
                f"{tokens} holds {ids.dtype} of shape {ids.shape}, but there are {examples} examples: give the number "
                "of the token of each, as whole numbers [n] or [contexts, length], and by --data the file they lie in"
            )
        try:
            words = vocabulary.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{vocabulary} cannot be read ({first_line(error)}): give a text file with one word a line"
            ) from None
        words = words[:-1] if words[-1] == "" else words
        if ids.size and (ids.min() < 0 or ids.max() >= len(words)):
            bad = ids.min() if ids.min() < 0 else ids.max()
            raise InputError(
                f"{tokens} has a token of number {bad}, but {vocabulary} has {len(words)} lines: give the vocabulary "
                "that these tokens were made with"
            )
        return cls(ids.reshape(1, -1) if ids.ndim == 1 else ids, _spelled(words))

    def word(self, row: int) -> str:
        """Returns the word of the token of an example."""
        return self.words[self.ids.reshape(-1)[row]]

    def around(self, row: int) -> range:
        """Returns the numbers of the examples that are shown about one: within its context."""
        length = self.ids.shape[1]
        first = row // length * length
        return range(max(first, row - AROUND), min(first + length, row + AROUND + 1))


def _spelled(words: list[str]) -> tuple[str, ...]:
    if any(word.startswith("##") and len(word) > 2 for word in words):
        return tuple(word[2:] if word.startswith("##") and len(word) > 2 else f" {word}" for word in words)
    for mark in ("Ġ", "▁"):
        if any(word.startswith(mark) for word in words):
            return tuple(word.replace(mark, " ").replace("Ċ", "⏎") for word in words)
    return tuple(f" {word}" for word in words)
