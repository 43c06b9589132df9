"""LIDC-IDRI (Appendix C): cutting crops out of slices, 180x180 pixels at 0.5 mm around a lesion."""

import numpy as np
import scipy.ndimage
from jaxtyping import Bool, Float, UInt8

SIZE = 180  # pixels
RESOLUTION = 0.5  # mm


def crop_axes(
    centre: tuple[float, float], pixel_spacing: float
) -> tuple[Float[np.ndarray, "180"], Float[np.ndarray, "180"]]:
    """Where the columns and rows of a crop lie in the scan.

    Args:
      centre: (x, y) of the crop's centre, in pixels of the scan, whose centres are whole numbers.
      pixel_spacing: size of the scan's pixels in mm.

    Returns:
      x of each column and y of each row, float64 [180], in pixels of the scan.
    """
    offset = (np.arange(SIZE) - (SIZE - 1) / 2) * RESOLUTION / pixel_spacing
    return centre[0] + offset, centre[1] + offset


def cut_image(
    hounsfield: Float[np.ndarray, "H W"],
    centre: tuple[float, float],
    pixel_spacing: float,
    outside: float,
) -> Float[np.ndarray, "180 180"]:
    """Cuts a crop out of a slice, bilinearly.

    Args:
      hounsfield: [H, W].
      centre: (x, y) in pixels.
      pixel_spacing: size of a pixel in mm.
      outside: value beyond the borders of the slice.

    Returns:
      float32 [180, 180].
    """
    columns, rows = crop_axes(centre, pixel_spacing)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return scipy.ndimage.map_coordinates(
        hounsfield, [y, x], output=np.float32, order=1, mode="constant", cval=outside
    )


def cut_mask(
    mask: Bool[np.ndarray, "h w"],
    first: tuple[int, int],
    centre: tuple[float, float],
    pixel_spacing: float,
) -> Bool[np.ndarray, "180 180"]:
    """Cuts a crop out of a mask, at the nearest pixel.

    Args:
      mask: bool [h, w], a part of a slice; beyond it is nothing.
      first: (y, x), where its first pixel lies in the slice.
      centre: (x, y) in pixels.
      pixel_spacing: size of a pixel in mm.

    Returns:
      bool [180, 180], on the pixels of `cut_image`.
    """
    columns, rows = (np.floor(a + 0.5).astype(int) for a in crop_axes(centre, pixel_spacing))
    padded = np.pad(mask, 1)  # whatever lies outside of the box looks at the padding
    y = np.clip(rows - first[0] + 1, 0, padded.shape[0] - 1)
    x = np.clip(columns - first[1] + 1, 0, padded.shape[1] - 1)
    return padded[np.ix_(y, x)]


def to_grey(
    hounsfield: Float[np.ndarray, "*shape"], window: tuple[float | int, float | int]
) -> UInt8[np.ndarray, "*shape"]:
    """Hounsfield units as uint8: the ends of the window become 0 and 255, linearly."""
    low, high = window
    return np.clip((hounsfield - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
