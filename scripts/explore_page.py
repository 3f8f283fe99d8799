"""Writes the example page of the documentation anew, with the page's own sources as they are now.

    python scripts/explore_page.py        the model in it and its examples stay

A page of another model is `aejax explore RUN --out docs/explore/vae-conv.html`.
"""

from pathlib import Path

from aejax.explore import Explorer

PAGE = Path(__file__).parents[1] / "docs" / "explore" / "vae-conv.html"

if __name__ == "__main__":
    Explorer(PAGE.read_text()).renewed().save(PAGE)
