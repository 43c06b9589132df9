"""From the content of a file to an image or a map of labels, by one set of rules for all formats.

docs/data.md has the rules as a table ("How image files are read"), tests/io/test_read.py a test for
each row.
"""

from typing import NamedTuple

import numpy as np

from hpunet_jax.io.image import Image
from hpunet_jax.io.pictures import decode_picture
from hpunet_jax.io.preparation import Preparation
from hpunet_jax.io.stored import Stored, invert, stretch
from hpunet_jax.io.tiff import decode_tiff, is_tiff


class Decoded(NamedTuple):
    """What is in a file.

    Attributes:
      array: an image [D, H, W, C] or labels [D, H, W]; D is 1 unless there are several pages.
      turned: whether the file said that it is to be turned or mirrored, which was done.
      white_is_0: whether the least value is shown as white, and the array is not inverted.
    """

    array: np.ndarray
    turned: bool
    white_is_0: bool = False


def decode_image(data: bytes, name: str) -> Image:
    """Decodes one image.

    Values of fewer than 8 bits are stretched to 8, those of 9 to 15 bits to 16. Palettes become
    RGB, or grey where all their colours are grey. A transparency must be opaque everywhere, and is
    left out.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      The image, uint8 or uint16 [H, W, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
    """
    found = decode_values(data, name)
    return Image(_only(Preparation().images(found.array, None, name), name), name, found.turned)


def decode_labels(data: bytes, name: str) -> Image:
    """Decodes one map of labels.

    The value is the label, however few bits it has. Of a palette it is the index, as in PASCAL VOC,
    unless all colours are grey: then it is the grey value. Grey values stored as RGB are read, true
    colours are refused. Floating-point values must be whole numbers.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      The labels, integers [H, W].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
    """
    found = decode_label_values(data, name)
    return Image(_only(found.array, name), name, found.turned)


def decode_values(data: bytes, name: str, as_shown: bool = True) -> Decoded:
    """Decodes an image, or the pages of a volume: `decode_image` with any type of numbers.

    Args:
      data: the content of the file.
      name: the file, for messages.
      as_shown: whether integers of other than 8 and 16 bits are stretched to as many, and values
        whose white is 0 are inverted; else they are the file's own.

    Returns:
      The values [D, H, W, 1 or 3].

    Raises:
      ValueError: as `decode_image`, except for types.
    """
    pages = []
    for stored in (found := _decode(data, name)):
        if stored.palette is not None:
            pixels = _coloured(stored.pixels, stored.palette, name)
        else:
            pixels = stored.pixels
            if as_shown:
                pixels = invert(pixels, stored.bits) if stored.white_is_0 else pixels
                pixels = stretch(pixels, stored.bits)
        pages.append(pixels if pixels.ndim == 3 else pixels[..., None])
    return Decoded(np.stack(pages), found[0].turned, found[0].white_is_0 and not as_shown)


def decode_label_values(data: bytes, name: str) -> Decoded:
    """Decodes a map of labels, or the pages of a volume of them, as `decode_labels`.

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      Integers [D, H, W].

    Raises:
      ValueError: as `decode_labels`.
    """
    pages = []
    for stored in (found := _decode(data, name)):
        if stored.lossy:
            raise ValueError(
                f"{name} holds no labels that can be trusted: JPEG changes values; save it as PNG."
            )
        pixels = invert(stored.pixels, stored.bits) if stored.white_is_0 else stored.pixels
        if stored.palette is not None and _is_grey(stored.pixels, stored.palette):
            pixels = stored.palette[pixels, 0]
        if pixels.ndim == 3:
            if (pixels != pixels[..., :1]).any():
                raise ValueError(
                    f"{name} has colours: expected grey values, whose value is the label, or a "
                    "palette."
                )
            pixels = pixels[..., 0]
        pages.append(whole_numbers(pixels, name))
    return Decoded(np.stack(pages), found[0].turned)


def whole_numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Labels as integers, which floating-point values must be, too.

    Raises:
      ValueError: if a value is no whole number; it names the file.
    """
    if np.issubdtype(values.dtype, np.integer):
        return values
    whole = values.astype(np.int64) if np.isfinite(values).all() else values
    if (whole != values).any() or whole is values:
        raise ValueError(f"{name} has values that are no whole numbers, and so no labels.")
    return whole


def _only(slices: np.ndarray, name: str) -> np.ndarray:
    if len(slices) > 1:
        raise ValueError(
            f"{name} has {len(slices)} pages: expected one image; save each page as a file of its "
            "own."
        )
    return slices[0]


def _decode(data: bytes, name: str) -> list[Stored]:
    if not data:
        raise ValueError(f"{name} is empty: it has 0 bytes.")
    try:
        return decode_tiff(data, name) if is_tiff(data) else [decode_picture(data, name)]
    except MemoryError as error:
        raise ValueError(f"{name} needs more memory to be unpacked than there is.") from error


def _coloured(pixels: np.ndarray, palette: np.ndarray, name: str) -> np.ndarray:
    colours = palette[pixels]
    if (colours[..., 3] != 255).any():
        raise ValueError(f"{name} is transparent in places: save it without transparency.")
    return colours[..., 0] if _is_grey(pixels, palette) else colours[..., :3]


def _is_grey(pixels: np.ndarray, palette: np.ndarray) -> bool:
    used = palette[np.unique(pixels), :3]
    return bool((used == used[:, :1]).all())
