"""Image values scaled to [0, 1], as every network takes them."""

import numpy as np
from jaxtyping import Array, Float32, Shaped
from numpy.typing import DTypeLike


def unit_interval(
    image: Shaped[np.ndarray | Array, "..."], dtype: DTypeLike
) -> Float32[np.ndarray | Array, "..."]:
    """Scales values of images to [0, 1], to the same bits as NumPy's division, jitted or not.

    A compiler turns the division by a constant into a product with its reciprocal, which rounds
    differently; then training and evaluation would see slightly different images. So the
    quotient is summed as x / 65535 = x / 2^16 + x / 2^32 + ..., whose terms are exact.

    Args:
      image: values of an image, maybe interpolated; of any shape.
      dtype: type in which the image is stored: uint8, uint16, or floating point in [0, 1].

    Returns:
      float32 of the same shape; of the same kind of array.

    Raises:
      ValueError: for another type.
    """
    values = image.astype(np.float32)
    if np.issubdtype(dtype, np.floating):
        return values
    kind = np.dtype(dtype).newbyteorder("=")  # some readers of files keep the files' byte order
    if kind not in (np.uint8, np.uint16):
        raise ValueError(f"images must be uint8, uint16 or floating point, not {dtype}.")
    if kind == np.uint8:
        values = values * 257.0  # the same brightness in 16 bits, exactly
    quotient = values * 2.0**-16
    for _ in range(2):
        quotient = (values + quotient) * 2.0**-16
    return quotient
