"""PNG, JPEG, BMP and WebP files, by Pillow; coloured PNG of 16 bits, which it cuts, by imagecodecs.

A file is decoded from memory, so that errors of the disk or of rights cannot be taken for damage.
"""

import io
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from hpunet_jax.io.stored import MOST_PIXELS, Stored, drop_alpha, upright

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # MPO begins as a JPEG
_ORIENTATION = 0x0112  # of EXIF
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6  # colour types of PNG
# What Pillow and imagecodecs raise where a file's content makes no sense.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    *(IndexError, KeyError, TypeError, OverflowError, imagecodecs.PngError),
)


def decode_picture(data: bytes, name: str) -> Stored:
    """Decodes an image, and verifies the checksums where its format has some (PNG).

    Args:
      data: the content of the file.
      name: the file, for messages.

    Returns:
      Its values.

    Raises:
      ValueError: the file is damaged, of another format, too large, animated or transparent; or
        its pixels are neither grey nor RGB nor of a palette. It names the file and the reason.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_frames(image, name)
            kind = image.format
            if kind == "PNG":
                image.verify()  # after which it must be opened again
        if kind == "PNG":
            return _decode_png(data, name)
        return _decode_other(data, name)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name} has more pixels than the {MOST_PIXELS:,} that are read at once: cut it into "
            f"parts, or scale it down ({error})."
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{name} is no PNG, JPEG, TIFF, BMP or WebP file, or damaged at its very start."
        ) from error
    except _Refused:
        raise
    except _DAMAGE as error:
        raise ValueError(_what_is_wrong(error, name)) from error


class _Refused(ValueError):
    """The file is whole, but not what can be read here."""


def _what_is_wrong(error: Exception, name: str) -> str:
    text = str(error)
    if "MAX_TEXT" in text:
        return (
            f"{name} holds a text (metadata) longer than the 1 MiB that Pillow unpacks; its pixels "
            "were not looked at: save it without metadata."
        )
    if "not available" in text or "not support" in text:
        return f"{name} needs a decoder that is not there ({text}): save it as plain PNG."
    return f"{name} is damaged ({text})."


def _check_frames(image: Image.Image, name: str) -> None:
    # The further pictures of an MPO, as cameras write them, are previews or another eye's view.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise _Refused(
            f"{name} has {frames} frames: expected one image; save each as a file of its own."
        )


def _decode_png(data: bytes, name: str) -> Stored:
    bits, colour = data[24], data[25]
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
        transparency = image.info.get("transparency")
        if bits == 16 and colour != _GREY:
            pixels = imagecodecs.png_decode(data)
            if colour == _GREY_ALPHA:
                pixels = pixels[..., [0, -1]]  # it was spread over the colours
            elif transparency is not None:
                pixels = pixels[..., :3]  # a transparent colour was decoded as alpha
        else:
            pixels = np.array(image)
        palette = _palette(image) if colour == _PALETTE else None
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    elif bits < 8 and palette is None:
        pixels //= 255 // (2**bits - 1)  # Pillow stretches them
    pixels = pixels.astype(np.uint16 if bits == 16 else np.uint8)
    if colour in (_GREY_ALPHA, _RGB_ALPHA):
        pixels = _drop_alpha(pixels, bits, name)
    elif transparency is not None and palette is None:
        pixels = _drop_colour_key(pixels, transparency, name)
    pixels = upright(pixels, orientation)
    return Stored(pixels, bits, palette, turned=orientation in range(2, 9))


def _decode_other(data: bytes, name: str) -> Stored:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
        lossy = image.format in ("JPEG", "MPO")
        mode, pixels = image.mode, np.array(image)
        palette = _palette(image) if mode == "P" else None
    bits = 1 if mode == "1" else 8
    if mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX"):
        raise _Refused(f"{name} has {mode} colours: expected grey values or RGB; convert it.")
    if mode == "RGBX":  # four bytes a pixel of which one means nothing
        pixels = pixels[..., :3]
    if mode in ("LA", "RGBA"):
        pixels = _drop_alpha(pixels, bits, name)
    pixels = upright(pixels.astype(np.uint8), orientation)
    return Stored(pixels, bits, palette, lossy, orientation in range(2, 9))


def _palette(image: Image.Image) -> np.ndarray:
    image.apply_transparency()  # into the palette
    colours = np.array(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    return np.pad(colours, [(0, 256 - len(colours)), (0, 0)])


def _drop_alpha(pixels: np.ndarray, bits: int, name: str) -> np.ndarray:
    try:
        return drop_alpha(pixels, bits, name)
    except ValueError as error:
        raise _Refused(str(error)) from error


def _drop_colour_key(pixels: np.ndarray, key: int | tuple[int, ...], name: str) -> np.ndarray:
    """PNG may name one colour that is transparent; it must not occur."""
    same = pixels == np.asarray(key)
    if (same.all(axis=-1) if pixels.ndim == 3 else same).any():
        raise _Refused(f"{name} is transparent in places: save it without transparency.")
    return pixels
