"""Compression: codes of a few bits a dimension, or a codebook's indices, in one small file."""

import hashlib
import json

import jax
import numpy as np
from jaxtyping import Float, Num

from aejax.experiment import to_json
from aejax.metrics import code_indices
from aejax.models import ConditionalAutoencoder, VectorQuantised
from aejax.trained.codefile import Content, pack, unpack
from aejax.trained.quantise import Quantizer
from aejax.trained.trained import Labels, Trained


def compress(
    trained: Trained, x: Num[np.ndarray, "n *shape"], quantizer: Quantizer | None, label: Labels | None = None
) -> bytes:
    """The file's content: the indices of the examples' codes in the model's codebook, or their quantised codes.

    `quantizer` is fitted on codes of the training part; None for a codebook. A conditional model needs
    the labels, and the file keeps them.
    """
    model = trained.experiment.model
    conditional = isinstance(model, ConditionalAutoencoder)
    labels = (np.asarray(label), model.classes) if conditional and label is not None else (None, 0)
    if quantizer is None:
        return pack(
            Content(trained.apply(code_indices, x, label), model.latent.codes, None, *labels), fingerprint(trained)
        )
    levels = quantizer.quantise(trained.encode(x, label))
    return pack(Content(levels, 2**quantizer.bits, quantizer.ranges, *labels), fingerprint(trained))


def decompress(trained: Trained, content: bytes) -> Float[np.ndarray, "n *shape"]:
    """The examples that the file's codes decode to, exactly as `decode` gives them; of indices, as `reconstruct` does.

    Raises `InputError` for a file that is cut short, altered, not one of these, or made with another run.
    """
    held = unpack(content, fingerprint(trained))
    if held.ranges is None:
        codes = _codebook(trained)[held.levels].reshape(len(held.levels), -1)
    else:
        low, high = held.ranges
        codes = Quantizer(low, high, held.of.bit_length() - 1).restore(held.levels)
    return trained.decode(codes, held.label)


def has_codebook(trained: Trained) -> bool:
    """Whether its codes are those of a codebook, which are told by their indices."""
    return isinstance(trained.experiment.model.latent, VectorQuantised)


def _codebook(trained: Trained) -> Float[np.ndarray, "codes dimension"]:
    variables = {"params": trained.state.params, **trained.state.collections}
    own = {name: collection["latent"] for name, collection in variables.items() if "latent" in collection}
    return np.asarray(trained.experiment.model.latent.codebook(own))


def fingerprint(trained: Trained) -> str:
    """The SHA-256 of all that decoding depends on: settings, weights, and what preprocessing has learned."""
    digest = hashlib.sha256(json.dumps(to_json(trained.experiment.model)).encode())
    tree = (trained.state.params, trained.state.collections, trained.preprocess)
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()
