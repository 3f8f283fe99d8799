"""Optimiser recipes: pytrees of numbers that turn into Optax transformations inside the compiled step."""

import math
from dataclasses import field

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from aejax.core.errors import InputError
from aejax.core.settings import configurable, positive, static


@configurable
class Schedule:
    """What the learning rate is multiplied by, as a function of the share of training done (0 to 1)."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """The factor at `progress`."""
        raise NotImplementedError


@configurable
class Constant(Schedule):
    """Always 1."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """1."""
        return jnp.ones_like(progress)


@configurable
class Cosine(Schedule):
    """Half a cosine from 1 down to `final`. Loshchilov & Hutter 2017, equation 5, without restarts."""

    final: float = 0.0
    """The factor at the end."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """The half cosine, flat beyond the end."""
        return self.final + (1 - self.final) * 0.5 * (1 + jnp.cos(math.pi * jnp.clip(progress, 0, 1)))


@configurable
class WarmupCosine(Schedule):
    """A straight rise from 0 to 1 over the first `warmup` of training, then half a cosine down to `final`."""

    warmup: float = 0.05
    """The share of training that the rise takes."""
    final: float = 0.0
    """The factor at the end."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """The lower of the rise and the cosine."""
        rise = jnp.minimum(progress / jnp.maximum(self.warmup, 1e-9), 1)
        return jnp.where(
            progress < self.warmup,
            rise,
            Cosine(self.final)((progress - self.warmup) / jnp.maximum(1 - self.warmup, 1e-9)),
        )


@configurable
class Steps(Schedule):
    """Multiplied by `factor` at each of the given shares of training."""

    at: tuple[float, ...] = (0.5, 0.75)
    """Shares of training, each between 0 and 1."""
    factor: float = 0.1
    """The drop at each of them."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """`factor` to the power of the number of drops passed."""
        passed = sum(((progress >= share).astype(jnp.float32) for share in self.at), jnp.zeros_like(progress))
        return self.factor**passed


@configurable
class Optimizer:
    """What all rules share: a learning rate, its schedule, and a bound on the gradient's norm."""

    learning_rate: float = positive(default=1e-3)
    """Peak learning rate."""
    schedule: Schedule = field(default_factory=Constant)
    """Its course over training."""
    clip_norm: float | None = positive(default=None)
    """Largest global norm of the gradient; None: unbounded."""
    horizon: float | None = positive(default=None)
    """Steps that the schedule spans; None: all of the run."""
    accumulate: int = static(default=1)
    """Steps whose mean gradient makes one update: as a batch of so many times the size, in the memory of one."""

    def rule(self) -> optax.GradientTransformation:
        """The direction of the update, before the learning rate."""
        raise NotImplementedError

    def transformation(self) -> optax.GradientTransformation:
        """The whole recipe.

        Raises `ValueError` where nobody has said how long the schedule is, `InputError` for `accumulate` below 1.
        """
        if self.horizon is None:
            raise ValueError("the optimizer has no horizon: Experiment.resolve sets it to the length of the run")
        if self.accumulate < 1:
            raise InputError(f"optimizer.accumulate is {self.accumulate}: give at least 1")
        updates = self.horizon / self.accumulate

        def learning_rate(count: Int[Array, ""]) -> Float[Array, ""]:
            return self.learning_rate * self.schedule(count.astype(jnp.float32) / updates)

        clip = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        recipe = optax.chain(*clip, self.rule(), optax.scale_by_learning_rate(learning_rate))
        return recipe if self.accumulate == 1 else optax.MultiSteps(recipe, self.accumulate).gradient_transformation()


@configurable
class SGD(Optimizer):
    """Stochastic gradient descent with momentum. Sutskever et al. 2013, equations 1 to 4."""

    learning_rate: float = positive(default=1e-2)
    """Peak learning rate."""
    momentum: float = 0.9
    """Decay of the running sum of gradients."""
    nesterov: bool = static(default=False)
    """Look ahead by one step of momentum."""

    def rule(self) -> optax.GradientTransformation:
        """Momentum."""
        return optax.trace(self.momentum, self.nesterov)


@configurable
class RMSProp(Optimizer):
    """Gradients over the root of their running mean square. Tieleman & Hinton 2012, lecture 6.5."""

    decay: float = 0.9
    """Decay of the running mean square."""
    eps: float = 1e-8
    """Added inside the root."""

    def rule(self) -> optax.GradientTransformation:
        """RMS scaling."""
        return optax.scale_by_rms(self.decay, self.eps)


@configurable
class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1."""

    b1: float = 0.9
    """Decay of the running mean of gradients."""
    b2: float = 0.999
    """Decay of the running mean of their squares."""
    eps: float = 1e-8
    """Added to the root of the latter."""

    def rule(self) -> optax.GradientTransformation:
        """Bias-corrected moments."""
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


@configurable
class AdamW(Adam):
    """Adam with decoupled weight decay; biases are not decayed. Loshchilov & Hutter 2019, algorithm 2."""

    weight_decay: float = 1e-4
    """Share of each weight taken off a step, times the learning rate."""

    def rule(self) -> optax.GradientTransformation:
        """Adam's moments plus the decay of every parameter of two or more axes."""
        decay = optax.add_decayed_weights(
            self.weight_decay, mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        )
        return optax.chain(super().rule(), decay)
