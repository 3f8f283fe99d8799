"""Imports all models, losses and preprocessing, so that JSON and the command line know their classes by name."""

from aejax import data, losses, models

for package in (data, losses, models):
    for name in package.__all__:
        getattr(package, name)
