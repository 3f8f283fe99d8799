"""Measures self-taught learning: sparse features of the digits 5 to 9, without labels, serve to tell 0 to 4 apart.

    python experiments/self_taught.py         on the 5,000 embedded digits, a few seconds
    python experiments/self_taught.py mnist   on the 60,000 of MNIST's training part, and the result as JSON

The recipe is that of UFLDL, Self-taught learning (after Raina et al. 2007): 784-196, rho 0.1, beta 3, weight decay
3e-3, 400 iterations of L-BFGS on all examples at once. There a softmax with a decay of 1e-4, trained on the codes of
half the digits 0 to 4, gets 98.2 % of the other half right. As there, all digits are from MNIST's training part.
"""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import aejax
from aejax import core
from aejax.core import Examples, as_arrays, model_keys
from aejax.data import Data, Dataset, load, scaled
from aejax.evaluation import write_study
from aejax.experiment import Expected, Experiment
from aejax.trained import Trained

EXPECTED = Expected("accuracy", 0.982, 0.0, "UFLDL, Self-taught learning, digits 0 to 4", "V", True)
RESULT = Path(__file__).parent / "results" / "self_taught.json"
DECAY = 1e-4
"""Weight decay of the softmax: half of it, times the squared weights, is added to the mean loss of an example."""


def minimised(experiment: Experiment, dataset: Dataset, iterations: int) -> Trained:
    """Trains the experiment's model by L-BFGS, with all examples in every step, so that mean activations are exact.

    Args:
        experiment: the experiment.
        dataset: the data, whose train part is trained on.
        iterations: the largest number of iterations.
    """
    experiment, key = experiment.resolve(dataset), jax.random.key(experiment.seed)
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    batch = Examples(jnp.asarray(scaled(dataset.train.x)))
    state = core.init(experiment.model, loss, optimizer, batch, key)
    start, unravel = ravel_pytree(state.params)

    @jax.jit
    @jax.value_and_grad
    def cost(params: jax.Array) -> jax.Array:
        variables = {"params": unravel(params)}
        return core.apply(loss, experiment.model, variables, model_keys(key, 0), batch, True)[0]["loss_nats"].mean()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 100, "ftol": 0.0, "gtol": 0.0}
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options)
    params = unravel(jnp.asarray(found.x, jnp.float32))
    state = core.State(jnp.asarray(found.nit), params, (), {})
    return Trained(experiment, dataset.shape, experiment.data.preprocess.fit(dataset.train.x), state)


def main() -> None:
    """Trains on the digits 5 to 9, fits a softmax to half of 0 to 4, and prints its accuracy on the other half."""
    full = sys.argv[1:] == ["mnist"]
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    digits = dataset.train
    assert digits.label is not None
    unlabelled, labelled = digits.x[digits.label >= 5], digits.take(digits.label < 5)
    recipe = aejax.get("sae-kl")
    model = recipe.model.clone(latent=recipe.model.latent.clone(size=196))
    none = Examples(unlabelled[:0])
    experiment = Experiment(model, recipe.loss, data)
    trained = minimised(experiment, Dataset("digits 5 to 9", Examples(unlabelled), none, none), 400 if full else 50)
    half = len(labelled) // 2
    codes, label = trained.encode(labelled.x), labelled.label
    softmax = LogisticRegression(C=1 / (DECAY * half), max_iter=1000).fit(codes[:half], label[:half])
    accuracy = softmax.score(codes[half:], label[half:])
    print(f"accuracy on 0 to 4: {accuracy:.4f} (published: {EXPECTED.value})")
    if full:
        write_study(RESULT, {"accuracy": accuracy}, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
