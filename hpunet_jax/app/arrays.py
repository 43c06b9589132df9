"""Arrays on their way to the page and back: JSON with base64 of the little-endian bytes."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

_DTYPES = ("uint8", "uint16", "int32", "float32")


def to_json(array: np.ndarray) -> dict[str, Any]:
    """What `requests.js` decodes: {"dtype", "shape", "data"}.

    Args:
      array: uint8, uint16, int32 or float32, of any shape.

    Raises:
      ValueError: for another type.
    """
    if array.dtype.name not in _DTYPES:
        raise ValueError(f"the page takes {', '.join(_DTYPES)}, not {array.dtype}.")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def noise_to_json(noise: Sequence[np.ndarray]) -> list[list[float]]:
    """The noise of each scale, float32 [h, w, d], as flat lists; JSON keeps every bit."""
    return [np.asarray(scale, np.float32).ravel().tolist() for scale in noise]


def noise_from_json(value: Any, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Reads what `noise_to_json` wrote, or what a page sent.

    Args:
      value: lists of numbers, one for each latent scale, coarse to fine.
      shapes: the shape [h, w, d] of each scale.

    Returns:
      float32 [h, w, d] for each scale.

    Raises:
      ValueError: for anything else, or numbers that are not finite.
    """
    if not isinstance(value, list) or len(value) != len(shapes):
        raise ValueError(f"`noise` must be a list of {len(shapes)} lists, one for each scale.")
    noise = []
    for scale, (numbers, shape) in enumerate(zip(value, shapes, strict=True)):
        size = int(np.prod(shape))
        if not isinstance(numbers, list) or len(numbers) != size:
            raise ValueError(f"`noise` of scale {scale} must be a list of {size} numbers.")
        if not all(type(number) in (int, float) for number in numbers):
            raise ValueError(f"`noise` of scale {scale} must hold numbers only.")
        array = np.array(numbers, np.float64)
        if not np.all(np.abs(array) < 1e4):  # NaN fails, too
            raise ValueError(f"`noise` of scale {scale} must be finite and of ordinary size.")
        noise.append(array.astype(np.float32).reshape(shape))
    return noise
