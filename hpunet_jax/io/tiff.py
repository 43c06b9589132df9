"""TIFF files, by tifffile with the decoders of imagecodecs.

A file is decoded from memory, so that errors of the disk or of rights cannot be taken for damage.
"""

import io
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import tifffile

from hpunet_jax.io.stored import Stored, check_size, drop_alpha, upright

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 274
_JPEG = (
    tifffile.COMPRESSION.OJPEG,
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.JPEG_2000_LOSSY,
)
# What tifffile and imagecodecs (RuntimeError) raise where a file's content makes no sense.
_DAMAGE = (
    *(tifffile.TiffFileError, RuntimeError, ValueError, OSError, EOFError, struct.error),
    *(IndexError, KeyError, TypeError, AttributeError, ArithmeticError),
)


def is_tiff(data: bytes) -> bool:
    """Whether a file's content begins as a TIFF file does."""
    return data[:4] in _SIGNATURES


def decode_tiff(data: bytes, name: str) -> list[Stored]:
    """Decodes the pages of a TIFF file, which must be alike: several are the slices of a volume.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      The values of each page.

    Raises:
      ValueError: the file is damaged, has pages of several kinds, is too large or transparent, or
        there is no decoder for it. It names the file and the reason.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            check_pages(file)
            series = _only_series(file, name)
            page = series.keyframe
            _check_kind(page, name)
            _check_whole(series, len(data), name)
            return [_as_stored(page, pixels, name) for pixels in _pages(series, name)]
    except _Refused as error:
        raise ValueError(str(error)) from error
    except _DAMAGE as error:
        raise ValueError(f"{name} is damaged ({error}).") from error


class _Refused(Exception):
    """The file is whole, but not what can be read here."""


def _only_series(file: tifffile.TiffFile, name: str) -> tifffile.TiffPageSeries:
    """The pages of the file, without previews."""
    series = [one for one in file.series if not one.keyframe.is_reduced]
    if not series:
        raise tifffile.TiffFileError("it has no image")
    if len(series) > 1:
        raise _Refused(
            f"{name} has {len(series)} pages of different sizes or types: expected one image, or "
            "slices of one size; save each page as a file of its own."
        )
    return series[0]


def _pages(series: tifffile.TiffPageSeries, name: str) -> Iterable[np.ndarray]:
    """The pages [H, W] or [H, W, colours]; one series has axes such as ZYX, YXS or SYX."""
    planes = {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if n > 1}
    planes = {axis: n for axis, n in planes.items() if axis not in "YXS"}
    if len(planes) > 1 or "C" in planes:
        shown = ", ".join(f"{n} along {axis}" for axis, n in planes.items())
        raise _Refused(
            f"{name} has pages of several meanings ({shown}): expected one image, or the slices of "
            "a volume along one axis."
        )
    page = series.keyframe
    pixels = series.asarray() if planes else page.asarray()
    order = series.axes if planes else page.axes
    front = [order.index(axis) for axis in order if axis not in "YXS"]
    pixels = pixels.transpose(*front, *(order.index(axis) for axis in "YXS" if axis in order))
    return pixels.reshape(-1, *pixels.shape[len(front) :])


def _check_kind(page: tifffile.TiffPage, name: str) -> None:
    check = tifffile.TIFF.DECOMPRESSORS
    try:
        check[page.compression]
    except (KeyError, ImportError) as error:
        raise _Refused(
            f"{name} is compressed by {_name(page.compression)}, for which there is no decoder: "
            "save it with another compression, such as LZW."
        ) from error
    photometric = tifffile.PHOTOMETRIC
    known = [photometric.MINISWHITE, photometric.MINISBLACK, photometric.RGB, photometric.PALETTE]
    if page.compression in _JPEG:
        known.append(photometric.YCBCR)  # which its decoder turns into RGB
    if page.photometric not in known:
        raise _Refused(
            f"{name} has {_name(page.photometric)} colours: expected grey values or RGB; convert "
            "it."
        )
    try:
        check_size(page.imagelength, page.imagewidth, name)
    except ValueError as error:
        raise _Refused(str(error)) from error


def check_pages(file: tifffile.TiffFile) -> None:
    """Raises a `TiffFileError` if a page begins beyond the end of the file: it would be left out.

    Args:
      file: the opened file.
    """
    place: Any = file.pages.next_page_offset  # an integer, as all pages were looked for
    handle = file.filehandle
    handle.seek(place)
    order = "little" if file.byteorder == "<" else "big"
    following = int.from_bytes(handle.read(8 if file.is_bigtiff else 4), order)
    if following >= handle.size:
        raise tifffile.TiffFileError(
            f"it has {handle.size} bytes, and its page {len(file.pages)}, counted from 0, should "
            f"begin at {following}"
        )


def _check_whole(series: tifffile.TiffPageSeries, size: int, name: str) -> None:
    """Some decoders fill up what is missing."""
    ends = [
        offset + count
        for page in series.pages
        if page is not None
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        if count
    ]
    if series.dataoffset is not None and len(series.pages) > 1:  # one block of all pages
        ends.append(series.dataoffset + series.nbytes)
    if max(ends, default=0) > size:
        raise tifffile.TiffFileError(f"it has {size} bytes, and should have {max(ends)}")


def _as_stored(page: tifffile.TiffPage, pixels: np.ndarray, name: str) -> Stored:
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    bits = page.bitspersample if pixels.dtype in (np.uint8, np.uint16) else 0
    base = 3 if page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR) else 1
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels == base + 1 and bits:
        try:
            pixels = drop_alpha(pixels, bits, name)
        except ValueError as error:
            raise _Refused(str(error)) from error
    elif channels != base:
        raise _Refused(f"{name} has {channels} channels: expected 1 (grey) or 3 (RGB).")
    white_is_0 = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    if white_is_0 and not bits:
        raise _Refused(
            f"{name} says that 0 is white (MinIsWhite), which leaves open what is black, as its "
            f"values are {pixels.dtype}: save it with 0 as black (MinIsBlack)."
        )
    palette = None
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        colours = np.asarray(page.colormap).T
        colours = (colours >> 8 if colours.max(initial=0) > 255 else colours).astype(np.uint8)
        palette = np.pad(colours, [(0, 0), (0, 1)], constant_values=255)
    tag = page.tags.get(_ORIENTATION)
    orientation = int(tag.value) if tag else 1
    turned = orientation in range(2, 9)
    lossy = page.compression in _JPEG
    return Stored(upright(pixels, orientation), bits, palette, lossy, turned, white_is_0)


def _name(value: int) -> str:
    return getattr(value, "name", None) or f"method {int(value)}"
