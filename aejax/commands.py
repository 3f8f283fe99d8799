"""The commands of `aejax`, one dataclass each: its fields are the flags, calling it runs it.

Imports are inside the calls: only a command that needs JAX waits for it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from aejax import registry
from aejax.errors import InputError

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class List:
    """Lists the registered experiments."""

    def __call__(self) -> None:
        """Prints a line for each."""
        _print_names(registry.names())


@dataclass(frozen=True)
class Show:
    """Shows all that an experiment says, as JSON."""

    name: Positional[str]
    """A name that `aejax list` shows."""

    def __call__(self) -> None:
        """Prints the JSON form."""
        from aejax.experiment import dumps

        print(dumps(registry.get(self.name)))


@dataclass(frozen=True)
class Train:
    """Trains an experiment, and leaves a run directory with metrics, checkpoints and figures.

    `aejax train NAME --help` lists every setting of that experiment: each can be given.
    """

    name: Positional[str]
    """A name that `aejax list` shows."""


@dataclass(frozen=True)
class Eval:
    """Measures a trained model on a part of its data set, or on other data."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    data: str | None = None
    """Another data set, or a file; by default the one that the model was trained on."""
    split: Split = "test"
    """Which part of it."""
    samples: int = 50
    """Importance samples of each example for a variational model's likelihood: published figures take 5000."""

    def __call__(self) -> None:
        """Prints the metrics as a table."""
        from aejax import report, suite
        from aejax.data import load, read_examples

        if self.samples < 1:
            raise InputError(f"--samples is {self.samples}: give at least 1")
        trained = _trained(self.run)
        part = read_examples(self.data, self.split) if self.data else load(trained.experiment.data).part(self.split)
        report.show(trained, suite.measure(trained, part, self.samples), self.split)


@dataclass(frozen=True)
class _OverExamples:
    """What the commands share that take examples through a trained model."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    data: str
    """A data set's name, .npy, .npz, .mat or a folder of images."""
    out: Path
    """The .npy file to write."""
    split: Split = "test"
    """Which part of a data set that has a name."""

    def _examples(self) -> Any:
        from aejax.data import read_examples

        return read_examples(self.data, self.split).x


@dataclass(frozen=True)
class Encode(_OverExamples):
    """Encodes examples and writes their codes."""

    def __call__(self) -> None:
        """Writes codes `[n, latent]`, float32."""
        _check_out(self.out)
        _save_array(self.out, _trained(self.run).encode(self._examples()))


@dataclass(frozen=True)
class Decode:
    """Decodes codes and writes the examples they stand for."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    data: Path
    """Codes as `aejax encode` writes them: .npy, `[n, latent]`."""
    out: Path
    """The .npy file to write."""

    def __call__(self) -> None:
        """Writes examples `[n, *shape]`, float32."""
        from aejax.data import read_array

        _check_out(self.out)
        _save_array(self.out, _trained(self.run).decode(read_array(self.data)))


@dataclass(frozen=True)
class Reconstruct(_OverExamples):
    """Encodes and decodes examples, and writes the reconstructions."""

    def __call__(self) -> None:
        """Writes reconstructions `[n, *shape]`, float32."""
        _check_out(self.out)
        _save_array(self.out, _trained(self.run).reconstruct(self._examples()))


@dataclass(frozen=True)
class Denoise(Reconstruct):
    """Removes the noise from examples, and writes them clean: what a denoising model reconstructs."""


@dataclass(frozen=True)
class Score:
    """Scores how unlike the training data each example is, and flags those above a threshold."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    data: str
    """A data set's name, .npy, .npz, .mat or a folder of images."""
    out: Path
    """The .npy file to write."""
    threshold: str = "fpr=0.01"
    """Chosen on the validation part of the run's own data: fpr=RATE lets at most that share of it be flagged,
    quantile=Q is that quantile of its scores."""
    kind: Literal["squared_error", "nats"] = "squared_error"
    """Squared error of the reconstruction, or its negative log-likelihood."""
    split: Split = "test"
    """Which part of a data set that has a name."""

    def __call__(self) -> None:
        """Writes scores `[n]`, float32, and prints the threshold and the share above it."""
        from aejax.data import load, read_examples
        from aejax.metrics.anomaly import parse_threshold

        _check_out(self.out)
        choose = parse_threshold(self.threshold)
        trained = _trained(self.run)
        normal = load(trained.experiment.data).validation.x
        if len(normal) == 0:
            raise InputError(f"{self.run} held out no validation part to choose a threshold on: train with one")
        scores = trained.score(read_examples(self.data, self.split).x, self.kind)
        threshold = choose(trained.score(normal, self.kind))
        _save_array(self.out, scores)
        flagged = (scores > threshold).mean()
        print(f"threshold {threshold:.6g} ({self.threshold} of validation): {flagged:.2%} of {len(scores)} flagged")


@dataclass(frozen=True)
class Compress:
    """Compresses examples to their codes, a few bits for each dimension, in one small file."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    data: str
    """A data set's name, .npy, .npz, .mat or a folder of images."""
    out: Path
    """The file to write: x.aej."""
    bits: int = 4
    """For each dimension of the code, 1 to 8, before entropy coding."""
    split: Split = "test"
    """Which part of a data set that has a name."""

    def __call__(self) -> None:
        """Writes the file, and prints its size. The quantiser is fitted on codes of the run's training part."""
        from aejax.compress import compress
        from aejax.data import load, read_examples
        from aejax.quantise import Quantizer
        from aejax.runs import write_atomically

        _check_out(self.out)
        trained = _trained(self.run)
        x = read_examples(self.data, self.split).x
        quantizer = Quantizer.fit(trained.encode(load(trained.experiment.data).train.x), self.bits)
        content = compress(trained, x, quantizer)
        write_atomically(self.out, lambda file: file.write(content))
        print(f"{self.out}: {len(content)} bytes for {len(x)} examples, {8 * len(content) / len(x):.1f} bits each")


@dataclass(frozen=True)
class Decompress:
    """Decodes a file that `aejax compress` wrote, with the run that it was written with."""

    run: Positional[Path]
    """The run directory that compressed it."""
    file: Positional[Path]
    """A file that `aejax compress` wrote."""
    out: Path
    """The .npy file to write."""

    def __call__(self) -> None:
        """Writes examples `[n, *shape]`, float32."""
        from aejax.compress import decompress

        _check_out(self.out)
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise InputError(f"{self.file} cannot be read ({error.strerror}): give a compressed file") from None
        _save_array(self.out, decompress(_trained(self.run), content))


@dataclass(frozen=True)
class Probe:
    """Measures how much the codes say about the labels, beside raw values and PCA of the same size."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    kinds: tuple[Literal["logistic", "svm", "knn", "kmeans"], ...] = ("logistic", "knn")
    """Logistic regression, linear SVM, nearest neighbour, or clusters matched to classes."""
    most: int = 10_000
    """At most so many training examples are used."""

    def __call__(self) -> None:
        """Prints a row for each input of the probes."""
        import numpy as np

        from aejax import report
        from aejax.data import Dataset, load
        from aejax.probes import compare

        trained = _trained(self.run)
        data = load(trained.experiment.data)
        few = data.train.take(np.arange(min(self.most, len(data.train))))
        report.show_rows(compare(trained, Dataset(data.name, few, data.validation, data.test), self.kinds))


@dataclass(frozen=True)
class Figures:
    """Draws a run's figures again."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""

    def __call__(self) -> None:
        """Writes PNG files into RUN/figures."""
        from aejax import report
        from aejax.data import load

        trained = _trained(self.run)
        for path in report.draw(trained, load(trained.experiment.data), self.run / "figures"):
            print(path)


@dataclass(frozen=True)
class Data:
    """Lists and prepares data sets: see `aejax data --help`."""


@dataclass(frozen=True)
class DataList:
    """Lists the data sets that have a name."""

    def __call__(self) -> None:
        """Prints a line for each, and what else can be named."""
        from aejax.data import names

        _print_names(
            names()
            | {
                "tfds:NAME": "any TFDS data set of images or vectors",
                "PATH": ".npy, .npz, .mat or a folder of images",
            }
        )


@dataclass(frozen=True)
class DataPrepare:
    """Puts a data set into the cache, once."""

    name: Positional[str]
    """A name that `aejax data list` shows."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A folder with the data set's original files; by default they are downloaded."""

    def __call__(self) -> None:
        """Prints where it went."""
        from aejax.data import prepare

        print(prepare(self.name, self.source))


def _trained(run: Path) -> Any:
    from aejax.devices import start
    from aejax.trained import load

    start()
    return load(run)


def _check_out(path: Path) -> None:
    """Raises `InputError` unless a file can be written there: said before the work, not after it."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: give --out a file in a folder that exists and may be written to")


def _save_array(path: Path, array: Any) -> None:
    import numpy as np

    from aejax.runs import write_atomically

    write_atomically(path, lambda file: np.save(file, array))
    print(f"{path}: {' x '.join(str(size) for size in array.shape)} {array.dtype}")


def _print_names(lines: dict[str, str]) -> None:
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        print(f"{name:{width}}  {line}")


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "show": Show,
    "train": Train,
    "eval": Eval,
    "encode": Encode,
    "decode": Decode,
    "reconstruct": Reconstruct,
    "denoise": Denoise,
    "score": Score,
    "compress": Compress,
    "decompress": Decompress,
    "probe": Probe,
    "figures": Figures,
    "data": Data,
}
DATA_COMMANDS: dict[str, Callable[..., Any]] = {"list": DataList, "prepare": DataPrepare}
