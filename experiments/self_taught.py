"""Self-taught learning: sparse features of the digits 5 to 9, without labels, serve to tell 0 to 4 apart.

    python experiments/self_taught.py         on the 5,000 embedded digits, a few seconds
    python experiments/self_taught.py mnist   on the 60,000 of MNIST's training part, and the result as JSON

UFLDL, Self-taught learning (after Raina et al. 2007): 784-196, rho 0.1, beta 3, weight decay 3e-3;
a softmax on the codes of half the digits 0 to 4 gets 98.2 % of the other half. As there, all digits
are from MNIST's training part. There by 400 iterations of L-BFGS, here by Adam on batches. The softmax's
strength is chosen on a sixth of the half that it is trained on.
"""

import dataclasses
import sys
import time
from pathlib import Path

import aejax
from aejax.data import Data, Dataset, Part, load
from aejax.experiment import Expected
from aejax.probes import probe
from aejax.report import write_study

EXPECTED = Expected("accuracy", 0.982, 0.0, "UFLDL, Self-taught learning, digits 0 to 4", "V", True)
RESULT = Path(__file__).parent / "results" / "self_taught.json"


def main() -> None:
    """Trains on 5 to 9, fits a softmax to 0 to 4, and prints its accuracy."""
    full = sys.argv[1:] == ["mnist"]
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    digits = dataset.train
    assert digits.label is not None
    unlabelled, labelled = digits.x[digits.label >= 5], digits.take(digits.label < 5)
    experiment = aejax.get("sae-kl")
    model = experiment.model.clone(latent=experiment.model.latent.clone(size=196))
    experiment = dataclasses.replace(experiment, model=model, data=data, epochs=100)
    if not full:
        experiment = dataclasses.replace(experiment, batch_size=100, epochs=20)
    none = Part(unlabelled[:0])
    trained = aejax.fit(experiment, dataset=Dataset("digits 5 to 9", Part(unlabelled), none, none))
    half = len(labelled) // 2
    codes, label = trained.encode(labelled.x), labelled.label
    train, test = (codes[:half], label[:half]), (codes[half:], label[half:])
    accuracy = probe("logistic", *train, *test, strengths=(0.03, 0.1, 0.3, 1.0))["accuracy"]
    print(f"accuracy on 0 to 4: {accuracy:.4f} (published: {EXPECTED.value})")
    if full:
        write_study(RESULT, {"accuracy": accuracy}, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
