"""Detects anomalies by several scores at once, each as its surprise among rows of the training part.

The rows that examples are compared with may be anomalies themselves: nothing here knows labels.
"""

from dataclasses import dataclass, field
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples, InputError, configurable, positive, pytree, static
from aejax.data import Preprocess, permutation
from aejax.losses import Likelihood, flat
from aejax.models import UNLABELLED, Autoencoder, Part, Trait


@pytree
@dataclass(frozen=True)
class Reference:
    """Holds a sample of the training part, as the model sees it: what a run keeps for its detector."""

    x: Float[Array, "rows *shape"]
    """The examples, and zeros after them where the training part has fewer than the detector takes."""
    count: Int[Array, ""]
    """The number of examples."""

    def examples(self) -> Examples:
        """Returns the examples without the zeros after them."""
        return Examples(self.x[: int(self.count)])


@pytree
@dataclass(frozen=True)
class View:
    """Holds what a trained model makes of examples."""

    code: Float[Array, "n latent"]
    """The mean code of each example."""
    nats: Float[Array, " n"]
    """The negative log-likelihood of each example under its own reconstruction."""
    x: Float[Array, "n values"]
    """The values of each example, as the model sees it."""
    residual: Float[Array, "n values"]
    """What the mean of the reconstruction leaves of the values."""

    def take(self, index: Int[Array, " rows"]) -> "View":
        """Returns the rows at `index`, in that order."""
        return jax.tree.map(lambda leaf: leaf[index], self)


def view(model: Autoencoder, likelihood: Likelihood, batch: Examples) -> View:
    """Returns what a model, bound to its variables, makes of a batch as it sees it; nothing is corrupted."""
    code = model.encode(batch).mean
    raw = model.decode(code, batch)
    residual = flat(batch.target - likelihood.mean(raw, batch))
    return View(flat(code), -likelihood.log_prob(batch.target, raw), flat(batch.x), residual)


@configurable
class DetectionScore:
    """Scores examples by themselves, or by how they lie to rows of the training part; more is less like these."""

    def check(self, path: str) -> None:
        """Raises `InputError` for a setting that has no meaning; `path` is that of the score, for the message."""

    def compared(self, reference: View) -> Int[Array, " compared"]:
        """Returns which rows of the reference examples are compared with: all, by default."""
        return jnp.arange(len(reference.nats))

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Scores examples that are not among the rows that they are compared with."""
        raise NotImplementedError

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Scores each row of the reference as `__call__` would if this row were not there to be compared with."""
        raise NotImplementedError


@configurable
class ReconstructionScore(DetectionScore):
    """Scores by the negative log-likelihood, in nats, of an example under its reconstruction."""

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Returns the nats of each example."""
        return seen.nats

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Returns the nats of each row."""
        return reference.nats


@configurable
class ResidualDistance(DetectionScore):
    """Scores by the Mahalanobis distance, squared, of what the reconstruction leaves of an example.

    A model that reconstructs through much noise leaves much of every example, but not in every direction: what is
    unlike the rows is what is left where nothing is left of them. Their second moments are about zero.
    """

    ridge: float = positive(default=0.05)
    """What is added to the variance of each value's residual, in the units of the values that the model sees."""

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Returns the squared distance of each example's residual."""
        return len(compared.nats) * self._quadratic(seen, compared, len(compared.nats))

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Returns the squared distance of each row's residual by the others' moments (Sherman & Morrison 1950)."""
        rows = len(reference.nats) - 1
        share = self._quadratic(reference, reference, rows)
        return rows * share / jnp.maximum(1 - share, jnp.finfo(jnp.float32).eps)

    def _quadratic(self, seen: View, compared: View, rows: int) -> Float[Array, " n"]:
        """Returns r (sum of r' r + rows * ridge)^-1 r' of each residual r; the sum is over those compared with."""
        moments = jnp.matmul(compared.residual.T, compared.residual, precision="highest")
        factor = jnp.linalg.cholesky(moments + rows * self.ridge * jnp.eye(len(moments)))
        return _squared_norms(factor, seen.residual)


@configurable
class GaussianDistance(DetectionScore):
    """Scores by the Mahalanobis distance, squared, of an example's code from the codes of the rows.

    Their covariance is shrunk towards that of a sphere by as much as Ledoit & Wolf 2004 estimate to be best, so that
    there is a distance in more dimensions than there are rows too.
    """

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Returns the squared distance of each example's code."""
        mean, factor, _ = self._moments(compared.code)
        return _squared_norms(factor, seen.code - mean)

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Returns the squared distance of each row's code by the others' mean and covariance, as much shrunk.

        Without a row the others' mean is further from it, and their covariance loses one rank (Sherman & Morrison
        1950).
        """
        rows = len(reference.nats)
        mean, factor, shrinkage = self._moments(reference.code, rows - 1)
        square = _squared_norms(factor, reference.code - mean)
        share = (1 - shrinkage) * rows / (rows - 1) ** 2 * square
        return (rows / (rows - 1)) ** 2 * square / jnp.maximum(1 - share, jnp.finfo(jnp.float32).eps)

    def _moments(self, code: Float[Array, "rows latent"], count: int | None = None) -> tuple[Array, Array, Array]:
        """Returns the mean, the Cholesky factor of the shrunk covariance, and by how much it is shrunk, from 0 to 1.

        The sum of squares is divided by `count`, by default the number of rows.
        """
        rows, size = code.shape
        mean = code.mean(axis=0, keepdims=True)
        centred = code - mean
        covariance = jnp.matmul(centred.T, centred, precision="highest") / rows
        spread = jnp.trace(covariance) / size
        apart = jnp.sum((covariance - spread * jnp.eye(size)) ** 2)
        noise = (jnp.sum(jnp.sum(centred**2, axis=1) ** 2) / rows - jnp.sum(covariance**2)) / rows
        shrinkage = jnp.where(apart > 0, jnp.clip(noise / jnp.where(apart > 0, apart, 1), 1e-6, 1), 1)
        sphere = jnp.where(spread > 0, shrinkage * spread, 1) * jnp.eye(size)
        factor = jnp.linalg.cholesky((1 - shrinkage) * covariance * rows / (count or rows) + sphere)
        return mean, factor, shrinkage


def _squared_norms(factor: Float[Array, "size size"], rows: Float[Array, "n size"]) -> Float[Array, " n"]:
    """Returns r' (F F')^-1 r of each row r, where F is a lower triangular factor."""
    return jnp.sum(jax.scipy.linalg.solve_triangular(factor, rows.T, lower=True) ** 2, axis=0)


Space = Literal["code", "input", "scaled"]
"""Where distances are taken: between codes, between the values that the model sees, or between these in robust units.

Those are less the median of the rows that are compared with, over their interquartile range as that of a normal
distribution of deviation 1, and lie within 4 of zero.
"""


@configurable
class SampleDistance(DetectionScore):
    """Scores by the expected distance to the nearest of a few random rows.

    Among all rows the members of a small cluster of anomalies hide each other; in most small samples there are none of
    them. Sugiyama & Borgwardt 2013 draw one sample; this is the mean over all that there are.
    """

    sample: int = static(default=16)
    """The number of random rows."""
    space: Space = static(default="code")
    """Where distances are taken: see `Space`."""

    def check(self, path: str) -> None:
        """Raises `InputError` for a sample of no rows."""
        _check_least(f"{path}.sample", self.sample)

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Returns the expected distance of each example."""
        return expected_nearest(_distances(seen, compared, self.space), self.sample)

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Returns the expected distance of each row to a sample of the others."""
        rows = len(reference.nats)
        apart = _distances(reference, reference, self.space)
        others = apart.reshape(-1)[1:].reshape(rows - 1, rows + 1)[:, :-1].reshape(rows, rows - 1)  # no diagonal
        return expected_nearest(others, self.sample)


@configurable
class NeighbourDistance(DetectionScore):
    """Scores by the mean distance to the nearest rows (Angiulli & Pizzuti 2002), of which some are left out.

    Those that lie furthest from a few random rows are nobody's neighbours: they may be anomalies that come in clusters.
    """

    neighbours: int = static(default=5)
    """The number of the nearest rows."""
    trim: float = static(default=0.2)
    """The share of rows, those with the highest `SampleDistance`, that are nobody's neighbours."""
    space: Space = static(default="code")
    """Where distances are taken: see `Space`."""

    def check(self, path: str) -> None:
        """Raises `InputError` for no neighbours, and for a share that leaves none."""
        _check_least(f"{path}.neighbours", self.neighbours)
        if not 0 <= self.trim < 1:
            raise InputError(f"{path}.trim is {self.trim}: give a share of at least 0 and below 1")

    def compared(self, reference: View) -> Int[Array, " compared"]:
        """Returns the rows that are left, those with the lowest `SampleDistance` first."""
        every = super().compared(reference)
        left = max(len(every) - int(self.trim * len(every)), min(2, len(every)))
        return jnp.argsort(SampleDistance(space=self.space).own(reference, every))[:left]

    def __call__(self, seen: View, compared: View) -> Float[Array, " n"]:
        """Returns the mean distance of each example."""
        return _mean_nearest(_distances(seen, compared, self.space), min(self.neighbours, len(compared.nats)))

    def own(self, reference: View, compared: Int[Array, " compared"]) -> Float[Array, " rows"]:
        """Returns the mean distance of each row to others."""
        apart = _distances_to_others(reference, compared, self.space)
        return _mean_nearest(apart, min(self.neighbours, len(compared) - 1))


@pytree
@dataclass(frozen=True)
class Prepared:
    """Holds what a detector has to know of the reference to score any example."""

    compared: dict[str, View]
    """The rows that each score compares examples with."""
    own: dict[str, Float[Array, " rows"]]
    """Each score of the reference's own rows, in ascending order."""


@configurable
class Detector(Part):
    """Scores by the mean, over several scores, of an example's surprise among rows of the training part, in nats.

    A surprise is the negative logarithm of the share of rows that score as high. It needs no scale, so that scores of
    any unit can be joined, as Fisher 1932 joins tests; what stands out by one score alone is not averaged away, as it
    would be by ranks. That of an example does not depend on other examples. The likelihood and the model are those that
    were trained.

    The default joins how far a code lies from all codes, in the units of their covariance, and how far code and values
    lie from the nearest of a few random rows.
    """

    scores: dict[str, DetectionScore] = field(
        default_factory=lambda: {
            "gaussian": GaussianDistance(),
            "sample_8": SampleDistance(8),
            "sample_16": SampleDistance(16),
            "sample_of_values": SampleDistance(16, space="scaled"),
        }
    )
    """The scores that are joined, by name."""
    rows: int = static(default=2048)
    """The largest number of rows of the training part that are kept."""

    @property
    def needs(self) -> tuple[Trait, ...]:
        """A model that is given no labels: the rows are kept without."""
        return (UNLABELLED,)

    def sample(self, train: Examples, preprocess: Preprocess) -> Reference:
        """Draws the reference from the training part, by a seed that is fixed, through its fitted preprocessing.

        Raises `InputError` for a detector without scores or rows, and for a score that has no meaning.
        """
        self._check()
        rows = train.take(np.sort(permutation(len(train))[: self.rows])).read().x
        x = np.asarray(preprocess(jnp.asarray(preprocess.in_use(rows)), None))
        padding = [(0, self.rows - len(x))] + [(0, 0)] * (x.ndim - 1)
        return Reference(jnp.asarray(np.pad(x, padding)), jnp.asarray(len(x), jnp.int32))

    def prepare(self, reference: View) -> Prepared:
        """Returns what scoring needs of the reference, of which there are two rows at least."""
        rows = {name: score.compared(reference) for name, score in self.scores.items()}
        compared = {name: reference.take(index) for name, index in rows.items()}
        own = {name: jnp.sort(score.own(reference, rows[name])) for name, score in self.scores.items()}
        return Prepared(compared, own)

    def __call__(self, prepared: Prepared, seen: View) -> Float[Array, " n"]:
        """Returns the mean surprise of each example, in nats: about 1 on average for examples like the rows."""
        each = [
            surprise(score(seen, prepared.compared[name]), prepared.own[name]) for name, score in self.scores.items()
        ]
        return jnp.mean(jnp.stack(each), axis=0)

    def _check(self) -> None:
        if not self.scores or self.rows < 2:
            raise InputError(
                f"the detector joins {len(self.scores)} scores over {self.rows} rows: give at least 1 and 2"
            )
        for name, score in self.scores.items():
            score.check(f"detector.scores.{name}")


def _check_least(path: str, number: int) -> None:
    if number < 1:
        raise InputError(f"{path} is {number}: give at least 1")


def surprise(score: Float[Array, " n"], own: Float[Array, " rows"]) -> Float[Array, " n"]:
    """Returns the negative logarithm of the share of rows above a score, where `own` are those of the rows, ascending.

    The k-th of n rows from above has the share k / (n + 1), interpolated between two of them. Above the last the share
    falls exponentially, by a factor of e for each distance between the median and the last, so that of two scores the
    higher has the higher surprise.
    """
    rows = len(own)
    share = jnp.interp(score, own, jnp.arange(rows, 0, -1) / (rows + 1))
    spread = own[-1] - own[rows // 2]
    return jnp.maximum(score - own[-1], 0) / jnp.where(spread > 0, spread, 1) - jnp.log(share)


def expected_nearest(distances: Float[Array, "n rows"], sample: int) -> Float[Array, " n"]:
    """Returns the expected least of `sample` of each row's distances, drawn without replacement.

    Of the C(n, sample) draws from n ascending distances, C(n - k, sample - 1) have the k-th as their least. The last of
    them, whose shares add up to less than 1e-7, are not sorted.
    """
    n = distances.shape[1]
    sample = min(sample, n)
    k = np.arange(1, n - sample + 1)
    shares = np.cumprod([sample / n, *((n - k - sample + 1) / (n - k))])  # each share by the one before it
    shares = shares[: 1 + np.searchsorted(np.cumsum(shares), 1 - 1e-7)]
    least = -jax.lax.top_k(-distances, len(shares))[0]  # several times as fast as sorting on a CPU
    return jnp.matmul(least, shares.astype(np.float32), precision="highest")


def _distances(seen: View, compared: View, space: Space) -> Float[Array, "n compared"]:
    """Returns the distance of each example to each of those that it is compared with."""
    one, other = (view.code if space == "code" else view.x for view in (seen, compared))
    if space == "scaled":
        one, other = _in_robust_units(one, other), _in_robust_units(other, other)
    centre = other.mean(axis=0, keepdims=True)
    one, other = one - centre, other - centre
    products = jnp.matmul(one, other.T, precision="highest")
    squares = jnp.sum(one**2, axis=1)[:, None] + jnp.sum(other**2, axis=1)[None] - 2 * products
    return jnp.sqrt(jnp.maximum(squares, 0))


_ROBUST_LIMIT = 4.0
"""In robust units no value lies further from zero: one of an outlier would outweigh all others."""


def _in_robust_units(x: Float[Array, "n values"], rows: Float[Array, "rows values"]) -> Float[Array, "n values"]:
    """Returns values in the units that the quartiles of rows give them; see `Space`.

    Where half of a column's rows are nearly the same, its unit is their standard deviation.
    """
    low, median, high = jnp.quantile(rows, jnp.array([0.25, 0.5, 0.75]), axis=0, keepdims=True)
    unit, spread = (high - low) / 1.349, rows.std(axis=0, keepdims=True)
    unit = jnp.where(unit > 0.1 * spread, unit, jnp.where(spread > 0, spread, 1))
    return jnp.clip((x - median) / unit, -_ROBUST_LIMIT, _ROBUST_LIMIT)


def _distances_to_others(
    reference: View, compared: Int[Array, " compared"], space: Space
) -> Float[Array, "rows compared"]:
    """Returns the distance of each row to those at `compared`, infinite to itself."""
    itself = jnp.arange(len(reference.nats))[:, None] == compared[None]
    return jnp.where(itself, jnp.inf, _distances(reference, reference.take(compared), space))


def _mean_nearest(distances: Float[Array, "n rows"], neighbours: int) -> Float[Array, " n"]:
    return -jnp.mean(jax.lax.top_k(-distances, neighbours)[0], axis=1)
