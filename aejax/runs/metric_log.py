"""Reads rows of metrics, finds the validation losses among them, and mirrors them to TensorBoard."""

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aejax.core import with_nan

log = logging.getLogger("aejax")

FLUSH_SECONDS = 5.0
"""Seconds between two times that the mirror is flushed to disk, at least."""


def whole_rows(text: str) -> Iterator[dict[str, Any]]:
    """Yields the rows in the text of metrics.jsonl, one for each line; a damaged line is passed over with a warning."""
    for line in text.splitlines():
        try:
            row = with_nan(json.loads(line))
        except (ValueError, RecursionError, AttributeError):
            row = {}
        if _is_row(row):
            yield row
        else:
            log.warning("a damaged line of metrics.jsonl is passed over: %.60s", line)


def _is_row(row: dict[str, Any]) -> bool:
    if not isinstance(row.get("split"), str):
        return False
    numbers = {name: value for name, value in row.items() if name != "split"}
    needed = {"epoch", "step", "loss_nats"} | ({"seconds", "examples_per_second"} if row["split"] == "train" else set())
    if not needed <= set(numbers) or not all(type(value) in (int, float) for value in numbers.values()):
        return False
    return all(type(value) is float or abs(value) < 2**63 for value in numbers.values()) and (
        type(row["epoch"]) is type(row["step"]) is int
    )


def validation_losses(rows: list[dict[str, Any]]) -> dict[int, float]:
    """Returns the validation losses among rows by step, where they are finite."""
    losses = {row["step"]: row.get("loss_nats") for row in rows if row["split"] == "validation"}
    return {step: loss for step, loss in losses.items() if isinstance(loss, float) and math.isfinite(loss)}


def scalars(row: dict[str, Any]) -> dict[str, float]:
    """Returns the numbers of a row as `NAME/PART`, but those that say when they were measured."""
    numbers = {name: value for name, value in row.items() if name not in ("epoch", "step", "split", "seconds")}
    return {f"{name}/{row['split']}": value for name, value in numbers.items()}


class TensorBoardMirror:
    """Writes the numbers of rows, and figures, in the form that TensorBoard reads."""

    def __init__(self, folder: Path) -> None:
        """Names the folder; nothing is written yet."""
        self.folder, self._writer, self._flushed = folder, None, time.monotonic()

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Adds the numbers of rows: see `scalars`."""
        for row in rows:
            for tag, value in scalars(row).items():
                self._add(row["step"], tag=tag, simple_value=value)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._open().flush()
            self._flushed = time.monotonic()

    def show(self, figures: Sequence[Path], step: int) -> None:
        """Adds figures, PNG files, under their names."""
        for path in figures:
            content = path.read_bytes()
            width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))  # of a PNG
            image = {"width": width, "height": height, "colorspace": 4, "encoded_image_string": content}
            self._add(step, tag=f"figures/{path.stem}", image=image)

    def _add(self, step: int, **value: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value)])
        self._open().write_event(Event(wall_time=time.time(), step=step, summary=summary))

    def clear(self) -> None:
        """Removes all that was written."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _open(self) -> Any:
        # Not tensorboardX's SummaryWriter: its thread dies on a full disk, and then blocks whoever writes to it.
        from tensorboardX.event_file_writer import EventsWriter

        if self._writer is None:
            self.folder.mkdir(exist_ok=True)
            part = len([*self.folder.iterdir()])  # else one that is opened in the same second takes its name
            self._writer = EventsWriter(str(self.folder / "events"), f".{part}")
        return self._writer
