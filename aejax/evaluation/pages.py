"""Makes self-contained HTML pages: they share one look, hold their pictures in themselves, and need no server."""

import base64
import html
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right }
th { cursor: pointer; user-select: none; background: #f4f4f4; position: sticky; top: 0 }
th[aria-sort=ascending]::after { content: " \\2191" } th[aria-sort=descending]::after { content: " \\2193" }
td, th { white-space: nowrap } tbody tr:hover { background: #f7fbff } .best { font-weight: 600 } .note { color: #555 }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top; max-width: 100% }
figcaption { font-size: .85rem; color: #555; max-width: 34rem } img { max-width: 100% }
.scroll { overflow: auto; max-height: 36rem } code { font-size: .85rem }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap; font-size: .85rem } dt { font-weight: 600 }
td:has(code), th.left { text-align: left }
"""


def document(title: str, body: str, script: str, style: str = "") -> str:
    """Returns a page as HTML, which refers to nothing outside itself.

    Args:
        title: the title, as plain text.
        body: what is shown, as HTML.
        script: the JavaScript that makes tables sortable and the like.
        style: rules of the page's own, after those of all pages.
    """
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}{style}</style>'
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
