"""Makes figures that a notebook shows: Matplotlib's are shown there only where pyplot has made them."""

import base64
import io
from typing import Any

from matplotlib.figure import Figure

_INCH = 96
"""Pixels of a page for each inch of a figure, whatever its own resolution is."""


class Picture(Figure):
    """A Matplotlib figure that a notebook shows as a picture."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """Returns the picture, and its width on the page."""
        return _png(self), {"width": _width(self)}


class Pictures(dict[str, Figure]):
    """Figures by name, which a notebook shows below each other."""

    def __repr__(self) -> str:
        """Returns the names."""
        return f"Pictures({', '.join(self)})"

    def _repr_html_(self) -> str:
        """Returns all pictures as HTML."""
        return "".join(
            f'<p>{name}</p><img alt="{name}" width="{_width(figure)}" style="max-width:100%" '
            f'src="data:image/png;base64,{base64.b64encode(_png(figure)).decode()}">'
            for name, figure in self.items()
        )


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _width(figure: Figure) -> int:
    return round(_INCH * figure.get_figwidth())
