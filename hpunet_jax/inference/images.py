"""Ordinary image files for a model: read, checked, padded to sizes that the network takes."""

import os
import pathlib

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def find_images(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The image files of a folder (not of the folders in it), sorted; or the one file given.

    Args:
      path: a folder or a file.

    Returns:
      Their paths; hidden files do not count.

    Raises:
      FileNotFoundError: if there is no such folder or file, or no image in it.
      ValueError: if two of them differ in their suffix only, so that results would collide.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: expected an image file or a folder.")
    found = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not found:
        raise FileNotFoundError(f"{path} holds no image files ({', '.join(SUFFIXES)}).")
    stems: dict[str, pathlib.Path] = {}
    for file in found:
        if file.stem in stems:
            raise ValueError(
                f"{file} and {stems[file.stem].name} differ in their suffix only: rename one of "
                "them, since results are named after the file without its suffix."
            )
        stems[file.stem] = file
    return found


def read_image(path: str | os.PathLike[str], channels: int) -> np.ndarray:
    """Reads an image file for a model of grey (1 channel) or RGB (3 channels) images.

    Turned photographs are set upright as a viewer does (EXIF orientation). Grey images become RGB
    for a model of RGB; RGB images become grey only where they are grey already, that is, where the
    three channels are equal. A transparency that is opaque everywhere is left out.

    Args:
      path: a PNG, JPEG or TIFF file of one page: grey (1, 8 or 16 bits), RGB or palette (8 bits).
      channels: 1 or 3.

    Returns:
      uint8 or uint16 [H, W, channels].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it.
    """
    pixels = _decode(path)
    if pixels.ndim == 3 and pixels.shape[-1] == 4:
        if (pixels[..., 3] != 255).any():
            raise ValueError(f"{path} is transparent in places: save it without transparency.")
        pixels = pixels[..., :3]
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], channels, axis=-1)
    if channels == 3:
        return pixels
    if (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"{path} has colours, but the model was trained on images of {channels} channel(s): "
            "convert it to grey values like those of the training images."
        )
    return pixels[..., :1]


def pad_to_multiple(image: np.ndarray, multiple: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Pads an image to a size that the network can halve as often as it does.

    Each side is continued by its mirror image (half the padding before, half behind), so that the
    network sees no edge where there is none: an object at the border goes on as itself. What it
    predicts there is cut off again.

    Args:
      image: [H, W, channels].
      multiple: height and width will be multiples of it, the model's `network.size_multiple`.

    Returns:
      The padded image, and the slices that cut [H, W] out of a map of its size.
    """
    before = [(-length % multiple) // 2 for length in image.shape[:2]]
    after = [-length % multiple - b for length, b in zip(image.shape[:2], before, strict=True)]
    padding = [*zip(before, after, strict=True), (0, 0)]
    inside = tuple(slice(b, b + n) for b, n in zip(before, image.shape[:2], strict=True))
    return np.pad(image, padding, mode="symmetric"), inside


def _decode(path: str | os.PathLike[str]) -> np.ndarray:
    """Pixels [H, W], [H, W, 3] or [H, W, 4]."""
    try:
        with Image.open(path) as image:
            image.verify()  # checks what the format can check, such as a PNG's checksums
        with Image.open(path) as image:
            pages = getattr(image, "n_frames", 1)
            mode = image.mode
            upright = ImageOps.exif_transpose(image)
            if mode == "P":
                upright = upright.convert("RGBA" if "transparency" in image.info else "RGB")
            pixels = np.array(upright)
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ValueError(f"{path} is damaged or no image ({error}).") from error
    if pages > 1:
        raise ValueError(
            f"{path} has {pages} pages: expected one image; save each page as a file of its own."
        )
    if mode == "1":
        return pixels.astype(np.uint8) * 255
    if mode in ("L", "RGB", "RGBA", "P"):
        return pixels
    if mode in _SIXTEEN_BITS or (mode == "I" and pixels.min() >= 0 and pixels.max() < 2**16):
        return pixels.astype(np.uint16)
    raise ValueError(
        f"{path} has pixels of the kind {mode}: expected grey values (1, 8 or 16 bits) or RGB "
        "colours (8 bits)."
    )
