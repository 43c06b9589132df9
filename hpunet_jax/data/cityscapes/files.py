"""Cityscapes (Section 3.4, Appendix C): finding its files and halving their resolution.

  leftImg8bit/<train|val>/<city>/<frame>_leftImg8bit.png         RGB image
  gtFine/<train|val>/<city>/<frame>_gtFine_instanceIds.png       16-bit: class, or 1000 x class + k

The ids hold the classes too, so the other files of gtFine (labelIds, color, polygons) are not
needed. `cityscapesscripts` supplies the table of classes.
"""

import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from cityscapesscripts.helpers import labels as cityscapes_labels
from jaxtyping import UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from hpunet_jax.io import is_clutter, read_labels
from hpunet_jax.io import read_image as read_any_image
from hpunet_jax.labels import IGNORED

SIZE = (1024, 2048)  # height and width of the originals
HALF = (512, 1024)
# Cities of the official training set that the paper validates on; Mönchengladbach's folder is
# spelt without its umlaut.
VALIDATION_CITIES = ("darmstadt", "monchengladbach", "ulm")
NUM_IMAGES = {"train": 2701, "validation": 274, "test": 500}
CAR = 26  # id in the table of classes

_IMAGE, _IDS = "_leftImg8bit.png", "_gtFine_instanceIds.png"


class Frame(NamedTuple):
    """One street scene.

    Attributes:
      id: for instance 'ulm_000000_000019'.
      image: the file of the image.
      ids: the file of the instance ids.
    """

    id: str
    image: pathlib.Path
    ids: pathlib.Path


def find_frames(folder: str | os.PathLike[str]) -> tuple[dict[str, list[Frame]], list[str]]:
    """Finds the frames of the paper's splits, and what is wrong with their files.

    Looks at names and at the files' first bytes; pixels are only looked at as they are read.

    Args:
      folder: holds `leftImg8bit` and `gtFine`.

    Returns:
      The frames of "train", "validation" and "test", and a sentence for each file that is missing,
      damaged or of the wrong kind.

    Raises:
      FileNotFoundError: if one of the two folders is missing.
    """
    folder = pathlib.Path(folder)
    for name in ("leftImg8bit", "gtFine"):
        if not (folder / name).is_dir():
            raise FileNotFoundError(
                f"{folder / name} is missing. Download {name}_trainvaltest.zip from "
                f"https://www.cityscapes-dataset.com and unpack it in {folder}."
            )
    frames: dict[str, list[Frame]] = {split: [] for split in NUM_IMAGES}
    problems = []
    for part in ("train", "val"):
        images = _files(folder / "leftImg8bit" / part, _IMAGE)
        ids = _files(folder / "gtFine" / part, _IDS)
        for city, name in sorted(images | ids):
            image = folder / "leftImg8bit" / part / city / f"{name}{_IMAGE}"
            annotation = folder / "gtFine" / part / city / f"{name}{_IDS}"
            missing = [path for path in (image, annotation) if not path.exists()]
            problems += [f"{path} is missing." for path in missing]
            if missing:
                continue
            found = [*_check_header(image, 8), *_check_header(annotation, 16)]
            problems += found
            if not found:
                frames[_split(part, city)].append(Frame(name, image, annotation))
    return frames, problems


def _files(folder: pathlib.Path, suffix: str) -> set[tuple[str, str]]:
    return {
        (path.parent.name, path.name.removesuffix(suffix))
        for path in folder.glob(f"*/*{suffix}")
        if not is_clutter(path.name)
    }


def _split(part: str, city: str) -> str:
    if part == "val":
        return "test"
    return "validation" if city in VALIDATION_CITIES else "train"


def _check_header(path: pathlib.Path, bits: int) -> list[str]:
    try:
        with path.open("rb") as file:
            start = file.read(25)
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            return [f"{path} cannot be read: {error.strerror}."]
        return [f"{path} cannot be read; it is damaged or no PNG file ({error})."]
    problems = []
    if (height, width) != SIZE:
        problems.append(
            f"{path} has {height}x{width} pixels; expected Cityscapes' {SIZE[0]}x{SIZE[1]}."
        )
    if start[24] != bits:  # the bit depth stands at byte 24 of a PNG
        problems.append(f"{path} has {start[24]} bits per value; expected {bits}.")
    return problems


def read_image(path: str | os.PathLike[str]) -> UInt8[np.ndarray, "512 1024 3"]:
    """Reads an image at half resolution: the mean of each 2x2 square, rounded.

    Args:
      path: a file of leftImg8bit.

    Returns:
      uint8 [512, 1024, 3].

    Raises:
      ValueError: if the file is damaged or of another kind; it names the file.
    """
    pixels = read_any_image(path).array
    if pixels.shape != (*SIZE, 3) or pixels.dtype != np.uint8:
        raise ValueError(_of_another_kind(path, pixels, f"{SIZE[0]}x{SIZE[1]}x3 uint8"))
    return halve_by_area(pixels)


def read_annotation(
    path: str | os.PathLike[str],
) -> tuple[UInt8[np.ndarray, "512 1024"], UInt16[np.ndarray, "512 1024"]]:
    """Reads classes and cars at half resolution.

    Args:
      path: a file of instanceIds.

    Returns:
      semantic: uint8 [512, 1024], the 19 train ids, 255 elsewhere.
      cars: uint16 [512, 1024], 0 for no car, else the number of the car (from 1). A group of cars
        that nobody told apart has no number, though `semantic` says car.

    Raises:
      ValueError: if the file is damaged or of another kind, or all pixels are to be ignored.
    """
    ids = read_labels(path).array
    if ids.shape != SIZE or ids.dtype != np.uint16:
        raise ValueError(_of_another_kind(path, ids, f"{SIZE[0]}x{SIZE[1]} uint16"))
    ids = halve_by_nearest(ids)
    classes = np.where(ids < 1000, ids, ids // 1000)
    table = train_ids()
    if classes.max() >= len(table):
        raise ValueError(
            f"{path} has the id {ids[classes >= len(table)][0]}; expected classes 0 to "
            f"{len(table) - 1}, or 1000 times a class plus the number of an object."
        )
    semantic = table[classes]
    if (semantic == IGNORED).all():
        raise ValueError(
            f"{path} has no pixel to learn from: none belongs to the {len(set(table)) - 1} classes."
        )
    return semantic, car_numbers(ids)


def car_numbers(ids: UInt16[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """The cars among instance ids: 26000 becomes 1, 26001 becomes 2, all else 0; uint16."""
    is_car = ids // 1000 == CAR
    return np.where(is_car, ids % 1000 + 1, 0).astype(np.uint16)


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


@functools.cache
def train_ids() -> np.ndarray:
    """Cityscapes' table from class to train id, uint8; 255 for classes that are not trained."""
    known = [label for label in cityscapes_labels.labels if label.id >= 0]
    table = np.full(max(label.id for label in known) + 1, IGNORED, np.uint8)
    for label in known:
        table[label.id] = label.trainId if 0 <= label.trainId < IGNORED else IGNORED
    return table


def check_counts(frames: Mapping[str, Sequence[Frame]]) -> list[str]:
    """A sentence for each split that has not the official number of images."""
    return [
        f"The split {split!r} has {len(frames[split])} images, expected {expected}."
        for split, expected in NUM_IMAGES.items()
        if len(frames[split]) != expected
    ]


def _of_another_kind(path: str | os.PathLike[str], pixels: np.ndarray, expected: str) -> str:
    found = f"{'x'.join(map(str, pixels.shape))} {pixels.dtype}"
    return f"{path} holds {found} values; expected {expected}."
