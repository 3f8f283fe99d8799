"""Writes the example page of the documentation anew, with the page's own sources as they are now.

    python scripts/explore_page.py        the model in it and its examples stay

A page of another model is `aejax explore RUN --out docs/explore/vae-conv.html`.
"""

import re
from pathlib import Path

from aejax.explore._page import filled

PAGE = Path(__file__).parents[1] / "docs" / "explore" / "vae-conv.html"
PARTS = {
    "title": r"<title>(.*?)</title>",
    "content": r'<script type="application/json" id="content">(.*?)</script>',
    "arrays": r'<script type="text/plain" id="arrays">(.*?)</script>',
}


def renewed(page: str) -> str:
    """Returns a page with what it holds of a model, and the sources that a page has now."""
    found = {name: re.search(pattern, page, re.DOTALL) for name, pattern in PARTS.items()}
    return filled(**{name: match[1] for name, match in found.items() if match})


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
