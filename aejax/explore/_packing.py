"""Packs arrays into text that a page holds: `unpack` of `interpreter.js` reads it."""

import base64
import zlib
from collections.abc import Sequence

import numpy as np


def pack(arrays: Sequence[np.ndarray]) -> tuple[str, list[tuple[str, int]]]:
    """Returns arrays as one text, and the type and the number of values of each.

    Of each array the first bytes of all values stand together, then their second bytes: exponents of floating numbers
    are much alike, and deflate finds that out only where they are neighbours. The text is the number of bytes, a colon,
    and the bytes in base 85, in letters that mean nothing in HTML.
    """
    kinds, planes = [], []
    for array in arrays:
        kind = array.dtype.newbyteorder("<").str[1:]
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        planes.append(flat.view(np.uint8).reshape(-1, flat.itemsize).T.tobytes())
        kinds.append((kind, flat.size))
    packed = zlib.compress(b"".join(planes), 9)
    text = base64.b85encode(packed, pad=True).decode().translate(str.maketrans("<&", ",."))
    return f"{len(packed)}:{text}", kinds
