"""Defines optimisers: pytrees of numbers that turn into Optax transformations inside the compiled step."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from aejax.core.averages import Average, NoAverage
from aejax.core.errors import InputError
from aejax.core.pytrees import pytree
from aejax.core.settings import configurable, positive, static
from aejax.core.trees import named_leaves, path_name


@configurable
class Schedule:
    """Gives the factor on the learning rate as a function of the share of training that is done, from 0 to 1."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the factor at `progress`."""
        raise NotImplementedError


@configurable
class Constant(Schedule):
    """Keeps the learning rate constant: the factor is always 1."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the factor 1, at any progress."""
        return jnp.ones_like(progress)


@configurable
class Cosine(Schedule):
    """Lowers the factor from 1 to `final` along half a cosine.

    Loshchilov & Hutter 2017, equation 5, without restarts.
    """

    final: float = 0.0
    """The factor at the end of training."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the half cosine at `progress`; beyond 1 it stays at `final`."""
        return self.final + (1 - self.final) * 0.5 * (1 + jnp.cos(math.pi * jnp.clip(progress, 0, 1)))


@configurable
class WarmupCosine(Schedule):
    """Raises the factor in a straight line from 0 to 1 and then lowers it along half a cosine to `final`."""

    warmup: float = 0.05
    """The share of training that the rise takes."""
    final: float = 0.0
    """The factor at the end of training."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the straight line during the warm-up, and the cosine after it."""
        rise = jnp.minimum(progress / jnp.maximum(self.warmup, 1e-9), 1)
        return jnp.where(
            progress < self.warmup,
            rise,
            Cosine(self.final)((progress - self.warmup) / jnp.maximum(1 - self.warmup, 1e-9)),
        )


@configurable
class WarmupStableDecay(Schedule):
    """Raises the factor in a straight line from 0 to 1, holds it, and lowers it in a straight line to `final`.

    Hu et al. 2024 (MiniCPM), equation 1, with the linear fall of Hägele et al. 2024, equation 1.
    """

    warmup: float = 0.05
    """The share of training that the rise takes."""
    decay: float = 0.2
    """The share of training, at its end, that the fall takes."""
    final: float = 0.0
    """The factor at the end of training."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the lower of the two lines, or 1 between them; beyond 1 it stays at `final`."""
        rise = progress / jnp.maximum(self.warmup, 1e-9)
        fall = self.final + (1 - self.final) * jnp.clip((1 - progress) / jnp.maximum(self.decay, 1e-9), 0, 1)
        return jnp.where(progress < self.warmup, jnp.minimum(rise, fall), fall)


@configurable
class Steps(Schedule):
    """Multiplies the factor by `factor` at each of the given shares of training."""

    at: tuple[float, ...] = (0.5, 0.75)
    """The shares of training at which the factor drops, each between 0 and 1."""
    factor: float = 0.1
    """What the learning rate is multiplied by at each drop."""

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Returns `factor` to the power of the number of drops passed."""
        passed = sum(((progress >= share).astype(jnp.float32) for share in self.at), jnp.zeros_like(progress))
        return self.factor**passed


@configurable
class Rate:
    """Gives some parameters a learning rate of their own."""

    pattern: str = static(default="")
    """A regular expression for the paths of these parameters, such as `^encoder` or `bias$`; it need not match whole
    paths.
    """
    factor: float = 1.0
    """What the learning rate of these parameters is multiplied by; 0: they stay as they are."""


@configurable
class Player:
    """Gives some parameters an optimiser of their own, as a second player's are, which another part of the loss trains.

    It clips and accumulates their gradient, and decays their rate, by itself.
    """

    optimizer: "Optimizer" = field(default_factory=lambda: Adam(1e-4, b1=0.5, b2=0.9))
    """The optimiser of these parameters; by default that of the critic of Kim & Mnih 2018, appendix B."""
    pattern: str = static(default="^critic")
    """A regular expression for the paths of these parameters; it need not match whole paths."""


@pytree
@dataclass(frozen=True)
class Averaging:
    """Holds the state of an optimiser that averages parameters."""

    opt_state: Any
    """The state of the optimiser itself."""
    params: Any
    """The average of the parameters."""
    steps: Int[Array, ""]
    """The number of steps made so far."""


@pytree
@dataclass(frozen=True)
class Skipping:
    """Holds the state of an optimiser that skips updates."""

    opt_state: Any
    """The state of the optimiser itself."""
    skipped: Int[Array, ""]
    """The number of updates that were skipped so far."""


@configurable
class Optimizer:
    """Holds what all optimisers share: a learning rate, its schedule, and a bound on the gradient's norm."""

    learning_rate: float = positive(default=1e-3)
    """Peak learning rate."""
    schedule: Schedule = field(default_factory=Constant)
    """The course of the learning rate over training."""
    clip_norm: float | None = positive(default=None)
    """Largest global norm of the gradient; None: it is not clipped."""
    horizon: float | None = positive(default=None)
    """Number of steps that the schedule spans; None: all steps of the run."""
    accumulate: int = static(default=1)
    """Number of steps whose mean gradient makes one update: the effect of a batch so many times as large."""
    average: Average = field(default_factory=NoAverage, kw_only=True)
    """The average of the parameters that is used outside training, in place of the latest ones."""
    rates: dict[str, Rate] = field(default_factory=dict, kw_only=True)
    """Learning rates of their own for some parameters, by names; where several match a parameter, all factors count."""
    players: dict[str, Player] = field(default_factory=dict, kw_only=True)
    """Optimisers of their own for some parameters, by names; where several match a parameter, the first has it."""
    skip_norm: float | None = positive(default=None, kw_only=True)
    """Global norm of a gradient above which its update is skipped; None: none is. A norm that is no number is above.

    A loss that is no number ends the run all the same. A player has a bound of its own, on its own parameters.
    """

    def over(self, steps: int) -> Self:
        """Returns the optimiser, and those of its players, with the number of steps of the run as the horizon.

        One that has a horizon keeps it.
        """
        each = {name: replace(player, optimizer=player.optimizer.over(steps)) for name, player in self.players.items()}
        return replace(self, horizon=self.horizon or float(steps), players=each)

    def learning_rates(self, steps: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Returns the learning rate of the step that follows each number of steps; `horizon` must be set."""
        assert self.horizon is not None
        progress = steps // self.accumulate * self.accumulate / self.horizon
        return np.asarray(self.learning_rate * jax.vmap(self.schedule)(jnp.asarray(progress, jnp.float32)))

    def rule(self) -> optax.GradientTransformation:
        """Returns the transformation from gradients to the direction of the update, before the learning rate."""
        raise NotImplementedError

    def transformation(self) -> optax.GradientTransformation:
        """Returns all that makes an update: clipping, the rule, the scheduled learning rate, skipping, accumulation.

        Raises `ValueError` where `horizon` is not set, and `InputError` for `accumulate` below 1.
        """
        updates = self._updates()

        def learning_rate(count: Int[Array, ""]) -> Float[Array, ""]:
            return self.learning_rate * self.schedule(count.astype(jnp.float32) / updates)

        clip = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        own = [_scale_by_rates(self.rates)] if self.rates else []
        recipe = optax.chain(*clip, self.rule(), optax.scale_by_learning_rate(learning_rate), *own)
        if self.skip_norm is not None:
            recipe = _skip_above(self.skip_norm, recipe)
        if self.accumulate > 1:
            recipe = _accumulating(recipe, self.accumulate)
        if not self.players:
            return recipe
        others = {name: player.optimizer.transformation() for name, player in self.players.items()}
        return optax.partition({"": recipe, **others}, self._players_of)

    def init(self, params: Any) -> Any:
        """Returns the optimiser's state before the first step.

        Raises `InputError` where one of the `rates` or `players` matches no parameter, for a player without a name, and
        for one whose optimiser averages parameters or has players of its own.
        """
        self._check_players(params)
        opt_state = self.transformation().init(params)
        if not self.average.kept:
            return opt_state
        return Averaging(opt_state, jax.tree.map(jnp.copy, params), jnp.zeros((), jnp.int32))

    def update(
        self, gradient: Any, opt_state: Any, params: Any, project: Callable[[Any], Any] = lambda params: params
    ) -> tuple[Any, Any]:
        """Makes one step along a gradient.

        Args:
            gradient: the gradient of the loss with respect to the parameters.
            opt_state: the optimiser's state before the step.
            params: the parameters before the step.
            project: changes the parameters after the update, which is what the average is taken of.

        Returns:
            The parameters and the optimiser's state after the step.
        """
        before = opt_state.opt_state if self.average.kept else opt_state
        updates, after = self.transformation().update(gradient, before, params)
        params = project(optax.apply_updates(params, updates))
        return params, self._averaging(opt_state, after, params) if self.average.kept else after

    def averaged(self, state: Any) -> Any:
        """Returns the state that is used outside training: with the average as its parameters, where one is kept.

        Statistics of the batch, as those of batch normalisation, stay those of the latest parameters. `state` may have
        an axis of members; one without an optimiser's state has the average already.
        """
        return replace(state, params=state.opt_state.params) if self.average.kept and state.opt_state else state

    def skipped(self, opt_state: Any) -> int:
        """Returns how many updates were skipped so far, by this optimiser and by those of its players.

        `opt_state` is the optimiser's state, whose arrays may have an axis of members, over which it adds up.
        """
        found = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, Skipping))
        return sum(int(jnp.sum(node.skipped)) for node in found if isinstance(node, Skipping))

    def _players_of(self, params: Any) -> Any:
        """Returns a tree of the name of each parameter's player; of the optimiser's own parameters, nothing."""

        def player_of(path: Any, leaf: Any) -> str:
            named = path_name(path)
            return next((name for name, player in self.players.items() if _matches(player.pattern, named)), "")

        return jax.tree_util.tree_map_with_path(player_of, params)

    def _check_players(self, params: Any) -> None:
        found = {*jax.tree.leaves(self._players_of(params))} if self.players else set()
        for name, player in self.players.items():
            if name not in found or not name:
                paths = ", ".join(path for path, _ in named_leaves(params))
                raise InputError(
                    f"optimizer.players.{name}.pattern is {player.pattern!r}, which matches no parameter's path that "
                    f"an earlier one leaves: there are {paths}"
                )
            if player.optimizer.players or player.optimizer.average.kept:
                raise InputError(
                    f"optimizer.players.{name}.optimizer has players or an average of its own: only optimizer has them"
                )

    def _updates(self) -> Any:
        """Returns the number of updates of the whole run."""
        if self.horizon is None:
            raise ValueError("the optimizer has no horizon: Experiment.resolve sets it to the length of the run")
        if self.accumulate < 1:
            raise InputError(f"optimizer.accumulate is {self.accumulate}: give at least 1")
        return self.horizon / self.accumulate

    def _averaging(self, before: Averaging, opt_state: Any, params: Any) -> Averaging:
        steps = before.steps + 1
        number = (steps // self.accumulate).astype(jnp.float32)
        share = self.average.share(jnp.maximum(number, 1.0), self._updates())
        share = jnp.where(steps % self.accumulate == 0, share, 0.0)
        mixed = jax.tree.map(lambda old, new: (1 - share) * old + share * new, before.params, params)
        return Averaging(opt_state, mixed, steps)


def _skip_above(norm: Any, recipe: optax.GradientTransformation) -> optax.GradientTransformation:
    """Leaves parameters and the optimiser's state as they are where a gradient's global norm is above a bound.

    It counts how often. The schedule, which is of that state, waits too; what a model keeps of batches does not.

    Child 2021 (Very deep VAEs): the exploding gradients of deep hierarchies are few, and ruin a training.
    """

    def init(params: Any) -> Skipping:
        return Skipping(recipe.init(params), jnp.zeros((), jnp.int32))

    def update(gradient: Any, state: Skipping, params: Any = None) -> tuple[Any, Skipping]:
        follows = optax.tree.norm(gradient) <= norm
        updates, after = recipe.update(gradient, state.opt_state, params)
        updates = jax.tree.map(lambda leaf: jnp.where(follows, leaf, jnp.zeros_like(leaf)), updates)
        after = jax.tree.map(lambda new, old: jnp.where(follows, new, old), after, state.opt_state)
        return updates, Skipping(after, state.skipped + jnp.where(follows, 0, 1))

    return optax.GradientTransformation(init, update)


def _accumulating(recipe: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """Makes an update of the mean gradient of so many steps: `optax.MultiSteps`, whose state it has.

    That one computes the recipe's update in every step, and throws all away but the last. So does this where it is
    mapped over the members of a sweep.
    """

    def update(gradient: Any, state: optax.MultiStepsState, params: Any = None) -> tuple[Any, optax.MultiStepsState]:
        done, last = state.mini_step + 1, state.mini_step == steps - 1
        mean = jax.tree.map(lambda own, before: before + (own - before) / done, gradient, state.acc_grads)
        updates, inner = jax.lax.cond(
            last,
            lambda: recipe.update(optax.tree.cast_like(mean, gradient), state.inner_opt_state, params),
            lambda: (jax.tree.map(jnp.zeros_like, gradient), state.inner_opt_state),
        )
        return updates, state._replace(
            mini_step=done % steps,
            gradient_step=state.gradient_step + last,
            inner_opt_state=inner,
            acc_grads=jax.tree.map(lambda leaf: jnp.where(last, jnp.zeros_like(leaf), leaf), mean),
        )

    return optax.GradientTransformation(optax.MultiSteps(recipe, steps).init, update)


def _scale_by_rates(rates: dict[str, Rate]) -> optax.GradientTransformation:
    """Multiplies the update of each parameter by the factors of all rates that match its path."""

    def init(params: Any) -> optax.EmptyState:
        paths = [path for path, _ in named_leaves(params)]
        for name, rate in rates.items():
            if not any(_matches(rate.pattern, path) for path in paths):
                raise InputError(
                    f"optimizer.rates.{name}.pattern is {rate.pattern!r}, which no parameter's path matches: "
                    f"there are {', '.join(paths)}"
                )
        return optax.EmptyState()

    def scaled(path: Any, update: Array) -> Array:
        named = path_name(path)
        factors = [rate.factor for rate in rates.values() if _matches(rate.pattern, named)]
        return math.prod(factors[1:], start=factors[0]) * update if factors else update

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.tree_util.tree_map_with_path(scaled, updates), state

    return optax.GradientTransformation(init, update)


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.search(pattern, path) is not None
    except re.error as error:
        raise InputError(f"{pattern!r} is no regular expression for the paths of parameters: {error}") from None


@configurable
class SGD(Optimizer):
    """Implements stochastic gradient descent with momentum. Sutskever et al. 2013, equations 1 to 4."""

    learning_rate: float = positive(default=1e-2)
    """Peak learning rate."""
    momentum: float = 0.9
    """Decay of the running sum of gradients."""
    nesterov: bool = static(default=False)
    """Whether the gradient is taken one step of momentum ahead."""

    def rule(self) -> optax.GradientTransformation:
        """Returns the running sum of gradients."""
        return optax.trace(self.momentum, self.nesterov)


@configurable
class RMSProp(Optimizer):
    """Divides gradients by the root of their running mean square. Tieleman & Hinton 2012, lecture 6.5."""

    decay: float = 0.9
    """Decay of the running mean square."""
    eps: float = 1e-8
    """Added to the mean square, inside the root."""

    def rule(self) -> optax.GradientTransformation:
        """Returns the scaling by the root mean square."""
        return optax.scale_by_rms(self.decay, self.eps)


@configurable
class Adam(Optimizer):
    """Implements Adam. Kingma & Ba 2015, algorithm 1."""

    b1: float = 0.9
    """Decay of the running mean of gradients."""
    b2: float = 0.999
    """Decay of the running mean of squared gradients."""
    eps: float = 1e-8
    """Added to the root of the running mean of squares."""

    def rule(self) -> optax.GradientTransformation:
        """Returns the scaling by the bias-corrected moments."""
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


@configurable
class Adamax(Adam):
    """Implements Adamax, which divides by the largest recent gradient. Kingma & Ba 2015, algorithm 2."""

    learning_rate: float = positive(default=2e-3)
    """Peak learning rate."""

    def rule(self) -> optax.GradientTransformation:
        """Returns the scaling of the running mean of gradients by their decaying largest size."""
        return optax.scale_by_adamax(self.b1, self.b2, self.eps)


@configurable
class AdamW(Adam):
    """Implements Adam with decoupled weight decay; biases are not decayed. Loshchilov & Hutter 2019, algorithm 2."""

    weight_decay: float = 1e-4
    """The share of each weight that a step subtracts, before it is multiplied by the learning rate."""

    def rule(self) -> optax.GradientTransformation:
        """Returns Adam's scaling followed by the decay of every parameter with two or more axes."""
        decay = optax.add_decayed_weights(
            self.weight_decay, mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        )
        return optax.chain(super().rule(), decay)


@configurable
class Muon(Optimizer):
    """Implements Muon, whose update of a layer's weights moves all their directions alike. Jordan et al. 2024.

    The running mean of the gradients of a dense layer's or a convolution's weights, with Nesterov's momentum, is made
    nearly orthogonal by five Newton-Schulz steps and scaled to entries of about .2 by root mean square (Liu et al.
    2025), so that it takes about Adam's learning rates. These weights are the parameters called `kernel` of two axes or
    four, as matrices of inputs and outputs; all others have Adam with Nesterov's momentum (Dozat 2016). Weights that a
    mask hides, as in MADE, have no gradient but take part in the orthogonalisation. A step costs more than Adam's, most
    where layers are wide and batches small; far fewer may do.
    """

    momentum: float = 0.95
    """Decay of the running mean of gradients of a layer's weights."""
    b1: float = 0.9
    """Decay of the running mean of gradients of all other parameters."""
    b2: float = 0.999
    """Decay of the running mean of squared gradients of all other parameters."""

    def rule(self) -> optax.GradientTransformation:
        """Returns the orthogonalised running mean for kernels, and Adam's scaling for all else."""
        muon = optax.contrib.muon(
            1.0,
            beta=self.momentum,
            adam_b1=self.b1,
            adam_b2=self.b2,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=0.2,
        )
        return optax.chain(muon, optax.scale(-1.0))


def _matrices(params: Any) -> Any:
    """Returns for every parameter which of its axes are a matrix's rows and columns; None where it is no layer's."""

    def matrix_of(path: Any, leaf: Array) -> optax.contrib.MuonDimensionNumbers | None:
        if path_name(path).rpartition(".")[2] != "kernel" or leaf.ndim not in (2, 4):
            return None
        *inputs, output = range(leaf.ndim)
        return optax.contrib.MuonDimensionNumbers(tuple(inputs), (output,))

    return jax.tree_util.tree_map_with_path(matrix_of, params)
