"""Reading images, and maps of labels, by one set of rules whatever the program and the format.

docs/data.md has the rules as a table ("How image files are read"), tests/io/test_read.py a test for
each row.
"""

import os
import pathlib

import numpy as np

from hpunet_jax.io.image import Image
from hpunet_jax.io.pictures import decode_picture
from hpunet_jax.io.stored import Stored
from hpunet_jax.io.tiff import decode_tiff, is_tiff


def read_image(path: str | os.PathLike[str]) -> Image:
    """Reads an image file.

    Args:
      path: a PNG, JPEG, TIFF, BMP or WebP file; the content decides which.

    Returns:
      The image, uint8 or uint16 [H, W, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
      OSError: if it cannot be read at all.
    """
    return decode_image(read_bytes(path), os.fspath(path))


def read_labels(path: str | os.PathLike[str]) -> Image:
    """Reads an image file whose values are classes or instances.

    Args:
      path: as for `read_image`, but compressed without loss.

    Returns:
      The labels, integers [H, W].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
      OSError: if it cannot be read at all.
    """
    return decode_labels(read_bytes(path), os.fspath(path))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file.

    Raises:
      FileNotFoundError, PermissionError: with a sentence that names the file.
    """
    try:
        return pathlib.Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user: change its rights.") from error


def decode_image(data: bytes, name: str) -> Image:
    """Decodes an image: `read_image` of what has been read already.

    Values of fewer than 8 bits are stretched to 8, those of 9 to 15 bits to 16. Palettes become
    RGB, or grey where all their colours are grey. A transparency must be opaque everywhere, and is
    left out.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      As `read_image`.

    Raises:
      ValueError: as `read_image`.
    """
    stored = _decode(data, name)
    if not stored.bits:
        raise ValueError(
            f"{name} has {stored.pixels.dtype} values: expected unsigned integers of up to 16 "
            "bits; rescale them to 0 to 65535 and save them with 16 bits."
        )
    pixels = _stretch(stored) if stored.palette is None else _coloured(stored, name)
    return Image(pixels if pixels.ndim == 3 else pixels[..., None], name, stored.turned)


def decode_labels(data: bytes, name: str) -> Image:
    """Decodes a map of labels: `read_labels` of what has been read already.

    The value is the label, however few bits it has. Of a palette it is the index, as in PASCAL VOC,
    unless all colours are grey: then it is the grey value. Grey values stored as RGB are read, true
    colours are refused. Floating-point values must be whole numbers.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      As `read_labels`.

    Raises:
      ValueError: as `read_labels`.
    """
    stored = _decode(data, name)
    if stored.lossy:
        raise ValueError(
            f"{name} holds no labels that can be trusted: JPEG changes values; save it as PNG."
        )
    pixels = stored.pixels
    if stored.palette is not None and _is_grey(stored):
        pixels = stored.palette[pixels, 0]
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise ValueError(
                f"{name} has colours: expected grey values, whose value is the label, or a palette."
            )
        pixels = pixels[..., 0]
    if not np.issubdtype(pixels.dtype, np.integer):
        whole = pixels.astype(np.int64) if np.isfinite(pixels).all() else pixels
        if (whole != pixels).any() or whole is pixels:
            raise ValueError(f"{name} has values that are no whole numbers, and so no labels.")
        pixels = whole
    return Image(pixels, name, stored.turned)


def _decode(data: bytes, name: str) -> Stored:
    if not data:
        raise ValueError(f"{name} is empty: it has 0 bytes.")
    try:
        return decode_tiff(data, name) if is_tiff(data) else decode_picture(data, name)
    except MemoryError as error:
        raise ValueError(f"{name} needs more memory to be unpacked than there is.") from error


def _stretch(stored: Stored) -> np.ndarray:
    """Values whose greatest is that of 8 or 16 bits."""
    greatest = 255 if stored.bits <= 8 else 65535
    if 2**stored.bits - 1 == greatest:
        return stored.pixels
    stretched = stored.pixels.astype(np.uint32) * greatest // (2**stored.bits - 1)
    return stretched.astype(np.uint8 if greatest == 255 else np.uint16)


def _coloured(stored: Stored, name: str) -> np.ndarray:
    colours = stored.palette[stored.pixels]
    if (colours[..., 3] != 255).any():
        raise ValueError(f"{name} is transparent in places: save it without transparency.")
    return colours[..., 0] if _is_grey(stored) else colours[..., :3]


def _is_grey(stored: Stored) -> bool:
    used = stored.palette[np.unique(stored.pixels), :3]
    return bool((used == used[:, :1]).all())
