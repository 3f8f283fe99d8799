"""How well competing codes tell digits apart: k-sparse codes for several k, and fully connected winner-take-all.

    python experiments/sparse_codes.py         small codes of the 5,000 embedded digits, a few seconds
    python experiments/sparse_codes.py mnist   1000 and 2000 codes of all of MNIST, and the result as JSON

Makhzani & Frey 2013: logistic regression on 1000 k-sparse codes errs on 2.10, 1.35 and 1.54 % for
k = 10, 25 and 40 (unverified). Makhzani & Frey 2015: a linear SVM on 2000 winner-take-all codes is
right on 98.80 % (a replication: 98.62 %). Both train much longer than the few epochs here.
"""

import dataclasses
import sys
import time
from pathlib import Path

from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import aejax
from aejax.data import Data, load
from aejax.experiment import Expected, Experiment
from aejax.report import write_study

EXPECTED = Expected("wta_svm_accuracy", 0.986, 0.0, "FC-WTA, Makhzani & Frey 2015: 98.80; a replication", "R", True)
RESULT = Path(__file__).parent / "results" / "sparse_codes.json"
FULL = sys.argv[1:] == ["mnist"]
DATA = Data("mnist" if FULL else "mnist-5k", validation=0.0)


def variant(name: str, **latent: int) -> Experiment:
    """A registered experiment with another latent; small, where the data are few."""
    experiment = aejax.get(name)
    settings = latent if FULL else {**latent, "size": 100}
    model = experiment.model.clone(latent=experiment.model.latent.clone(**settings))
    return dataclasses.replace(experiment, model=model, data=DATA)


def main() -> None:
    """Trains each, fits a linear classifier to its codes of train, and prints the accuracy on test."""
    dataset, start, accuracy = load(DATA), time.perf_counter(), {}
    studies = {
        f"k{k}_logistic": (variant("sae-ksparse", k=k), LogisticRegression(C=0.1, max_iter=1000)) for k in (10, 25, 40)
    }
    studies["wta_svm"] = (variant("sae-wta"), LinearSVC(C=0.03))
    for name, (experiment, classifier) in studies.items():
        trained = aejax.fit(experiment, dataset=dataset)
        train, test = (csr_matrix(trained.encode(part.x)) for part in (dataset.train, dataset.test))
        accuracy[f"{name}_accuracy"] = float(classifier.fit(train, dataset.train.label).score(test, dataset.test.label))
        print(f"{name}: accuracy on test {accuracy[f'{name}_accuracy']:.4f}", flush=True)
    if FULL:
        write_study(RESULT, accuracy, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
