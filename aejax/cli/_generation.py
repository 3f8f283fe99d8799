"""Holds the commands that make new examples."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from aejax.cli._common import Split, check_out, examples, load_run, own_data, save_array
from aejax.core import InputError


@dataclass(frozen=True)
class SampleCommand:
    """Generates new examples: draws codes and decodes them."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    out: Path
    """The file to write: .npy, or .png for a picture of the examples."""
    n: int = 64
    """Number of examples."""
    source: Annotated[Literal["sampler", "prior", "posterior"] | None, tyro.conf.arg(name="from")] = None
    """Where codes are drawn from: what `aejax sampler` has fitted to the run's codes, the model's prior, or a mixture
    of Gaussians that is fitted to codes of its training examples now. By default the sampler, or else the prior. Codes
    that are told by indices are drawn index by index where they have neither, and from posterior: each as often as
    training examples have it."""
    label: int | None = None
    """The class of all examples, for a conditional model; by default the classes in turn."""
    draw: bool = False
    """Draw each value from the likelihood too; by default it is the likelihood's mean."""
    seed: int = 0
    """Seed of all draws."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Writes the samples `[n, *shape]`, float32, or a picture of them in a grid."""
        _check_file(self.out)
        trained = load_run(self.run)
        _check_drawable(self.out, trained)
        if self.source == "sampler" and trained.sampler is None:
            raise InputError(f"{self.run} has no sampler for this step: fit one by aejax sampler {self.run}")
        trained = trained.by_prior if self.source == "prior" else trained
        from_examples = self.source == "posterior" or trained.needs_examples_to_sample
        like = own_data(trained, self.trained_on).train if from_examples else None
        label = _classes(trained.experiment.model, self.n, self.label)
        drawn = trained.sample(self.n, label, like=like, seed=self.seed, draw=self.draw)
        if like is None:
            source = trained.draws_from
        elif trained.is_discrete:
            source = "independent indices, each as often as training examples have it"
        else:
            source = "a mixture fitted to codes of training examples"
        print("codes drawn from", source)
        _write(self.out, trained, drawn, None, "samples")


@dataclass(frozen=True)
class SamplerCommand:
    """Fits what codes are drawn from to the codes of training examples, for a model with or without a prior.

    `aejax sample`, figures and `aejax eval --generation` then draw from it, until the run is trained on; by
    `autoregressive` `aejax compress` also codes indices, to fewer bits.
    """

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    kind: Literal["mixture", "second-stage", "fitted-prior", "autoregressive", "independent"] | None = None
    """What models the codes: a mixture of Gaussians, a second and small VAE, or a masked autoregressive flow; of codes
    that are told by indices, each given those before it, or each by itself. By default the first of either."""
    components: int | None = None
    """Number of Gaussians of a mixture: 10 by default."""
    hidden: tuple[int, ...] | None = None
    """Widths of the hidden layers of a second stage, (256, 256) by default, or of what is autoregressive, (512,)."""
    epochs: int | None = None
    """Number of passes over the indices for what is autoregressive: 20 by default."""
    seed: int = 0
    """Seed of the codes and of the fit."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Writes the sampler into the run's folder, and prints where, and of a test example's indices their bits."""
        from aejax.core import kebab, known_subclasses
        from aejax.evaluation import code_prior_metrics
        from aejax.trained import Sampler, write_sampler

        trained = load_run(self.run)
        kinds = {kebab(cls.__name__): cls for cls in known_subclasses(Sampler)}
        kind = self.kind or ("autoregressive" if trained.is_discrete else "mixture")
        given = {name: getattr(self, name) for name in ("components", "hidden", "epochs")}
        given = {name: value for name, value in given.items() if value is not None}
        foreign = given.keys() - {item.name for item in fields(kinds[kind])}
        if foreign:
            raise InputError(f"--{min(foreign)} is no setting of {kind}: leave it out, or give another --kind")
        data = own_data(trained, self.trained_on)
        fitted = trained.fit_sampler(kinds[kind](**given), like=data.train, seed=self.seed)
        path = write_sampler(trained.run.path, fitted.sampler, int(trained.state.step))
        print(f"{path}: {fitted.draws_from}")
        for bits in code_prior_metrics(fitted, data.test).values():
            print(f"{bits:.1f} bits for the indices of a test example")


@dataclass(frozen=True)
class ExploreCommand:
    """Makes a web page in which the model can be tried out: one file, in which its encoder and decoder run."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    out: Path | None = None
    """The file to write, .html; by default explore.html in the folder of the run."""
    examples: int = 200
    """The largest number of test examples that the page holds itself."""
    precision: Literal["float16", "float32"] = "float16"
    """How the page keeps weights and codes: float16 halves the file, and its values differ by a few thousandths."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Writes the page, and prints its path and size."""
        if self.out is not None:
            check_out(self.out, (".html",))
        trained = load_run(self.run)
        test = own_data(trained, self.trained_on).test
        page = trained.explore(test, most=self.examples, precision=self.precision)
        path = page.save(self.out or (trained.run.path if trained.run else self.run) / "explore.html")
        print(f"{path}: {path.stat().st_size / 1000:,.0f} kB, opens in any browser")


@dataclass(frozen=True)
class InterpolateCommand:
    """Decodes what lies between the codes of two examples: the first and the second, the third and the fourth, ..."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    data: str
    """A data set's name or a path, read as the run's own data: see `aejax data check`."""
    out: Path
    """The file to write: .npy, or .png for a picture with a row for each pair."""
    pairs: int = 8
    """Largest number of pairs."""
    steps: int = 10
    """Number of codes on the way, both ends included."""
    path: Literal["line", "arc"] = "line"
    """The way: a straight line, or an arc through the angle between the two codes."""
    split: Split | None = None
    """The part to take, of data that have parts or that the run was trained on; by default test, and all of a file
    without parts."""
    label: int | None = None
    """The class of all examples, for a conditional model; by default each end has the data's own label, and the label
    changes in the middle of the way."""

    def __call__(self) -> None:
        """Writes the decoded codes `[pairs, steps, *shape]`, float32, or a picture with a row for each pair."""
        _check_file(self.out)
        trained = load_run(self.run)
        given = examples(trained, self.data, self.split, self.label)
        x, label = given.examples.x, given.examples.label
        pairs = min(self.pairs, len(x) // 2)
        if pairs < 1:
            raise InputError(f"{self.pairs} pairs of {len(x)} examples cannot be made: ask for 1 or more, of 2 or more")
        ends = [slice(end, 2 * pairs, 2) for end in (0, 1)]
        labels = None if label is None else tuple(label[end] for end in ends)
        _check_drawable(self.out, trained)
        first, second = (x[end] for end in ends)
        between = trained.interpolate(first, second, labels, steps=self.steps, path=self.path)
        _write(self.out, trained, between, self.steps, f"between examples of {given.told}")


def _classes(model: Any, n: int, label: int | None) -> Any:
    import numpy as np

    return np.arange(n) % (model.classes or 1) if label is None else np.asarray([label] * n)


def _check_file(path: Path) -> None:
    check_out(path, (".npy", ".png"))


def _check_drawable(path: Path, trained: Any) -> None:
    if path.suffix != ".png":
        return
    from aejax.evaluation import figures

    if not figures.is_drawable(trained.shape):
        raise InputError(
            f"{path} cannot be drawn, the model's examples of shape {trained.shape} are no images: give --out a name "
            "in .npy"
        )


def _write(path: Path, trained: Any, drawn: Any, columns: int | None, said: str) -> None:
    """Writes an array, or a picture of its images in a grid with so many columns, and prints what is said of it."""
    if path.suffix == ".npy":
        save_array(path, "x", drawn, said=said)
        return
    from aejax.evaluation import figures
    from aejax.trained.shown import shown_limits

    flat = drawn if columns is None else drawn.reshape(-1, *drawn.shape[2:])
    figures.save(figures.image_grid(flat, columns, limits=shown_limits(trained, flat)), path)
    print(f"{path}: {said}, {len(flat)} images")
