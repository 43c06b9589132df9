"""What a decoder finds in a file, before anything is said about what the values mean."""

import os
import pathlib
from typing import NamedTuple

import numpy as np

# Pillow refuses images of more pixels, which may be small files that unpack to fill the memory.
MOST_PIXELS = 178_956_970

_TURNS = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.swapaxes(pixels, 0, 1), 2),
    8: np.rot90,
}


class Stored(NamedTuple):
    """The values of an image file, upright.

    Attributes:
      pixels: [H, W] or [H, W, 3], of the file's own type; of a palette, the indices. Values of less
        than 8 (or 16) bits are not stretched, and not inverted where white is 0.
      bits: bits of a value that is an unsigned integer of up to 16; 0 for other types.
      palette: uint8 [n, 4], the red, green, blue and alpha of each index; None without palette.
      lossy: whether the compression changes values (JPEG).
      turned: whether the file said that it is to be turned or mirrored.
      white_is_0: whether the least value is shown as white.
    """

    pixels: np.ndarray
    bits: int
    palette: np.ndarray | None = None
    lossy: bool = False
    turned: bool = False
    white_is_0: bool = False


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors as EXIF's orientation says, 1 to 8; any other number changes nothing."""
    return np.ascontiguousarray(_TURNS.get(orientation, _TURNS[1])(pixels))


def stretch(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Values of some bits as uint8 or uint16 whose greatest is that of the type.

    Args:
      pixels: unsigned integers of any shape.
      bits: bits of a value, 1 to 16; 0: all of the type.
    """
    greatest = 255 if bits <= 8 else 65535
    if not bits or (2**bits - 1 == greatest and pixels.dtype.itemsize * 8 == bits):
        return pixels
    stretched = pixels.astype(np.uint32) * greatest // (2**bits - 1)
    return stretched.astype(np.uint8 if greatest == 255 else np.uint16)


def invert(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Values of some bits, of which 0 becomes the greatest and the greatest 0.

    Args:
      pixels: unsigned integers of any shape.
      bits: bits of a value; 0: all of the type.
    """
    return pixels.dtype.type(2 ** (bits or 8 * pixels.dtype.itemsize) - 1) - pixels


def drop_alpha(pixels: np.ndarray, bits: int, name: str) -> np.ndarray:
    """Leaves out the last channel, a transparency that must be opaque everywhere.

    Args:
      pixels: [H, W, 2 or 4].
      bits: bits of a value.
      name: the file, for messages.

    Returns:
      [H, W] or [H, W, 3].

    Raises:
      ValueError: if a pixel is transparent.
    """
    if (pixels[..., -1] != 2**bits - 1).any():
        raise ValueError(f"{name} is transparent in places: save it without transparency.")
    return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]


def check_size(height: int, width: int, name: str) -> None:
    """Refuses images of more than `MOST_PIXELS` pixels.

    Raises:
      ValueError: it names the file and its size.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"{name} has {height:,}x{width:,} pixels, more than the {MOST_PIXELS:,} that are read "
            "at once: cut it into parts, or scale it down."
        )


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
    except OSError as error:
        raise OSError(f"{path} cannot be read ({error.strerror}).") from error
