"""Data sets: names to arrays, and what happens to the arrays on the device."""

from aejax.data.dataset import Dataset, Part
from aejax.data.factors import FACTORS, Factors
from aejax.data.files import read_array
from aejax.data.load import Data, load, names, prepare, read_examples
from aejax.data.preprocess import Binarise, Preprocess, Scale, Standardise, StaticBinarise

__all__ = [
    "FACTORS",
    "Binarise",
    "Data",
    "Dataset",
    "Factors",
    "Part",
    "Preprocess",
    "Scale",
    "Standardise",
    "StaticBinarise",
    "load",
    "names",
    "prepare",
    "read_array",
    "read_examples",
]
