"""Reads the data of a sweep."""

from dataclasses import replace
from pathlib import Path

from aejax.data import Data, DataRecord, Dataset, load, load_again
from aejax.experiment import canonical


class Reader:
    """Reads data sets, and keeps the last one: what asks for it again, before a sweep or in it, need not wait."""

    def __init__(self) -> None:
        """Begins without any."""
        self._name = ""
        self._dataset: Dataset | None = None
        self._compared: tuple[str, DataRecord | None] | None = None

    def __call__(self, data: Data) -> Dataset:
        """Returns the data set that `load` returns, which is to be left as it is."""
        path = Path(data.name).expanduser()
        # By its absolute path too it is the same file.
        name = canonical(replace(data, name=str(path.resolve()))) if path.exists() else canonical(data)
        if self._dataset is None or self._name != name:
            self._dataset = self._compared = None  # first, so that there are never two in memory
            self._name, self._dataset = name, load(data)
        return self._dataset

    def again(self, data: Data, record: DataRecord | None, remedy: str) -> Dataset:
        """Returns what `load_again` returns, compared once with the record for as long as the data set is kept."""
        asked = canonical(data), record
        if self._dataset is None or self._compared != asked:
            load_again(data, record, remedy=remedy, read=self)
            self._compared = asked
        assert self._dataset is not None
        return self._dataset
