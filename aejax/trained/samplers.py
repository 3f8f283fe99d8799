"""Fits distributions to the codes of a trained model, so that it generates from codes as its decoder knows them.

Ghosh et al. 2020, section 4 (ex-post density estimation): any autoencoder then generates, and a variational one no
longer from codes that its prior has and its encoder does not. A sampler is a value that says how codes are modelled;
fitting it gives arrays, by which it draws. Those of indices are in `index_samplers`. A run keeps them beside its
checkpoints:

    samplers/30.safetensors    that of codes of step 30, with its arrays: see `aejax.runs.array_file`
"""

import json
import logging
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num

from aejax import core, devices
from aejax.core import (
    Adam,
    Cosine,
    Examples,
    InputError,
    Trainable,
    as_arrays,
    configurable,
    first_line,
    json_text,
    static,
)
from aejax.data import Standardise
from aejax.experiment import from_json, to_json
from aejax.losses import KL, GaussianLearnedScale, Loss, Reconstruction
from aejax.models import GaussianLatent, Latent, MAFPrior, MLPDecoder, MLPEncoder, Prior, VariationalAutoencoder
from aejax.runs import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.trained import programs
from aejax.trained._surprise import Surprise
from aejax.trained.codefile import Coder
from aejax.trained.codes import Codes

log = logging.getLogger("aejax")

MOST_FULL = 64
"""Largest number of dimensions for which a mixture's covariances are full; beyond it they are diagonal."""

FOLDER = "samplers"
"""Where a run and a saved model keep their samplers."""

_SUFFIX = ".safetensors"


@configurable
class Sampler:
    """Says how codes are modelled after training, or the indices by which discrete codes are told."""

    of_indices: ClassVar[bool] = False
    """Whether it models indices, whole numbers `[n, positions]`, in place of codes `[n, latent]`."""
    most: ClassVar[int] = 100_000
    """Largest number of examples whose codes it is fitted to."""

    @property
    def told(self) -> str:
        """What it is, in words: codes are drawn from it."""
        raise NotImplementedError

    def fit(self, codes: Codes, latent: Latent, seed: int = 0) -> Any:
        """Fits the sampler, and returns arrays by which `draw` draws.

        Args:
            codes: the codes, finite, or the indices.
            latent: what makes them.
            seed: the seed of everything random in fitting.
        """
        raise NotImplementedError

    def blank(self, latent: Latent) -> Any:
        """Returns the shapes of the arrays that `fit` gives for the codes of a latent."""
        raise NotImplementedError

    def draw(self, arrays: Any, n: int, key: Key[Array, ""]) -> Num[Array, "n _"]:
        """Draws codes, or indices; it may be compiled, with `n` static.

        Args:
            arrays: what `fit` gave.
            n: the number of codes.
            key: the key of the draw.
        """
        raise NotImplementedError

    def fitted(self, arrays: Any, latent: Latent) -> "FittedSampler":
        """Returns the sampler with what it has learned.

        Args:
            arrays: what `fit` gave.
            latent: that of the codes.
        """
        return FittedSampler(self, arrays)


@dataclass(frozen=True)
class FittedSampler:
    """Holds a sampler and what it has learned."""

    sampler: Sampler
    """How codes are modelled."""
    arrays: Any = field(repr=False)
    """What `Sampler.fit` gave."""

    @classmethod
    def of(cls, sampler: Sampler, codes: Codes, latent: Latent, seed: int = 0) -> "FittedSampler":
        """Fits a sampler.

        Args:
            sampler: how codes are modelled.
            codes: the codes, finite, or the indices.
            latent: what makes them.
            seed: the seed of fitting.
        """
        return sampler.fitted(sampler.fit(codes, latent, seed), latent)

    def draw(self, n: int, seed: int = 0) -> Num[np.ndarray, "n _"]:
        """Draws `n` codes, or the indices of so many, by a seed."""
        key = core.derive(jax.random.key(seed), core.Stream.CODES)
        return np.asarray(_drawn(self.sampler, self.arrays, n, key))

    @property
    def coder(self) -> Coder | None:
        """What codes indices to as few bits as their probabilities say; None where it knows no such ones."""
        return None


@partial(jax.jit, static_argnums=(0, 2))
def _drawn(sampler: Sampler, arrays: Any, n: int, key: Key[Array, ""]) -> Num[Array, "n _"]:
    return sampler.draw(arrays, n, key)


@configurable
class Mixture(Sampler):
    """Mixes Gaussians of full covariance, fitted by expectation-maximisation (Dempster et al. 1977).

    Of codes of more than 64 dimensions the covariances are diagonal. scikit-learn fits it.
    """

    most = 10_000
    components: int = static(default=10)
    """Number of Gaussians, of which no more are used than there are codes: Ghosh et al. 2020 take 10."""

    @property
    def told(self) -> str:
        """What it is, with the number of Gaussians."""
        return f"a mixture of {self.components} Gaussians fitted to codes"

    def fit(self, codes: Codes, latent: Latent, seed: int = 0) -> Any:
        """Returns log-weights, means and factors of the covariances. Raises `InputError` for less than one Gaussian.

        Args:
            codes: the codes.
            latent: not used.
            seed: the seed of the first assignment of codes to Gaussians.
        """
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        if self.components < 1:
            raise InputError(f"a mixture of {self.components} Gaussians draws nothing: give it 1 or more")
        kind, count = "full" if codes.shape[1] <= MOST_FULL else "diag", min(self.components, len(codes))
        mixture = GaussianMixture(count, covariance_type=kind, random_state=seed)
        with threadpool_limits(1):  # its products are so small that threads only wait for each other
            mixture.fit(codes.astype(np.float64))
        factors = np.linalg.cholesky(mixture.covariances_) if kind == "full" else np.sqrt(mixture.covariances_)
        found = {"log_weights": np.log(mixture.weights_), "means": mixture.means_, "factors": factors}
        fills = {"log_weights": -np.inf, "means": 0.0, "factors": 0.0}

        def padded(name: str, rows: np.ndarray) -> Array:
            missing = [(0, self.components - count)] + [(0, 0)] * (rows.ndim - 1)
            return jnp.asarray(np.pad(rows, missing, constant_values=fills[name]), jnp.float32)

        return {name: padded(name, rows) for name, rows in found.items()}

    def blank(self, latent: Latent) -> Any:
        """Returns the shapes of log-weights, means and factors."""
        size = latent.size
        shapes = {"log_weights": (), "means": (size,), "factors": (size, size) if size <= MOST_FULL else (size,)}
        return {name: jax.ShapeDtypeStruct((self.components, *shape), jnp.float32) for name, shape in shapes.items()}

    def draw(self, arrays: Any, n: int, key: Key[Array, ""]) -> Float[Array, "n latent"]:
        """Draws each code from a Gaussian that is chosen at random, by the weights.

        Args:
            arrays: what `fit` gave.
            n: the number of codes.
            key: the key of the draw.
        """
        choice, noise = jax.random.split(key)
        chosen = jax.random.categorical(choice, arrays["log_weights"], shape=(n,))
        normal = jax.random.normal(noise, (n, arrays["means"].shape[1]))

        def following(z: Array, component: tuple[Int[Array, ""], Array, Array]) -> tuple[Array, None]:
            number, mean, factor = component
            moved = normal * factor[None] if factor.ndim == 1 else jnp.matmul(normal, factor.T, precision="highest")
            return jnp.where((chosen == number)[:, None], mean[None] + moved, z), None

        numbers = jnp.arange(len(arrays["means"]))
        return jax.lax.scan(following, jnp.zeros_like(normal), (numbers, arrays["means"], arrays["factors"]))[0]


@dataclass(frozen=True)
class _Learned(Sampler):
    """Trains a model on standardised codes by Adam, with aejax's own step; it draws in standard units."""

    steps: int = static(default=3000, kw_only=True)
    """Number of training steps."""
    batch_size: int = static(default=250, kw_only=True)
    """Largest number of codes in the batch of one step."""
    learning_rate: float = static(default=1e-3, kw_only=True)
    """The first learning rate, which falls to zero by a cosine."""

    def fit(self, codes: Codes, latent: Latent, seed: int = 0) -> Any:
        """Returns the variables of the trained model, and the moments of the codes.

        Args:
            codes: the codes.
            latent: what makes them.
            seed: the seed of first parameters, order and noise.
        """
        part, size = Examples(codes.astype(np.float32)), min(self.batch_size, len(codes))
        preprocess = as_arrays(Standardise().fit(part.x))
        epochs = math.ceil(self.steps / (len(codes) // size))
        settings = (*self._parts(latent.size), preprocess)
        for state in devices.states_of_epochs(*settings, part, epochs=epochs, batch_size=size, seed=seed):
            last = state
        return {"variables": dict(last.variables), "preprocess": preprocess}

    def blank(self, latent: Latent) -> Any:
        """Returns the shapes of the variables and of the moments."""
        model, loss, recipe = self._parts(latent.size)
        init = lambda key: core.init(model, loss, recipe, model.blank((latent.size,)), key)  # noqa: E731
        state = jax.eval_shape(init, jax.random.key(0))
        moments = as_arrays(Standardise().fit(np.ones((2, latent.size), np.float32)))
        return {"variables": dict(state.variables), "preprocess": moments}

    def _parts(self, latent: int) -> tuple[Any, Any, Any]:
        """Returns the model of codes, its loss, and the recipe of the optimiser."""
        model, loss = self._model(latent)
        recipe = Adam(self.learning_rate, Cosine(), horizon=float(self.steps))
        return model, *as_arrays((loss, recipe))

    def _model(self, latent: int) -> tuple[Any, Any]:
        """Returns the model of codes and its loss."""
        raise NotImplementedError


@configurable
class SecondStage(_Learned):
    """Models codes by a second, small VAE with as many latents: Dai & Wipf 2019, section 4 (two-stage VAE).

    Where the first one is good, its aggregate posterior is unlike its prior, but has no fewer dimensions than the
    codes; the second can then match it.
    """

    hidden: tuple[int, ...] = static(default=(256, 256))
    """Width of each hidden layer of encoder and decoder."""
    minimum: float = static(default=0.01)
    """Least standard deviation of a standardised code given its latent."""

    @property
    def told(self) -> str:
        """What it is."""
        return "a second VAE of the codes"

    def _model(self, latent: int) -> tuple[Any, Any]:
        parts = (MLPEncoder(self.hidden), GaussianLatent(latent), MLPDecoder(self.hidden))
        likelihood = GaussianLearnedScale(self.minimum)
        model = VariationalAutoencoder(*parts).resolve((latent,), likelihood.raw_shape((latent,)))
        return model, Loss(likelihood, {"reconstruction": Reconstruction(), "kl": KL()})

    def draw(self, arrays: Any, n: int, key: Key[Array, ""]) -> Float[Array, "n latent"]:
        """Draws latents from the second prior, and codes given them.

        Args:
            arrays: what `fit` gave.
            n: the number of codes.
            key: the key of the draw.
        """
        first, second = jax.random.split(key)
        model, loss = self._model(len(arrays["preprocess"].mean))
        variables = arrays["variables"]
        latents = core.apply(lambda model: model.sample_prior(first, n), model, variables, {})[0]
        return programs.decoded(model, variables, loss.likelihood, arrays["preprocess"], latents, None, second)


@configurable
class FittedPrior(_Learned):
    """Models codes by any prior, fitted after training by maximum likelihood: by default a masked autoregressive flow.

    Papamakarios et al. 2017.
    """

    prior: Prior = static(default=MAFPrior())
    """The distribution, which must not need the model's encoder."""

    @property
    def told(self) -> str:
        """What it is, with the class of the prior."""
        return f"{type(self.prior).__name__} fitted to codes"

    def _model(self, latent: int) -> tuple[Any, Any]:
        return _OfCodes(self.prior), Surprise()

    def draw(self, arrays: Any, n: int, key: Key[Array, ""]) -> Float[Array, "n latent"]:
        """Draws codes from the prior.

        Args:
            arrays: what `fit` gave.
            n: the number of codes.
            key: the key of the draw.
        """
        preprocess = arrays["preprocess"]
        shape, model = (n, len(preprocess.mean)), _OfCodes(self.prior)
        drawn = core.apply(lambda model: model.prior.sample(key, shape, _no_encoder), model, arrays["variables"], {})[0]
        return preprocess.invert(drawn)


class _OfCodes(Trainable):
    """Is a prior whose examples are codes."""

    prior: Prior

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-density of each code, in nats."""
        return self.prior.log_prob(z, _no_encoder)


def _no_encoder(batch: Examples) -> Any:
    raise InputError("a prior that is made of a model's posteriors cannot be fitted to codes: give another one")


def write_sampler(folder: Path, fitted: FittedSampler, step: int) -> Path:
    """Keeps a sampler in the folder of a run or a saved model, in place of another one of that step.

    Args:
        folder: the folder.
        fitted: the sampler.
        step: the step whose codes it was fitted to.

    Returns:
        The file.

    Raises:
        OSError: where it cannot be written.
    """
    file = folder / FOLDER / f"{step}{_SUFFIX}"
    file.parent.mkdir(exist_ok=True)
    write_arrays(file, named_arrays({"arrays": fitted.arrays}), {"sampler": json_text(to_json(fitted.sampler))})
    return file


def read_sampler(folder: Path, step: int, latent: Latent) -> FittedSampler | None:
    """Reads the sampler that was fitted to codes of a step; None where there is none, or one that is damaged.

    A warning says of a damaged one, and where there are samplers of other steps alone.

    Args:
        folder: the folder of a run or a saved model.
        step: the step.
        latent: what makes the codes.
    """
    files = {file.stem: file for file in (folder / FOLDER).glob(f"*{_SUFFIX}") if file.stem.isdecimal()}
    if str(step) not in files:
        if files:
            log.warning("%s has a sampler of step %s, none of step %d: fit one", folder, ", ".join(sorted(files)), step)
        return None
    try:
        arrays, texts = read_arrays(files[str(step)])
        sampler = from_json(json.loads(texts["sampler"]))
        found = fill_parts({"arrays": sampler.blank(latent)}, arrays)["arrays"]
        return sampler.fitted(jax.tree.map(jnp.asarray, found), latent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the sampler %s is damaged (%s): fit it again", files[str(step)], first_line(error))
        return None
