"""What DICOM files say of their values and of the size of their pixels, and SimpleITK does not.

SimpleITK inverts stored values whose white is 0 (MONOCHROME1) before slope and intercept are
applied, which makes them no Hounsfield units; does not say of how many bits values are; and takes
pixels for 1x1 mm where it finds no size, or where a radiograph has it in the usual place.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from hpunet_jax.io.dicom_frames import Frames

# Pixel size of the object; of the detector, or of the film, for those who lack that.
_SIZES = ("0028|0030", "0018|1164", "0018|2010")
_PHOTOMETRIC = "0028|0004"  # what the values mean: white is high, white is 0, colours
_SLOPE, _INTERCEPT, _BITS, _SIGNED = "0028|1053", "0028|1052", "0028|0101", "0028|0103"


def tag_of(header: sitk.ImageFileReader, tag: str) -> str:
    """A tag's value without its padding; "" if the file lacks it."""
    return header.GetMetaData(tag).strip(" \0") if header.HasMetaDataKey(tag) else ""


def photometric(header: sitk.ImageFileReader) -> str:
    """The photometric interpretation, such as MONOCHROME2; "none" if the file lacks it."""
    return tag_of(header, _PHOTOMETRIC) or "none"


def white_is_0(header: sitk.ImageFileReader) -> bool:
    """Whether the least value is shown as white."""
    return photometric(header) == "MONOCHROME1"


def bits_stored(header: sitk.ImageFileReader) -> int:
    """How many bits a stored value has; 0 if the file does not say."""
    return int(_numbers(tag_of(header, _BITS), 1)[0])


def is_rescaled(header: sitk.ImageFileReader, frames: Frames | None) -> bool:
    """Whether the values have another slope and intercept than the stored ones."""
    return _rescale(header, frames) != (1.0, 0.0)


def pixel_size(header: sitk.ImageFileReader, frames: Frames | None) -> tuple[float, float] | None:
    """Mm from row to row and from column to column; None where the file does not know."""
    for numbers in (*(_numbers(tag_of(header, tag), 2) for tag in _SIZES), frames and frames.size):
        if numbers and len(numbers) == 2 and min(numbers) > 0 and np.isfinite(numbers).all():
            return numbers[0], numbers[1]
    return None


def in_units(
    values: np.ndarray, headers: Sequence[sitk.ImageFileReader], frames: Frames | None
) -> np.ndarray:
    """The values of slices in the units of their files, of what SimpleITK read.

    Args:
      values: numbers [D, H, W].
      headers: those of the slices, in their order; or the one of all frames.
      frames: what the file of several frames says of them.

    Returns:
      The values, not inverted where white is 0. Unsigned integers of 8 and 16 bits are stored
      values: others, though they might fit, are int32.
    """
    if white_is_0(headers[0]):
        sums = []
        for header in headers:
            slope, intercept = _rescale(header, frames)
            greatest = -1 if tag_of(header, _SIGNED) == "1" else 2 ** bits_stored(header) - 1
            sums.append(slope * greatest + 2 * intercept)
        inverted = np.reshape(sums, (-1, 1, 1)) - values
        integers = values.dtype.kind != "f"
        values = (np.rint(inverted) if integers else inverted).astype(values.dtype)
    if values.dtype in (np.uint8, np.uint16) and any(is_rescaled(h, frames) for h in headers):
        return values.astype(np.int32)
    return values


def _rescale(header: sitk.ImageFileReader, frames: Frames | None) -> tuple[float, float]:
    """Slope and intercept as SimpleITK applies them: a slope of 0 is none."""
    own = [*_numbers(tag_of(header, _SLOPE), 1), *_numbers(tag_of(header, _INTERCEPT), 1)]
    if frames:
        own = [*(frames.slope or own[:1]), *(frames.intercept or own[1:])]
    return own[0] or 1.0, own[1]


def _numbers(text: str, count: int) -> tuple[float, ...]:
    """Numbers that a tag has, parted by backslashes; zeros if they are none."""
    try:
        found = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        found = ()
    return found if len(found) == count else (0.0,) * count
