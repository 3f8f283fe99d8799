"""Measures how well a dictionary finds the features of data that are made of known ones."""

import jax
import numpy as np

from aejax.core import CHUNK, Examples
from aejax.data import source_of
from aejax.experiment import Experiment
from aejax.metrics import cosines, detection_of_features, detections, feature_metrics
from aejax.models import parameters_at, traits
from aejax.models.sparse import unit_rows
from aejax.trained import Trained


def suits(experiment: Experiment) -> bool:
    """Tells whether the features of the data are known, and the model has a row for each unit."""
    return source_of(experiment.data.name) is not None and traits.ROWS in experiment.model.meets


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the rows against the features, and units as detectors of them where examples have their numbers."""
    source = source_of(trained.experiment.data.name)
    assert source is not None  # as `suits` says
    features, _ = source.vectors()
    rows = np.asarray(unit_rows(parameters_at(trained.used.params, trained.experiment.model.down[-1])["kernel"]))
    found = feature_metrics(rows, features)
    if part.label is None or rows.shape[1] != features.shape[1]:
        return found
    nearest, counts = cosines(rows, features).argmax(axis=1), np.zeros((3, len(features)), int)
    for start in range(0, len(part), CHUNK):
        few = part.take(np.arange(start, min(start + CHUNK, len(part)))).read()
        present = np.asarray(jax.jit(source.codes)(few.label)) > 0
        counts += detections(present, trained.encode(few.x)[:, nearest] != 0)
    return found | detection_of_features(counts, len(part))
