"""Holds `aejax report`: the page of a run."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from aejax.cli._common import check_out


@dataclass(frozen=True)
class ReportCommand:
    """Makes a page of a run, in one file: what differs from the registered experiment, metrics, figures, how it was
    made."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, however it ended."""
    out: Path | None = None
    """The page to write, .html; by default report.html in the folder of the run."""

    def __call__(self) -> None:
        """Writes the page, and prints its path and size."""
        from aejax.evaluation import report_page
        from aejax.runs import write_atomically

        if self.out is not None:
            check_out(self.out, (".html", ".htm"))
        page = report_page(self.run)
        out = self.out or self.run / "report.html"
        check_out(out)
        write_atomically(out, page)
        print(f"{out}: {len(page) / 1e6:.1f} MB, open it in a browser")
