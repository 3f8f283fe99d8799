"""Uses a trained model to encode, decode, generate and evaluate arrays of any number of examples."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, Shaped

from aejax import core, devices
from aejax.core import CHUNK, Examples, InputError, Stream, as_arrays, derive, means
from aejax.data import (
    UNKNOWN,
    DataRecord,
    Preprocess,
    Schema,
    StaticBinarise,
    Stored,
    as_array,
    as_examples,
    as_stored,
    in_units,
    load_again,
    numbers_of,
    scaled,
)
from aejax.experiment import Experiment
from aejax.explore import Explorer
from aejax.metrics import (
    AnomalyScore,
    NegativeLogLikelihood,
    Prepared,
    ReconstructionError,
    Reference,
    Score,
    as_scores,
    code_indices,
    is_mass,
    per_value,
)
from aejax.models import traits
from aejax.runs import Run
from aejax.trained import _html, codes, exploring, export, hub, programs, saving, tiling
from aejax.trained.history import History
from aejax.trained.index_samplers import Autoregressive, Independent
from aejax.trained.samplers import FittedSampler, Mixture, Sampler

log = logging.getLogger("aejax")

_AT_ONCE = 2**26
"""Bytes of a part on disk that are in memory at once while its loss is measured."""

Labels = Shaped[np.ndarray, " n"] | Sequence[str]
"""Labels of examples: numbers, or names of the training data's classes."""


@dataclass(frozen=True)
class Trained:
    """Holds an experiment with its trained state, and applies the model to arrays."""

    experiment: Experiment
    """The resolved experiment, whose model knows the shape of its output."""
    shape: tuple[int, ...]
    """The shape of one example."""
    preprocess: Preprocess
    """The preprocessing, fitted on the training part."""
    state: core.State
    """The state of training: step, parameters, the optimiser's state, and collections."""
    history: History = field(default_factory=History)
    """The rows of metrics of each epoch, as in metrics.jsonl; `history.to_pandas()` is a data frame of them."""
    run: Run | None = None
    """The run directory; None where nothing was written."""
    data: DataRecord | None = None
    """What the model was trained on, in whose units examples are read; None where an older version did not say."""
    reference: Reference | None = None
    """The rows of the training part that the experiment's detector compares with; None where it has no detector."""
    given: Experiment | None = None
    """The experiment before it was resolved, which files say; None where that is not known."""
    sampler: FittedSampler | None = None
    """What codes are drawn from in place of the prior, fitted to them after training: see `fit_sampler`."""

    def __repr__(self) -> str:
        """Returns what it is in a line: experiment, model, shape, steps, run."""
        return f"Trained({', '.join(_html.described(self).values())})"

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: settings, losses, and reconstructions where a run has drawn them."""
        return _html.page(self)

    @property
    def schema(self) -> Schema:
        """What the numbers of the training data stand for: the names of classes and columns."""
        return UNKNOWN if self.data is None else self.data.schema

    @property
    def used(self) -> core.State:
        """The state that the model is used with: with the average of the parameters, where the optimiser keeps one."""
        return self.experiment.optimizer.averaged(self.state)

    @property
    def for_use(self) -> "Trained":
        """The model to use and no more: the parameters that `used` has, no optimiser's state, and no run directory."""
        return dataclasses.replace(self, state=dataclasses.replace(self.used, opt_state=()), run=None)

    @property
    def by_prior(self) -> "Trained":
        """The model without its sampler: it draws codes from its own prior alone."""
        return dataclasses.replace(self, sampler=None)

    @property
    def draws_from(self) -> str | None:
        """What `draw_codes` draws from, in words: its sampler, or else the model's prior; None: nothing is there."""
        if self.sampler is not None:
            return self.sampler.sampler.told
        return None if self.experiment.model.prior is None else "the prior"

    def encode(
        self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None, *, seed: int | None = None
    ) -> Float[np.ndarray, "n latent"]:
        """Returns the code of each example: its posterior's mean, or with a seed a draw from its posterior.

        Args:
            x: the examples, in the data's units.
            label: the labels of the examples, numbers or the names of the training data's classes, which a conditional
                model needs; any other ignores them.
            seed: the seed of the draw; None: the mean.

        Raises:
            InputError: for examples of another shape or of an unknown unit (see `aejax.data.in_units`), and for labels
                that are missing or none of the model's.
        """
        return self._encoded(self._check(Examples(x, self._numbers(label))), seed)

    def _encoded(self, held: Examples, seed: int | None = None) -> Float[np.ndarray, "n latent"]:
        key = None if seed is None else derive(jax.random.key(seed), Stream.LATENT)
        function = partial(programs.encode, self.experiment.model, self.used.variables, as_arrays(self.preprocess), key)
        return programs.in_chunks(function, held, np.arange(len(held)))

    def decode(
        self, z: Float[np.ndarray, "n latent"], label: Labels | None = None, *, seed: int | None = None
    ) -> Float[np.ndarray, "n *shape"]:
        """Decodes each code to the data's units: to the likelihood's mean, or with a seed to a draw from it.

        Args:
            z: the codes; of a model whose codes have a length of 1, their directions.
            label: the labels to decode with, which a conditional model needs; any other ignores them.
            seed: the seed of the draw; None: the mean.

        Raises:
            InputError: for codes of another size, and for labels that are missing or none of the model's.
        """
        self.require_of_codes()
        z = np.asarray(z, np.float32)
        size = self.experiment.model.latent.size
        if z.ndim != 2 or z.shape[1] != size or len(z) == 0 or not np.isfinite(z).all():
            raise InputError(
                f"the codes have shape {z.shape}, but this model decodes finite codes of shape (n, {size})"
                + _of_one(z.shape, (size,), "z")
            )
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        key = None if seed is None else derive(jax.random.key(seed), Stream.VALUES)
        function = partial(programs.decode, self.experiment.model, self.used.variables, likelihood, preprocess, key)
        label = self._check_label(self._numbers(label), len(z))
        return self._with_offset(programs.in_chunks(function, z, label, np.arange(len(z))))

    def reconstruct(self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None) -> Float[np.ndarray, "n *shape"]:
        """Encodes each example and decodes it again. Labels and errors are those of `encode`."""
        return self._reconstructed(self._check(Examples(x, self._numbers(label))))

    def _reconstructed(self, held: Examples) -> Float[np.ndarray, "n *shape"]:
        met = {*self.experiment.model.meets, *self.experiment.loss.likelihood.meets}
        if not met & {traits.READS_INPUT, traits.OF_EXAMPLE}:
            return self.decode(self._encoded(held), held.label)
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        function = partial(programs.reconstruct, self.experiment.model, self.used.variables, likelihood, preprocess)
        return self._with_offset(programs.in_chunks(function, held))

    def denoise(
        self,
        x: Num[np.ndarray, "n height width channels"],
        label: Labels | None = None,
        *,
        missing: Bool[np.ndarray, "*n height width"] | None = None,
    ) -> Float[np.ndarray, "n height width channels"]:
        """Reconstructs images of the training size or larger: of larger ones overlapping tiles, joined without seams.

        Examples of the training size, which may be no images, give what `reconstruct` gives of them.

        Args:
            x: the images, in the data's units.
            label: the labels of the images: see `encode`.
            missing: which pixels are missing, of all images alike or of each, whatever their values are: these alone
                are replaced, all others stay; None: all pixels are given, and all are replaced.

        Returns:
            The images, in the units of `decode`.

        Raises:
            InputError: as `encode` does, for images that are smaller than a tile, for a mask of another shape, and for
                missing pixels where the model was not trained to fill in what is masked.
        """
        held = self._check(Examples(x, self._numbers(label)), larger=True)
        if missing is None:
            whole = held.x.shape[1:] == self.shape
            function = lambda tiles, label: self._reconstructed(Examples(tiles, label))  # noqa: E731
            return self._reconstructed(held) if whole else tiling.blended(function, self.shape, [held.x], held.label)
        lost = tiling.as_missing(missing, held.x.shape)
        corruption, preprocess = as_arrays((self.experiment.loss.corruption, self.preprocess))
        if not corruption.masks:
            raise InputError(
                f"{self.experiment.name} was not trained to fill in missing values: train one that is, by "
                "--loss.corruption holes"
            )

        def fill(tiles: np.ndarray, lost: np.ndarray, label: Labels | None) -> Float[np.ndarray, "n *shape"]:
            given = jnp.asarray(scaled(tiles))
            hidden = preprocess.invert(corruption.hide(preprocess(given, None), jnp.asarray(lost)))
            return self._reconstructed(Examples(np.where(lost, hidden, given), label))

        made = tiling.blended(fill, self.shape, [held.x, lost], held.label)
        return np.where(lost, made, self._with_offset(scaled(held.x)))

    def draw_codes(self, n: int, *, like: Any = None, seed: int = 0) -> Float[np.ndarray, "n latent"]:
        """Draws codes from the sampler, where one was fitted, or else from the model's prior.

        Args:
            n: the number of codes.
            like: training examples, as `Examples` or an array, to whose codes a sampler is fitted at once, from which
                they are drawn instead: a mixture of ten Gaussians, or of codes that are told by indices independent
                ones; None: they are not. The latter also serve a model of such codes that has neither, with the
                examples that it was trained on, which a warning says.
            seed: the seed of the draws.

        Raises:
            InputError: for a model with neither, where there are no such examples.
        """
        if n < 1:
            raise InputError(f"{n} samples were asked for: ask for 1 or more")
        if self.needs_examples_to_sample:
            log.warning(
                "the indices of codes are drawn independently of each other, as often as training examples have them: "
                "fit_sampler (aejax sampler RUN) fits a prior that knows how they go together"
            )
        if like is not None or self.needs_examples_to_sample:
            quick = Independent() if self.is_discrete else Mixture()
            return self.fit_sampler(quick, like=like, seed=seed).draw_codes(n, seed=seed)
        if self.sampler is not None:
            drawn = self.sampler.draw(n, seed)
            return self.restore(drawn) if self.sampler.sampler.of_indices else drawn
        model = self.experiment.model
        if model.prior is None:
            raise InputError(
                f"{self.experiment.name} has no prior to draw codes from: fit a sampler to its codes (fit_sampler in "
                "Python, aejax sampler RUN), or draw them from a mixture that is fitted at once (like= in Python, "
                "aejax sample --from posterior)"
            )
        key = derive(jax.random.key(seed), Stream.CODES)
        return np.asarray(programs.draw_codes(model, self.used.variables, n, key))

    @property
    def needs_examples_to_sample(self) -> bool:
        """Whether it draws codes as training examples have their indices, for want of a prior over these."""
        return self.is_discrete and self.experiment.model.prior is None and self.sampler is None

    @property
    def on_sphere(self) -> bool:
        """Whether codes have a length of 1; `decode` takes others as that of their direction."""
        return traits.SPHERE in self.experiment.model.meets

    @property
    def is_discrete(self) -> bool:
        """Whether codes are told by indices, as the entries of a codebook are."""
        return traits.DISCRETE in self.experiment.model.meets

    def restore(self, index: Int[np.ndarray, "n positions"]) -> Float[np.ndarray, "n latent"]:
        """Returns the codes that indices tell, of a model whose codes are told by them."""
        own = {name: held["latent"] for name, held in self.used.variables.items() if "latent" in held}
        return np.asarray(self.experiment.model.latent.restore(own, jnp.asarray(index)))

    def fit_sampler(self, sampler: Sampler | None = None, *, like: Any = None, seed: int = 0) -> "Trained":
        """Fits a sampler to codes of training examples, from which the model that is returned generates.

        The codes are draws from the posteriors of the examples, which are spread over all of them: at most as many as
        the sampler takes. Of a model without randomness they are its codes, and of one whose codes are told by indices
        these; `compress` then codes indices by a sampler that knows how likely they are.

        Args:
            sampler: how codes are modelled, as `trained.Mixture`, `SecondStage`, `FittedPrior`, or `Autoregressive` and
                `Independent` for those that are told by indices; None: `Mixture` or `Autoregressive`.
            like: the training examples, as `Examples` or an array; None: those that the model was trained on.
            seed: the seed of the codes and of the fit.

        Returns:
            The model with this sampler; its `by_prior` draws from the prior again.

        Raises:
            InputError: for a sampler of the other kind of codes, for codes that are not finite, and where the data are
                not there.
        """
        self.require_of_codes()
        model, discrete = self.experiment.model, self.is_discrete
        sampler = sampler or (Autoregressive() if discrete else Mixture())
        if sampler.of_indices != discrete:
            is_so, other = ("", "Autoregressive()") if discrete else ("not ", "Mixture()")
            raise InputError(
                f"the codes of {self.experiment.name} are {is_so}told by indices, and {type(sampler).__name__} models "
                f"the other kind of codes: give another sampler, as {other}, the default"
            )
        given = load_again(self.experiment.data, self.data, remedy="give like=").train if like is None else like
        few = self._examples(given).at_most(sampler.most).read()
        if discrete:
            drawn = self.apply(code_indices, few.x, few.label)
        else:
            drawn = codes.require_finite(self.encode(few.x, few.label, seed=seed), "the training examples")
        return dataclasses.replace(self, sampler=FittedSampler.of(sampler, drawn, model.latent, seed))

    def sample(
        self, n: int, label: Labels | None = None, *, like: Any = None, seed: int = 0, draw: bool = False
    ) -> Float[np.ndarray, "n *shape"]:
        """Generates examples: draws codes by `draw_codes`, and decodes them.

        Args:
            n: the number of examples.
            label: the label of each example, which a conditional model needs.
            like: training examples, from whose aggregate posterior the codes are drawn; None: from the sampler or the
                prior.
            seed: the seed of all draws.
            draw: decode to a draw from the likelihood, in place of its mean.
        """
        return self.decode(self.draw_codes(n, like=like, seed=seed), label, seed=seed if draw else None)

    def interpolate(
        self,
        first: Num[np.ndarray, "n *shape"],
        second: Num[np.ndarray, "n *shape"],
        labels: tuple[Labels, Labels] | None = None,
        *,
        steps: int = 8,
        path: codes.Route = "line",
    ) -> Float[np.ndarray, "n steps *shape"]:
        """Decodes the codes on the way from each first example to its second one: see `codes.between`.

        Args:
            first: the examples at the beginning.
            second: the examples at the end, as many as `first`.
            labels: the labels of both, which a conditional model needs; they change in the middle of the way.
            steps: the number of examples on each way, both ends included.
            path: whether codes go along a line or an arc.
        """
        one, other = map(self._numbers, labels or (None, None))
        z = codes.between(self.encode(first, one), self.encode(second, other), steps, path)
        return self._decode_rows(z, None if one is None else codes.halves(one, other, steps).reshape(-1))

    def traverse(
        self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None, *, rows: int = 10, steps: int = 9
    ) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, "rows steps *shape"]]:
        """Decodes the code of the first example with one dimension changed at a time, the most active ones first.

        Args:
            x: the examples over which the range of each dimension is taken.
            label: the labels of the examples, which a conditional model needs.
            rows: how many dimensions are changed, at most.
            steps: the number of examples in a row.

        Returns:
            Which dimensions are changed, and a row of decoded examples for each of them.
        """
        label = self._numbers(label)
        z = self.encode(x, label)
        dimensions = codes.most_active(z)[:rows]
        moved = codes.along(z[0], z, dimensions, steps, self.on_sphere)
        return dimensions, self._decode_rows(moved, None if label is None else np.repeat(label[:1], moved[..., 0].size))

    def score(
        self,
        x: Num[np.ndarray, "n *shape"],
        kind: Score | Literal["detector"] | None = None,
        label: Labels | None = None,
    ) -> Float[np.ndarray, " n"]:
        """Returns an anomaly score for each example; a higher one is less like the training data.

        What is not finite, as of values near the largest float, scores infinity.

        Args:
            x: the examples, in the data's units.
            kind: the squared error of the reconstruction, its nats, or the mean surprise that the experiment's detector
                gives, in nats; None: the detector where there is one, else the squared error.
            label: the labels of the examples, which a conditional model needs.

        Raises:
            InputError: for examples that the model does not take, and for a kind that it does not have.
        """
        experiment = self.experiment
        kind = kind or ("squared_error" if experiment.detector is None else "detector")
        batch = self._check(Examples(x, self._numbers(label)))
        likelihood, preprocess = as_arrays((experiment.loss.likelihood, self.preprocess))
        if kind == "detector":
            score = partial(programs.detect, experiment.model, experiment.detector, likelihood, self._prepared)
        else:
            score = partial(programs.score, experiment.model, AnomalyScore(likelihood, kind))
        return as_scores(programs.in_chunks(partial(score, preprocess, self.used.variables), batch))

    def save(self, folder: str | Path, *, test: Any = None) -> Path:
        """Saves the model as files that can be given away: see `aejax.trained.saving`; `aejax.load` reads them.

        They hold no optimiser's state, no history and no path of this machine, but of a model with a detector the rows
        of the training part that it compares with.

        Args:
            folder: the folder, new, empty, or of a saved model.
            test: test examples as `evaluate` takes them, on which the model is measured and shown for its card; None:
                what its run has measured and drawn.

        Returns:
            The folder.

        Raises:
            InputError: where it cannot be written.
        """
        return saving.save(self, folder, test)

    def push(self, repository: str, *, test: Any = None, private: bool = False) -> str:
        """Saves the model to the Hugging Face hub, from where `aejax.load("hf:OWNER/NAME")` has it.

        Args:
            repository: OWNER/NAME, made where it is missing; logging in is the hub's: `hf auth login`.
            test: as that of `save`.
            private: whether a new repository is private.

        Returns:
            The address of what was written.

        Raises:
            InputError: where `huggingface_hub` is not installed, for a name of another form, and where the hub does not
                let one write there or cannot be reached.
        """
        return hub.push(self, repository, test, private)

    def export(self, folder: str | Path, form: export.Format = "stablehlo") -> list[Path]:
        """Writes encoder and decoder as programs that run without aejax, for any number of examples.

        A program takes float32 in the data's units (of grey levels, shares of white) and for a conditional model int32
        labels, and gives what `encode` and `decode` do; export.json beside them says their shapes.

        Args:
            folder: the folder of the files, made where it is missing.
            form: "stablehlo", which `jax.export.deserialize` reads, or "onnx" (`pip install "aejax[onnx]"`).

        Returns:
            The files.

        Raises:
            InputError: where a package is missing, the folder cannot be written, or a program does not give what
                aejax gives.
        """
        return export.export(self, folder, form)

    def log_prob(
        self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None, *, samples: int = 100, seed: int = 0
    ) -> Float[np.ndarray, " n"]:
        """Estimates the log-density of each example in nats, in the data's units: a lower bound on average.

        It is that of `metrics.NegativeLogLikelihood`, less the logarithm of what preprocessing multiplies volumes by;
        values that are clipped count as what they are clipped to. All examples share the noise of the codes: an
        estimate does not depend on what else is estimated.

        Args:
            x: the examples, in the data's units.
            label: the labels of the examples, which a conditional model needs.
            samples: the number of codes for each example.
            seed: the seed of the codes.

        Raises:
            InputError: for a model without a prior or a posterior with a density, and for what `encode` refuses.
        """
        batch = self._check(Examples(x, self._numbers(label)))
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        measure, key = NegativeLogLikelihood(likelihood, samples), derive(jax.random.key(seed), Stream.LATENT)
        function = partial(programs.log_prob, self.experiment.model, measure, preprocess, self.used.variables, key)
        return programs.in_chunks(function, batch)

    def seen(self, x: Num[np.ndarray, "n *shape"]) -> Float[np.ndarray, "n *shape"]:
        """Returns examples in the data's units, grey levels in [0, 1], as the model sees them but for standardising.

        Statically binarised examples are drawn.
        """
        return self._with_offset(scaled(self._check(Examples(x)).x))

    def target(self, part: Examples) -> Float[np.ndarray, "n *shape"]:
        """Returns what is to be reconstructed of examples, in the units of `decode`."""
        return self.seen(part.x) if part.y is None else np.asarray(part.y, np.float32)

    def apply(
        self, function: Callable[..., Array], x: Num[np.ndarray, "n *shape"], label: Labels | None = None
    ) -> np.ndarray:
        """Applies `function(model, batch)` to all examples, compiled once; its results are `[n, ...]`.

        The model that the function gets is bound to its variables, and the examples are preprocessed.
        """
        model, preprocess = self.experiment.model, as_arrays(self.preprocess)
        function = partial(programs.apply, function, model, self.used.variables, preprocess)
        return programs.in_chunks(function, self._check(Examples(x, self._numbers(label))))

    def means(self, measure: Any, part: Examples) -> dict[str, Any]:
        """Takes the mean over a part of what `measure(model, batch)` gives of each example, some examples at a time.

        Args:
            measure: gives named values `[batch, ...]`; a pytree, its numbers arrays. See `apply` for what it gets.
            part: the examples, which may be on disk.

        Returns:
            The means by name, as `core.means` returns them: the number of examples on the device is small.
        """
        function = partial(programs.summed, measure, self.experiment.model, self.used.variables)
        return programs.means_in_chunks(partial(function, as_arrays(self.preprocess)), part, self._check)

    def evaluate(self, part: Any) -> dict[str, float]:
        """Measures the loss and its terms in nats per example, the squared error, and both per value, on a part.

        Bits per dimension are given where the likelihood gives masses: see `metrics.is_mass`. `part` is `Examples`, an
        array, or a pair of an array and its labels. Of a large part on disk a little is in memory at once.
        """
        experiment, part = self.experiment, self._examples(part)
        loss, preprocess = as_arrays((experiment.loss, self.preprocess))
        measures = (loss, ReconstructionError(loss.likelihood))
        key = jax.random.key(experiment.seed)
        size, sums, mass = min(CHUNK, len(part)), [], True
        for piece, place in self._pieces(part, size):
            held = self._check(piece.read())
            mass = mass and is_mass(experiment.loss.likelihood, self.preprocess, held)
            placed = devices.place(held, preprocess)
            sums.append(devices.evaluate(experiment.model, measures, preprocess, self.used, placed, key, size, **place))
            jax.block_until_ready(sums[-1])  # else all pieces would be in memory before the first is measured
        metrics = means(jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *sums))
        return metrics | per_value(metrics, self.shape, mass)

    def _pieces(self, part: Examples, size: int) -> Iterator[tuple[Examples, dict[str, Any]]]:
        """Yields a part on disk in pieces of batches, each with its place: see `core.outputs`; any other one whole."""
        if not isinstance(part, Stored) or isinstance(self.preprocess, StaticBinarise) or part.nbytes <= _AT_ONCE:
            yield part, {}
            return
        at_once, batches = max(1, _AT_ONCE * len(part) // (size * part.nbytes)), -(-len(part) // size)
        for first in range(0, batches, at_once):
            rows = np.arange(first * size, min(first + at_once, batches) * size) % len(part)
            yield part.take(rows), {"first": np.int32(first), "size": np.int32(len(part))}

    def explore(
        self, examples: Any = None, *, most: int = 200, precision: Literal["float16", "float32"] = "float16"
    ) -> Explorer:
        """Makes a web page of this model, in which its encoder and decoder run by themselves; a notebook shows it.

        Args:
            examples: those whose codes are shown, as `Examples`, an array, or a pair of an array and its labels; None:
                the test part of the data that the model was trained on.
            most: the largest number of examples that the page holds itself.
            precision: how the page keeps weights and codes. float16, of three digits, halves the file; what it computes
                then differs from `decode` by a few thousandths.

        Returns:
            The page, whose `save(path)` writes it: one HTML file that refers to nothing else.

        Raises:
            InputError: where the data are not there, and for a model with an operation that a page cannot run.
        """
        if most < 2:
            raise InputError(f"the page is to hold {most} examples: give 2 or more")
        if examples is None:
            part = load_again(self.experiment.data, self.data, remedy="give examples").test
        else:
            part = self._examples(examples)
        return exploring.explorer(self, part, most, precision == "float16")

    def as_held(self, part: Examples) -> Examples:
        """Returns examples as the device holds them: in the units of the training data, statically binarised if so."""
        return self._check(part.read())

    def place(self, part: Examples) -> Examples:
        """Places a part on the device for evaluation. Raises `InputError` for examples that the model does not take."""
        return devices.place(self.as_held(part), as_arrays(self.preprocess))

    def _examples(self, given: Any) -> Examples:
        """Returns examples as they are, and reads arrays and data frames as the run's own data were read."""
        x, label = given if isinstance(given, tuple) else (given, None)
        return as_examples(x, label, self.experiment.data, self.schema)

    def require_of_codes(self) -> None:
        """Raises `InputError` for a model whose output also depends on the example, so that codes alone have none."""
        if traits.READS_INPUT in self.experiment.model.meets:
            raise InputError(
                f"the output of {self.experiment.name} is not of its codes alone, but of the example itself too: "
                "reconstruct the examples (aejax reconstruct)"
            )

    @cached_property
    def _prepared(self) -> Prepared:
        """What the detector has to know of the reference."""
        model, detector = self.experiment.model, self.experiment.detector
        if detector is None or self.reference is None:
            raise InputError(
                f"{self.experiment.name} has no detector: score by squared_error or nats, or train an experiment that "
                "has one, as dae-tabular"
            )
        likelihood = as_arrays(self.experiment.loss.likelihood)
        return programs.prepare(model, detector, likelihood, self.used.variables, self.reference.examples())

    def _decode_rows(
        self, z: Float[np.ndarray, "rows steps latent"], label: Labels | None
    ) -> Float[np.ndarray, "rows steps *shape"]:
        return self.decode(z.reshape(-1, z.shape[2]), label).reshape(*z.shape[:2], *self.shape)

    def _numbers(self, label: Labels | None) -> Any:
        """Returns labels that are names of the training data's classes as the numbers of these, others as they are."""
        if label is None or not self.experiment.model.classes:
            return None
        label = as_array(label, "the labels")
        named = label.dtype.kind in "OUST" and bool(self.schema.classes)
        return numbers_of(label, self.schema.classes, "the array of labels") if named else label

    def _check_label(self, label: Labels | None, n: int) -> Labels | None:
        """Returns the labels as int32 for a conditional model, and None for any other.

        Raises `InputError` unless there is one of the model's labels for each of the `n` examples.
        """
        model = self.experiment.model
        if label is None or not model.classes:
            return None
        label = np.asarray(label)
        if label.shape != (n,) or label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= model.classes:
            raise InputError(
                f"the labels are {label.dtype} of shape {label.shape}, but this model needs {n} whole numbers "
                f"from 0 to {model.classes - 1}"
            )
        return label.astype(np.int32)

    def _with_offset(self, x: Float[np.ndarray, "n *shape"]) -> Float[np.ndarray, "n *shape"]:
        """Adds what was subtracted of the training data before they became float32; the sum is float64."""
        offset = () if self.data is None else self.data.offset
        return x + np.reshape(offset, (1, *self.shape)) if offset else x

    def _array(self, x: Any) -> np.ndarray:
        """Returns anything that is like an array as one; a data frame is read as the run's own table was."""
        if hasattr(x, "__arrow_c_stream__"):
            return np.asarray(self._examples(x).x)
        return as_array(x, "the examples")

    def _check(self, batch: Examples, larger: bool = False) -> Examples:
        """Returns the examples as the model takes them: in the units of its training data, statically binarised if so.

        With `larger` it takes images that are larger than those of its training data too. Raises `InputError` for any
        that it does not take.
        """
        x = self._array(batch.x)
        if x.dtype.kind not in "buif":
            raise InputError(f"the examples have type {x.dtype}, but must be real numbers")
        given = x.shape
        if x.ndim == len(self.shape) and self.shape[-1] == 1:
            x = x[..., None]
        if larger and len(x) and x.ndim == 4 and x.shape[1:] != self.shape:
            self._require_tiles(x.shape, given)
        elif len(x) == 0 or x.shape[1:] != self.shape:
            raise InputError(
                f"the examples have shape {given}, but this model was trained on (n, {_list(self.shape)})"
                + _of_one(given, self.shape, "x")
            )
        noisy = not self.experiment.loss.corruption.clean
        counts = self.preprocess.counts
        x = as_stored(x) if self.data is None else in_units(x, self.data, noisy, counts)
        if counts and not noisy and (x != np.rint(x)).any():
            raise InputError(
                "the examples have values between whole numbers, but this model was trained on counts: give counts as "
                "they were counted"
            )
        low, high = self._bounds() if not noisy else (-np.inf, np.inf)  # noise may go anywhere
        if x.dtype != np.uint8 and (x.min() < low or x.max() > high):
            raise InputError(
                f"the examples have values from {x.min():g} to {x.max():g}, but this model was trained on values "
                f"in [{low:g}, {high:g}]: scale them as its training data was"
            )
        label = self._check_label(batch.label, len(x))
        return dataclasses.replace(batch, x=self.preprocess.in_use(x), label=label)

    def _require_tiles(self, shape: tuple[int, ...], given: tuple[int, ...]) -> None:
        """Raises `InputError` unless images of a shape, as which others were `given`, can be cut into tiles."""
        if len(self.shape) != 3 or shape[3] != self.shape[2] or min(np.subtract(shape[1:3], self.shape[:2])) < 0:
            raise InputError(
                f"the images have shape {given}, but this model was trained on (n, {_list(self.shape)}): give images "
                "of as many channels that are as large or larger" + _of_one(given, self.shape, "x")
            )
        if self.data is not None and self.data.offset:
            raise InputError(
                f"the images have shape {given}, but the training data had a mean subtracted of each pixel: give "
                f"images of shape (n, {_list(self.shape)})"
            )

    @property
    def grey(self) -> bool:
        """Whether examples are grey levels, uint8 or in [0, 1]; with no record of the data, whether they must be.

        Of any others the values are in the units of the training data.
        """
        return self._bounds() == (0, 1) if self.data is None else self.data.dtype == "uint8"

    def _bounds(self) -> tuple[float, float]:
        """Returns the least and the greatest value that likelihood and preprocessing have a meaning for."""
        lows, highs = zip(self.experiment.loss.likelihood.support, self.preprocess.domain, strict=True)
        return max(lows), min(highs)


def _of_one(given: tuple[int, ...], shape: tuple[int, ...], name: str) -> str:
    """Returns what to do with an array that is a single example, or code, of a shape; nothing for any other."""
    return f": give a single one as {name}[None]" if given == shape or (*given, 1) == shape else ""


def _list(shape: tuple[int, ...]) -> str:
    return ", ".join(str(size) for size in shape)
