"""Holds the commands that take examples through a trained model."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from aejax.cli._common import Split, beside, check_out, each_whole, examples, load_run, own_data, save_array
from aejax.core import InputError

log = logging.getLogger("aejax")

WRITTEN = (".npy", ".npz", ".csv", ".parquet")
"""The ends of the names of files that these commands write."""


@dataclass(frozen=True)
class _OverExamples:
    """Holds the flags that commands share which take examples through a trained model."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    data: str
    """A data set's name or a path, read as the run's own data: see `aejax data check`."""
    out: Path
    """The file to write: .npy, or .npz, .csv or .parquet, which hold each example's number too, the file of an image,
    and its label."""
    split: Split | None = None
    """The part to take, of data that have parts or that the run was trained on; by default test, and all of a file
    without parts."""
    label: int | None = None
    """The class of all examples, for a conditional model; by default the data's own labels."""
    labels: str | None = None
    """The column or array of labels; by default that of the run's own data."""

    def _given(self, trained: Any) -> Any:
        return examples(trained, self.data, self.split, self.label, self.labels, gaps=True)

    def _save(self, trained: Any, main: str, what: str, function: Callable[[Any, Any], Any], names: Any = None) -> None:
        """Writes what a function makes of the examples, and says of which."""
        given = self._given(trained)
        made = each_whole(given, function)
        around = beside(given, trained.schema.classes)
        save_array(self.out, main, made, around, names, f"{what} of {given.told}")


@dataclass(frozen=True)
class EncodeCommand(_OverExamples):
    """Encodes examples and writes their codes."""

    def __call__(self) -> None:
        """Writes the codes `[n, latent]`, float32."""
        check_out(self.out, WRITTEN)
        trained = load_run(self.run)
        self._save(trained, "code", "codes", trained.encode)


@dataclass(frozen=True)
class DecodeCommand:
    """Decodes codes and writes the examples that they stand for."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    data: Path
    """Codes as `aejax encode` writes them, `[n, latent]`."""
    out: Path
    """The file to write: .npy, .npz, .csv or .parquet."""
    label: int | None = None
    """The class as which a conditional model decodes all codes."""

    def __call__(self) -> None:
        """Writes the examples `[n, *shape]`, float32."""
        import numpy as np

        from aejax.data import read_array

        check_out(self.out, WRITTEN)
        codes = read_array(self.data)
        label = None if self.label is None else np.full(len(codes), self.label)
        trained = load_run(self.run)
        save_array(self.out, "x", trained.decode(codes, label), names=trained.schema.columns)


@dataclass(frozen=True)
class ReconstructCommand(_OverExamples):
    """Encodes and decodes examples, and writes the reconstructions."""

    def __call__(self) -> None:
        """Writes the reconstructions `[n, *shape]`, float32."""
        check_out(self.out, WRITTEN)
        trained = load_run(self.run)
        self._save(trained, "x", "reconstructions", trained.reconstruct, trained.schema.columns)


@dataclass(frozen=True)
class DenoiseCommand(_OverExamples):
    """Removes noise from examples, or fills holes in images: writes what a denoising model reconstructs of them.

    Images may be larger than those that the model was trained on: it is used on overlapping tiles.
    """

    out: Path
    """The file to write: .npy, or .npz, .csv or .parquet, which hold each example's number, file and label too. Or a
    .png for an image file, and for a folder of images, which may differ in size, a folder that is not there yet."""
    mask: Path | None = None
    """An image of the same size, white where pixels are missing, of all examples alike: these alone are replaced. The
    model must have been trained to fill in what is missing (--loss.corruption holes)."""

    def __call__(self) -> None:
        """Writes the denoised examples `[n, *shape]`, float32, or image files, each of the size that it had."""
        if self.out.suffix.lower() in WRITTEN:
            check_out(self.out, WRITTEN)
            trained = load_run(self.run)
            denoise = partial(trained.denoise, missing=self._missing())
            self._save(trained, "x", "denoised examples", denoise, trained.schema.columns)
        else:
            self._pictures()

    def _missing(self) -> Any:
        from aejax.data import read_picture

        return None if self.mask is None else read_picture(self.mask, 1)[..., 0] >= _WHITE

    def _pictures(self) -> None:
        """Denoises an image file, or all images of a folder."""
        from aejax.data import is_picture, picture_files, read_picture, write_picture
        from aejax.runs import write_atomically
        from aejax.trained import require_pictures

        source = Path(self.data).expanduser()
        if not source.exists():
            raise InputError(f"there is no {source}: give an image, a folder of images, or a data set with --out x.npy")
        alone = is_picture(source)
        formats = WRITTEN if self.out.suffix else None  # a folder's name has no end
        if not alone and self.out.exists():
            raise InputError(f"{self.out} is there already: give --out a folder that is not there yet")
        check_out(self.out, (".png", *WRITTEN) if alone else formats)
        if self.out.exists() and self.out.samefile(source):
            raise InputError(f"--out is {source} itself, which would be lost: give another file")
        files, missing = [source] if alone else picture_files(source), self._missing()
        trained = load_run(self.run)
        require_pictures(trained)
        (height, width, channels), coloured = trained.shape, False
        for path in files:  # before any is written
            seen = read_picture(path, 3)
            size, coloured = seen.shape[:2], coloured or bool((seen != seen[..., :1]).any())
            if size[0] < height or size[1] < width:
                raise InputError(
                    f"{path} has {size[0]} x {size[1]} pixels, fewer than the {height} x {width} of the images that "
                    "the model was trained on: leave it out"
                )
            if missing is not None and missing.shape != size:
                raise InputError(
                    f"{path} has {size[0]} x {size[1]} pixels, and the mask {missing.shape[0]} x {missing.shape[1]}: "
                    "give a mask of the same size"
                )
        if channels == 1 and coloured:
            log.warning("%s is in colour, and becomes grey, as the images are that the model was trained on", source)
        if not alone:
            self.out.mkdir()
        for path in files:
            image = read_picture(path, channels)[None]
            label = None if self.label is None else [self.label]
            made = trained.denoise(image, label, missing=missing)[0]
            target = self.out if alone else self.out / f"{path.stem}.png"
            write_atomically(target, partial(write_picture, image=made))
        print(f"{self.out}: {f'{len(made)} x {len(made[0])} pixels' if alone else f'{len(files)} images'}")


_WHITE = 128
"""The grey level from which on a mask's pixel is white."""

_ENOUGH = 100
"""Number of validation examples from which on one in a hundred can be flagged."""


@dataclass(frozen=True)
class ScoreCommand(_OverExamples):
    """Scores how unlike the training data each example is, and counts those above a threshold."""

    threshold: str | None = None
    """How the threshold is chosen on the validation part of the run's own data: fpr=RATE flags at most that share of
    it, quantile=Q is that quantile of its scores. By default fpr=0.01 where that part is large enough, else none."""
    kind: Literal["squared_error", "nats", "detector"] | None = None
    """The score: the squared error of the reconstruction, its negative log-likelihood in nats, or the surprise
    among rows of the training part; by default the last where the experiment has a detector, else the first."""
    outlier: tuple[str, ...] = ()
    """The labels that mark outliers, for AUROC and average precision; by default those of the run's own data."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def _given(self, trained: Any) -> Any:
        return examples(trained, self.data, self.split, self.label, self.labels, self.outlier, gaps=True)

    def __call__(self) -> None:
        """Writes the scores `[n]`, float32, and prints the threshold and the share of examples above it.

        In files of several arrays the number of each row, its label, and whether it is above the threshold stand beside
        its score. Where labels flag outliers, AUROC and average precision are printed too.
        """
        import numpy as np

        from aejax.evaluation import suite
        from aejax.metrics import flagged, parse_threshold

        check_out(self.out, WRITTEN)
        asked = self.threshold or "fpr=0.01"
        choose = parse_threshold(asked)
        trained = load_run(self.run)
        normal = own_data(trained, self.trained_on).validation.within()
        if self.threshold is not None and len(normal) == 0:
            raise InputError(
                f"{self.run} held out no validation part to choose a threshold on: train one that does, with "
                "--data.validation 0.1"
            )
        given = self._given(trained)
        scores = each_whole(given, lambda x, label: trained.score(x, self.kind, label))
        bad = np.flatnonzero(~np.isfinite(scores))
        around = beside(given, ("normal", "outlier") if self.outlier else trained.schema.classes)
        if self.threshold is None and len(normal) < _ENOUGH:
            said = f"no threshold: {len(normal)} validation examples are too few for {asked}; give --threshold fpr=RATE"
        else:
            threshold = choose(trained.score(normal.x, self.kind, normal.label))
            around["flagged"] = flagged(scores, threshold)
            share = around["flagged"].mean()
            said = f"threshold {threshold:.6g} ({asked} of validation): {share:.2%} of {len(scores)} flagged"
        save_array(self.out, "score", scores, around, said=f"scores of {given.told}")
        print(said)
        if len(bad):
            counted = " and count as flagged" if "flagged" in around else ""
            print(f"{len(bad)} of them have no finite score{counted}, the first is number {bad[0]}")
        if self.outlier or suite.flags_outliers(trained.experiment, self.data):
            for name, value in suite.measure_detection(trained, given.whole, self.kind).items():
                print(f"{name.replace('_', ' ')} {value:.4f}")


@dataclass(frozen=True)
class CompressCommand:
    """Compresses examples to their codes in one small file: a few bits a dimension, or indices of a codebook."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    data: str
    """A data set's name or a path, read as the run's own data: see `aejax data check`."""
    out: Path
    """The file to write, such as x.aej."""
    bits: int | None = None
    """Bits for each dimension of the code, 1 to 8, before entropy coding; 4 by default. A codebook's indices take no
    such setting."""
    split: Split | None = None
    """The part to take, of data that have parts or that the run was trained on; by default test, and all of a file
    without parts."""
    label: int | None = None
    """The class of all examples, for a conditional model; by default the data's own labels. The file keeps them."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Writes the file, and prints its size. The quantiser is fitted to codes of the run's training part."""
        from aejax.runs import write_atomically
        from aejax.trained import compress

        check_out(self.out)
        trained = load_run(self.run)
        given = examples(trained, self.data, self.split, self.label)
        part = given.examples
        content = compress(trained, part.x, self._quantizer(trained), part.label)
        write_atomically(self.out, lambda file: file.write(content))
        each = 8 * len(content) / len(part)
        print(f"{self.out}: {len(content)} bytes for {len(part)} examples, {each:.1f} bits each: {given.told}")

    def _quantizer(self, trained: Any) -> Any:
        from aejax.trained import Quantizer

        if not trained.is_discrete:
            train = own_data(trained, self.trained_on).train.within()
            return Quantizer.fit(trained.encode(train.x, train.label), 4 if self.bits is None else self.bits)
        if self.bits is not None:
            raise InputError(f"the codes of {self.run} are indices, which take no --bits: leave it out")
        return None


@dataclass(frozen=True)
class DecompressCommand:
    """Decodes a file that `aejax compress` wrote, with the run that it was written with."""

    run: Positional[Path]
    """The run directory with which the file was compressed."""
    file: Positional[Path]
    """A file that `aejax compress` wrote."""
    out: Path
    """The file to write: .npy, .npz, .csv or .parquet."""

    def __call__(self) -> None:
        """Writes the decoded examples `[n, *shape]`, float32."""
        from aejax.trained import decompress

        check_out(self.out, WRITTEN)
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise InputError(f"{self.file} cannot be read ({error.strerror}): give a compressed file") from None
        trained = load_run(self.run)
        save_array(self.out, "x", decompress(trained, content), names=trained.schema.columns)
