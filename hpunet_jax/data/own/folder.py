"""Own data in the layout of the published LIDC crops (Appendix C): reading a folder.

  <dir>/<train|val|test>/images/<name>.png        an image of any format that hpunet_jax/io reads
  <dir>/<train|val|test>/gt/<name>_l<k>.png       what grader k drew: the class, 255 = ignore

Graders may be any numbers, and an image needs at least one of them.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from hpunet_jax.data.crop_archives import Folder
from hpunet_jax.data.crop_layout import GradedImage, find_graded_images
from hpunet_jax.io import SUFFIXES, Image, decode_image, decode_labels, is_clutter, read_bytes
from hpunet_jax.labels import IGNORED

PARTS = {"train": "train", "val": "validation", "test": "test"}  # folder: split


def find_parts(folder: str | os.PathLike[str]) -> dict[str, Folder]:
    """The parts of a data set that are there.

    Args:
      folder: holds at least one of the folders train, val and test.

    Returns:
      The files of each part, by the folder's name.

    Raises:
      FileNotFoundError: if there is none.
    """
    folder = pathlib.Path(folder)
    parts = {part: Folder(folder / part) for part in PARTS if (folder / part).is_dir()}
    if not parts:
        raise FileNotFoundError(
            f"{folder} has none of the folders {', '.join(PARTS)}; expected images in "
            f"{folder / 'train' / 'images'} and masks in {folder / 'train' / 'gt'}, and likewise "
            "for val and test."
        )
    return parts


def find_others(folder: str | os.PathLike[str]) -> list[str]:
    """A sentence for each folder beside the parts: it may be one that is called differently."""
    others = sorted(
        entry.name
        for entry in pathlib.Path(folder).iterdir()
        if entry.is_dir() and entry.name not in PARTS and not is_clutter(entry.name)
    )
    return [f"{name} is not read: the folders are called {', '.join(PARTS)}." for name in others]


def find_images(files: Folder) -> tuple[list[GradedImage], list[str]]:
    """The images of a part with their masks, and a sentence for each file out of place."""
    layout = find_graded_images(files.names, suffixes=SUFFIXES)
    problems = [f"{files.path.name}/{problem}" for problem in layout.problems]
    if not layout.images:
        problems.append(f"{files.path.name} has no image with a mask.")
    return layout.images, problems


def read_image(files: Folder, name: str) -> Image:
    """Reads an image.

    Args:
      files: the files of a part.
      name: the image's.

    Returns:
      The image, uint8 or uint16 [H, W, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image; its message names it.
      OSError: if the file cannot be read at all.
    """
    return decode_image(read_bytes(files.path / name), f"{files.path.name}/{name}")


def read_mask(files: Folder, name: str) -> Image:
    """Reads a mask.

    Args:
      files: the files of a part.
      name: the mask's.

    Returns:
      The mask, uint8 [H, W], the class of each pixel; 255 is ignored.

    Raises:
      ValueError: if the file is damaged or no mask; its message names it.
      OSError: if the file cannot be read at all.
    """
    mask = decode_labels(read_bytes(files.path / name), f"{files.path.name}/{name}")
    if mask.array.size and not 0 <= mask.array.min() <= mask.array.max() <= IGNORED:
        raise ValueError(
            f"{mask.source} has values from {mask.array.min()} to {mask.array.max()}: expected "
            f"classes, at most {IGNORED - 1}, or {IGNORED} for pixels to ignore."
        )
    return dataclasses.replace(mask, array=mask.array.astype(np.uint8))


def classes_of(mask: np.ndarray, foreground: int | None) -> np.ndarray:
    """The classes of a mask's values.

    Args:
      mask: uint8 [H, W].
      foreground: 255 for masks of 0 and 255, whose 255 becomes class 1 and nothing is ignored; 1 or
        None for masks whose value is the class, and 255 to ignore.

    Returns:
      uint8 [H, W].
    """
    return np.where(mask == 255, np.uint8(1), mask) if foreground == 255 else mask


def read_masks(
    files: Folder,
    crop: GradedImage,
    graders: Sequence[int],
    shape: tuple[int, int],
    foreground: int | None = None,
) -> np.ndarray:
    """Reads all masks of an image.

    Args:
      files: the files of a part.
      crop: the image's.
      graders: numbers of all graders of the data set.
      shape: height and width of the image.
      foreground: what 255 means, as for `classes_of`.

    Returns:
      uint8 [H, W, G]; the plane of a grader who did not annotate the image is 255 everywhere.
    """
    masks = np.full((*shape, len(graders)), IGNORED, np.uint8)
    for grader, name in crop.masks.items():
        masks[..., graders.index(grader)] = classes_of(read_mask(files, name).array, foreground)
    return masks


def fit(pixels: np.ndarray, size: tuple[int, int], fill: int) -> np.ndarray:
    """Crops or pads an image to a size, evenly on all sides.

    Args:
      pixels: [H, W, ...].
      size: height and width of the result.
      fill: value of what is padded.

    Returns:
      [*size, ...] of the same type.
    """
    for axis, length in enumerate(size):
        over = pixels.shape[axis] - length
        if over > 0:
            pixels = pixels.take(range(over // 2, over // 2 + length), axis)
        elif over < 0:
            room = [(0, 0)] * pixels.ndim
            room[axis] = (-over // 2, -over - -over // 2)
            pixels = np.pad(pixels, room, constant_values=fill)
    return pixels
