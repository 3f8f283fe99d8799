"""Makes a page of a trained model: its encoder and decoder as programs, and the codes of examples to begin from."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax import core
from aejax.core import Examples, as_arrays, spread
from aejax.explore import Arrays, Explorer, write
from aejax.models import traits
from aejax.trained import codes, programs
from aejax.trained.shown import classes, shown_limits

if TYPE_CHECKING:
    from aejax.trained.trained import Trained

CLOUD = 1000
"""Least number of codes that are shown as points, and of which the ranges are taken; all, where there are fewer."""

SAMPLES = 64
"""Number of codes that are drawn from the model's prior."""

BINS = 32
"""Number of bars in the histogram of a dimension."""

MOST_CLASSES = 20
"""Largest number of classes that have colours of their own."""


def explorer(trained: "Trained", part: Examples, most: int, half: bool) -> Explorer:
    """Returns the page.

    Args:
        trained: the model.
        part: the examples whose codes are shown.
        most: the largest number of examples that the page holds itself.
        half: whether floating numbers are kept as float16 of three digits, where that loses no more.

    Raises:
        InputError: for a model that a page cannot run, or codes that are not finite.
    """
    arrays, model = Arrays(half), trained.experiment.model
    trained.require_of_codes()
    encoder, decoder, out_shape = encoder_and_decoder(trained, arrays)
    many = part.at_most(max(CLOUD, most)).read()
    few = spread(len(many), most, many.label)
    means = codes.require_finite(trained.encode(many.x, many.label), "the examples")
    drawn = trained.encode(many.x, many.label, seed=0)
    held = trained.as_held(many).x[few]
    content = {
        **_described(trained, held),
        "out_shape": out_shape,
        "latent": model.latent.size,
        "encode": encoder,
        "decode": decoder,
        "examples": {"x": arrays.add(held, whole=held.ndim == 2), "code": arrays.add(means[few])},
        "of_cloud": f"{len(many):,} of {len(part):,}" if len(many) < len(part) else f"{len(part):,}",
        **_cloud(means, drawn, arrays),
        "sparse": bool(np.mean(means == 0) > 0.5),
        "samples": None if model.prior is None else arrays.add(trained.by_prior.draw_codes(SAMPLES)),
        "samples_count": SAMPLES,
        "count": len(few),
    }
    return Explorer.of(content | _labels(trained, many.label, few, arrays), arrays)


def encode(model: Any, variables: Any, preprocess: Any, x: Array, label: Any) -> tuple[Array, ...]:
    """Returns the mean codes of examples in the data's units, and the scales of their posteriors that are normal."""

    def posterior(model: Any, batch: Examples) -> tuple[Array, ...]:
        found = model.encode(batch)
        return (found.mean, found.scale) if traits.NORMAL in model.meets else (found.mean,)

    return core.apply(posterior, model, variables, {}, Examples(preprocess(x, None), label))[0]


def encoder_and_decoder(trained: "Trained", arrays: Arrays) -> tuple[dict[str, Any], dict[str, Any], list[int]]:
    """Returns the encoder and the decoder of one example as programs, and the shape of what is decoded."""
    model, variables = trained.experiment.model, trained.used.variables
    likelihood, preprocess = as_arrays((trained.experiment.loss.likelihood, trained.preprocess))
    label = [jax.ShapeDtypeStruct((1,), jnp.int32)] if model.classes else []
    x = jax.ShapeDtypeStruct((1, *trained.shape), jnp.float32)
    z = jax.ShapeDtypeStruct((1, model.latent.size), jnp.float32)

    def up(own: Any, x: Array, label: Any = None) -> tuple[Array, ...]:
        variables, preprocess = own
        return encode(model, variables, preprocess, x, label)

    def down(own: Any, z: Array, label: Any = None) -> Array:
        variables, likelihood, preprocess = own
        return programs.decoded(model, variables, likelihood, preprocess, z, label, None)

    of_decoder = (variables, likelihood, preprocess)
    encoder = write("encoder", up, arrays, (variables, preprocess), x, *label)
    decoder = write("decoder", down, arrays, of_decoder, z, *label)
    return encoder, decoder, list(jax.eval_shape(down, of_decoder, z, *label).shape[1:])


def _described(trained: "Trained", held: np.ndarray) -> dict[str, Any]:
    """Returns what is said of the model and its data."""
    grey = held.dtype == np.uint8
    values = held.astype(np.float32) / (255 if grey else 1)
    white = trained.preprocess.in_use(np.full((1, *trained.shape), 96, np.uint8))
    low, high = shown_limits(trained, values)
    return {
        "name": trained.experiment.name,
        "data": trained.experiment.data.name.rstrip("/").split("/")[-1],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained.used.params)),
        "shape": list(trained.shape),
        "grey": grey,
        "binary": bool(np.isin(white, (0, 255)).all()),
        "limits": [low, high],
        "columns": list(trained.schema.columns),
        "offset": [] if trained.data is None else list(trained.data.offset),
    }


def _labels(trained: "Trained", label: Any, few: Int[np.ndarray, " few"], arrays: Arrays) -> dict[str, Any]:
    """Returns the names of classes, for colours and for the labels that a conditional model is given.

    `label` are the labels of all points, and `few` says which of these are examples of the page.
    """
    names = trained.schema.classes
    content: dict[str, Any] = {}
    count = trained.experiment.model.classes
    if count:
        content["classes"] = list(names) or [str(number) for number in range(count)]
        content["given"] = arrays.add(label[few].astype(np.int32))
    called, _ = classes(trained, names, label, MOST_CLASSES)
    if called is not None:
        distinct, kind = np.unique(called, return_inverse=True)
        content["kinds_of"] = [str(name) for name in distinct]
        content["cloud_kind"] = arrays.add(kind.astype(np.uint8))
        content["kind"] = arrays.add(kind[few].astype(np.uint8))
    return content


def _cloud(means: codes.Codes, drawn: codes.Codes, arrays: Arrays) -> dict[str, Any]:
    """Returns the plane of the codes, the points on it, and how the posteriors of all lie along each dimension.

    Args:
        means: the codes of examples.
        drawn: a draw from the posterior of each of them.
        arrays: where arrays are added.
    """
    centre, axes, share = plane_of(means)
    low, high = np.quantile(drawn, (0.001, 0.999), axis=0).astype(np.float32)
    high = np.where(high > low, high, low + 1)
    place = np.clip(((drawn - low[None]) / (high - low)[None] * BINS).astype(int), 0, BINS - 1)
    counts = np.stack([np.bincount(column, minlength=BINS) for column in place.T])
    return {
        "centre": arrays.add(centre, whole=True),
        "axes": arrays.add(axes, whole=True),
        "share": share,
        "cloud": arrays.add((means - centre[None]) @ axes.T),
        "low": arrays.add(low),
        "high": arrays.add(high),
        "bins": BINS,
        "histogram": arrays.add(np.round(255 * counts / counts.max(axis=1, keepdims=True)).astype(np.uint8)),
        "order": arrays.add(codes.most_active(means).astype(np.int32)),
    }


def plane_of(
    z: codes.Codes,
) -> tuple[Float[np.ndarray, " latent"], Float[np.ndarray, "2 latent"], list[float]]:
    """Returns the plane through codes on which they are shown: of codes of two numbers the plane itself, else PCA's.

    Returns:
        A point on it, two directions of length 1 (of codes of one number the second is zero), and the share of the
        variance along each.
    """
    size = z.shape[1]
    if size <= 2:
        variance = z.var(axis=0)
        share = variance / max(variance.sum(), 1e-12)
        return np.zeros(size, np.float32), np.eye(2, size, dtype=np.float32), share.tolist()
    centre = z.mean(axis=0)
    _, lengths, rows = np.linalg.svd((z - centre[None]).astype(np.float64), full_matrices=False)
    axes = np.zeros((2, size))
    axes[: len(rows[:2])] = rows[:2]
    axes *= np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]  # signs are arbitrary
    share = lengths**2 / max((lengths**2).sum(), 1e-12)
    return centre, axes.astype(np.float32), [float(each) for each in share[:2]]
