"""What evaluation computes, and how it is added up."""

from aejax.metrics.mean import Mean, Metrics, means
from aejax.metrics.reconstruction import ReconstructionError, per_value

__all__ = ["Mean", "Metrics", "ReconstructionError", "means", "per_value"]
