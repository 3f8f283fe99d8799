"""Measures where the time goes: code reports its durations, and a JAX profile can be written beside them.

Durations travel as events of `jax.monitoring`, as JAX's own do: nothing is measured twice, and the code that
reports a duration does not know who listens.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jax

PREFIX = "/aejax/"

COMPILING = ("/jax/core/compile/jaxpr_to_mlir_module_duration", "/jax/core/compile/backend_compile_duration")

TRACED_EPOCHS = 3
"""Number of epochs that a profile traces: more would say nothing new, and fill the disk."""


def record_duration(name: str, seconds: float) -> None:
    """Reports a duration in seconds to all that listen, under a name."""
    jax.monitoring.record_event_duration_secs(PREFIX + name, seconds)


@contextmanager
def span(name: str) -> Iterator[None]:
    """Reports how long the body of the context takes; a JAX profile shows it by that name too."""
    start = time.perf_counter()
    with jax.profiler.TraceAnnotation(name):
        yield
    record_duration(name, time.perf_counter() - start)


class Recording:
    """Collects every duration that is reported while its context is open, in seconds, by name."""

    def __init__(self) -> None:
        """Starts without any durations."""
        self.seconds: dict[str, list[float]] = {}

    def __enter__(self) -> Self:
        """Starts to listen to the durations that JAX and this package report."""
        jax.monitoring.register_event_duration_secs_listener(self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        """Stops listening to the durations that JAX and this package report."""
        jax.monitoring.unregister_event_duration_listener(self._hear)

    def _hear(self, event: str, duration_secs: float, **_: str | int) -> None:
        name = "compile" if event in COMPILING else event.removeprefix(PREFIX)
        self.seconds.setdefault(name, []).append(duration_secs)

    def summary(self, steps_per_epoch: int) -> dict[str, float]:
        """Sums up the durations: totals in seconds, and the medians of epoch and step after the first epoch.

        The first epoch compiles, so that it does not count for the medians unless it is the only one. Of a run that is
        shorter than an epoch there are the totals alone.
        """
        total = {name: sum(self.seconds.get(name, ())) for name in ("compile", "input", "evaluation", "checkpoint")}
        epochs: dict[str, float] = {}
        if "epoch" in self.seconds:
            first, *steady = self.seconds["epoch"]
            median = statistics.median(steady or [first])
            epochs = {"first_epoch_seconds": first, "steady_epoch_seconds": median}
            epochs["steady_step_milliseconds"] = 1e3 * median / steps_per_epoch
        return {
            "compile_seconds": total["compile"],
            **epochs,
            "input_wait_seconds": total["input"],
            "evaluation_seconds": total["evaluation"],
            "checkpoint_seconds": total["checkpoint"],
        }


class Profile(Recording):
    """Records durations, and writes a JAX profile of the first epochs that TensorBoard, XProf and Perfetto read."""

    def __init__(self, folder: Path) -> None:
        """Names the folder that the profile is written to."""
        super().__init__()
        self.folder, self.tracing = folder, False

    def __enter__(self) -> Self:
        """Starts to trace and to listen."""
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # frames of Python would fill the trace
        jax.profiler.start_trace(str(self.folder), profiler_options=options)
        self.tracing = True
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        """Stops listening, and writes the trace unless it is written already."""
        super().__exit__(*error)
        self._end()

    def _hear(self, event: str, duration_secs: float, **rest: str | int) -> None:
        super()._hear(event, duration_secs, **rest)
        if len(self.seconds.get("epoch", ())) == TRACED_EPOCHS:
            self._end()

    def _end(self) -> None:
        if self.tracing:
            self.tracing = False
            jax.profiler.stop_trace()
