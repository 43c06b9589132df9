"""What a request asks for, checked: whole numbers and marks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def integer(request: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number of a request, which an address gives as text."""
    value = request.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"`{name}` must be a whole number.")
    return value


def mark_list(request: Mapping[str, Any]) -> list[list[Any]]:
    """The marks of a request as they are saved, each [row, column, inside]."""
    marks = request.get("marks", [])
    good = isinstance(marks, list) and all(
        isinstance(m, list) and [type(v) for v in m] == [int, int, bool] for m in marks
    )
    if not good:
        raise ValueError("`marks` must be a list of [row, column, inside].")
    return marks


def marked(request: Mapping[str, Any], name: str, size: Sequence[int]) -> np.ndarray:
    """Marked pixels as rows and columns [n, 2], inside of an image [H, W]."""
    marks = request.get(name, [])
    height, width = size
    good = isinstance(marks, list) and all(
        isinstance(m, list)
        and [type(v) for v in m] == [int, int]
        and 0 <= m[0] < height
        and 0 <= m[1] < width
        for m in marks
    )
    if not good:
        raise ValueError(f"`{name}` must be a list of [row, column] inside of the image.")
    return np.array(marks, np.int64).reshape(-1, 2)
