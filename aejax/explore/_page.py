"""Joins programs, arrays and what is known of them with the page's own files to one HTML file."""

import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aejax.core import InputError, without_nan
from aejax.explore._packing import pack
from aejax.explore._writer import Arrays

_FOLDER = Path(__file__).parent

_SCRIPTS = ("interpreter.js", "drawing.js", "page.js")

_PARTS = {
    "title": r"<title>(.*?)</title>",
    "content": r'<script type="application/json" id="content">(.*?)</script>',
    "arrays": r'<script type="text/plain" id="arrays">(.*?)</script>',
}
"""Where a page has what it holds of a model."""

_HEIGHT = 980
"""Height of the page inside a notebook, in pixels."""


def _filled(**parts: str) -> str:
    """Returns the page with its own style and scripts, and the title, the content and the arrays of a model."""
    parts["style"] = (_FOLDER / "page.css").read_text()
    parts["script"] = "\n".join((_FOLDER / name).read_text() for name in _SCRIPTS)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], (_FOLDER / "page.html").read_text())


@dataclass(frozen=True)
class Explorer:
    """Holds a web page in which a trained model can be tried out; a notebook shows it."""

    html: str = field(repr=False)
    """The page, which refers to nothing outside itself."""

    @classmethod
    def of(cls, content: dict[str, Any], arrays: Arrays) -> "Explorer":
        """Makes the page.

        Args:
            content: what `page.js` reads, as JSON; arrays stand in it by their numbers.
            arrays: the arrays.
        """
        packed, kinds = pack(arrays.items)
        text = json.dumps(without_nan(content | {"kinds": kinds}), allow_nan=False, separators=(",", ":"))
        title = html.escape(f"{content['name']}: explorer")
        return cls(_filled(title=title, content=text.replace("<", "\\u003c"), arrays=packed))

    def renewed(self) -> "Explorer":
        """Returns the page with the style and scripts that pages have now; what it holds of a model stays."""
        found = {name: re.search(pattern, self.html, re.DOTALL) for name, pattern in _PARTS.items()}
        return Explorer(_filled(**{name: match[1] for name, match in found.items() if match}))

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file, and returns its path. Raises `InputError` where it cannot be written."""
        path = Path(path)
        try:
            path.write_text(self.html)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}): give a file in a folder that exists"
            ) from None
        return path

    def _repr_html_(self) -> str:
        """Returns the page in a frame of its own, as a notebook shows it."""
        style = f"width:100%;height:{_HEIGHT}px;border:0;border-radius:8px"
        return f'<iframe style="{style}" sandbox="allow-scripts" srcdoc="{html.escape(self.html)}"></iframe>'
