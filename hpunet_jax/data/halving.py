"""Half the resolution, as published data sets are prepared (Appendix C)."""

import numpy as np
from jaxtyping import UInt8


def halve_by_area(pixels: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "_H _W C"]:
    """Halves the resolution of an image, uint8 [H, W, C]: the mean of each 2x2 square, rounded."""
    wide = pixels.astype(np.uint16)
    total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def halve_by_nearest(ids: np.ndarray) -> np.ndarray:
    """Halves the resolution of ids [H, W]: the top left pixel of each 2x2 square.

    All four are equally near to the square's centre; the top left is what OpenCV takes.
    """
    return ids[::2, ::2]
