"""Compresses examples to one small file of codes: a few bits for each dimension, or indices."""

import json
import logging

import numpy as np
from jaxtyping import Float, Num

from aejax.experiment import as_first_written, canonical
from aejax.metrics import code_indices
from aejax.models import traits
from aejax.trained.codefile import Coder, Content, pack, unpack
from aejax.trained.codes import require_finite
from aejax.trained.programs import digest_of
from aejax.trained.quantise import Quantizer
from aejax.trained.trained import Labels, Trained

_log = logging.getLogger("aejax")


def compress(
    trained: Trained, x: Num[np.ndarray, "n *shape"], quantizer: Quantizer | None, label: Labels | None = None
) -> bytes:
    """Compresses examples to the bytes of a file: the indices that tell their codes, or their quantised codes.

    Indices are coded by the model's sampler, where that knows how likely they are: then to as few bits as it says.

    Args:
        trained: the model that encodes the examples.
        x: the examples.
        quantizer: fitted on codes of the training part; None for a model whose codes are told by indices.
        label: the labels of the examples, which a conditional model needs; the file keeps them.

    Raises:
        InputError: for examples whose codes are not finite, beside those that `Trained.encode` refuses.
    """
    model = trained.experiment.model
    if traits.OF_EXAMPLE in trained.experiment.loss.likelihood.meets:
        _log.warning("the totals of examples are not kept: they are decompressed to means of the likelihood's library")
    labels = (np.asarray(label), model.classes) if model.classes and label is not None else (None, 0)
    if quantizer is None:
        content = Content(trained.apply(code_indices, x, label), model.latent.codes, None, *labels)
        return pack(content, fingerprint(trained), _coder(trained))
    levels = quantizer.quantise(require_finite(trained.encode(x, label), "the examples"))
    return pack(Content(levels, 2**quantizer.bits, quantizer.ranges, *labels), fingerprint(trained))


def decompress(trained: Trained, content: bytes) -> Float[np.ndarray, "n *shape"]:
    """Decodes the codes of a file to examples: exactly as `decode` gives them, from indices as `reconstruct` does.

    Raises `InputError` for a file that is cut short, altered, not one of these, or made with another run.
    """
    held = unpack(content, fingerprint(trained), first_fingerprint(trained), coder=_coder(trained))
    if held.ranges is None:
        codes = trained.restore(held.levels)
    else:
        low, high = held.ranges
        codes = Quantizer(low, high, held.of.bit_length() - 1).restore(held.levels)
    return trained.decode(codes, held.label)


def _coder(trained: Trained) -> Coder | None:
    return None if trained.sampler is None else trained.sampler.coder


def fingerprint(trained: Trained) -> str:
    """Returns the SHA-256 of all that decoding depends on.

    That is the settings of the model, of the likelihood, whose mean is decoded, and of the preprocessing, with the
    weights and what the preprocessing has learned.
    """
    experiment = trained.experiment
    return _digest(trained, canonical((experiment.model, experiment.loss.likelihood, experiment.data.preprocess)))


def first_fingerprint(trained: Trained) -> str:
    """Returns the fingerprint by which version 0.1.0 named the run: of settings it knows those of the model alone."""
    return _digest(trained, json.dumps(as_first_written(trained.experiment.model)))


def _digest(trained: Trained, settings: str) -> str:
    return digest_of(settings, (trained.used.params, trained.used.collections, trained.preprocess))
