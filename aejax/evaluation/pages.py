"""Makes self-contained HTML pages: they share one look, hold their pictures in themselves, and need no server."""

import base64
import html
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --faint: #555; --line: #ddd; --wash: #f4f4f4;
  --hover: #f7fbff; --accent: #0072b2; --good: #11773a; --bad: #b03a2e }
@media (prefers-color-scheme: dark) { :root { --paper: #18191b; --ink: #e6e6e3; --faint: #a3a3a0; --line: #37393c;
  --wash: #232528; --hover: #20262c; --accent: #5ab4ea; --good: #5fc587; --bad: #f08a7d } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink) }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
td, th { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right }
th { cursor: pointer; user-select: none; background: var(--wash); position: sticky; top: 0 }
th[aria-sort=ascending]::after { content: " \\2191" } th[aria-sort=descending]::after { content: " \\2193" }
td, th { white-space: nowrap } tbody tr:hover { background: var(--hover) } .best { font-weight: 600 }
.note { color: var(--faint) }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top; max-width: 100% }
figcaption { font-size: .85rem; color: var(--faint); max-width: 34rem } img { max-width: 100%; height: auto }
figure > img { background: #fff }
.scroll { overflow: auto; max-height: 36rem } code { font-size: .85rem }
pre { background: var(--wash); padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem }
dt { font-weight: 600 } td:has(code), th.left, td.left { text-align: left }
@media (prefers-color-scheme: dark) { figure > img { filter: brightness(.88); border-radius: 4px } }
"""
"""The look of all pages, which is light or dark as the reader's system is."""


def document(title: str, body: str, script: str, style: str = "") -> str:
    """Returns a page as HTML, which refers to nothing outside itself.

    Args:
        title: the title, as plain text.
        body: what is shown, as HTML.
        script: the JavaScript that makes tables sortable and the like.
        style: rules of the page's own, after those of all pages.
    """
    scale = '<meta name="viewport" content="width=device-width, initial-scale=1">'  # or a phone shrinks the page
    head = f'<meta charset="utf-8">{scale}<title>{html.escape(title)}</title><style>{STYLE}{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}<script>{script}</script></body></html>\n'


def drawn(name: str, figure: Figure, caption: str) -> str:
    """Returns a figure as HTML, the picture in it, with a caption below."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
    image = f'<img alt="{html.escape(name)}" src="{_source(file)}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def png(pixels: np.ndarray) -> str:
    """Returns uint8 pixels `[h, w]` or `[h, w, 3]` as the source of an image."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return _source(file)


def _source(file: Any) -> str:
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
