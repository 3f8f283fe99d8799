"""Data sets: names to arrays, and what happens to the arrays on the device."""

from aejax.data.dataset import BUFFER, Dataset, Part
from aejax.data.factors import FACTORS, Factors
from aejax.data.files import read_array
from aejax.data.load import Data, load, names, pack, prepare, read_examples
from aejax.data.preprocess import Binarise, Preprocess, Scale, Standardise, StaticBinarise
from aejax.data.stored import Rows, Stored

__all__ = [
    "BUFFER",
    "FACTORS",
    "Binarise",
    "Data",
    "Dataset",
    "Factors",
    "Part",
    "Preprocess",
    "Rows",
    "Scale",
    "Standardise",
    "StaticBinarise",
    "Stored",
    "load",
    "names",
    "pack",
    "prepare",
    "read_array",
    "read_examples",
]
