"""Electron micrographs of a fly larva's ventral nerve cord: finding and reading the sections.

The data set of Gerhard, Funke, Martel, Cardona and Fetter (2013) has 20 sections of 1024x1024
pixels of 4.6 nm, 45 to 50 nm apart, and a map of labels for each. A profile of a neurite is what is
not membrane and hangs together by pixels' sides. A membrane is about 6 pixels wide, and at a
quarter of the resolution less than 2, where SNEMI3D's, at 6 nm, are about 5: the largest profiles
are then no larger than what a small network sees at once.
"""

import os
import pathlib
import re
from typing import NamedTuple

import numpy as np
import skimage.measure
import skimage.transform
from jaxtyping import UInt8, UInt16

from hpunet_jax.io import read_image, read_labels
from hpunet_jax.io.listing import is_image
from hpunet_jax.io.walk import walk

SIZE = 1024  # pixels of a section's side
REDUCED = 4  # squares of so many pixels become one
PATCH = 64  # pixels then
STRIDES = {"train": PATCH // 2, "validation": PATCH, "test": PATCH}
SPLITS = {"train": range(14), "validation": range(14, 17), "test": range(17, 20)}
MEMBRANE = (0, 32, 64, 96, 128)  # by direction, and junctions
INSIDE = (159, 191, 223, 255)  # glia or extracellular, mitochondria, synapses, cytoplasm

_IMAGES = ("raw", "images")  # the publication's name of the folder, and a usual one


class Section(NamedTuple):
    """The files of a section."""

    image: pathlib.Path
    labels: pathlib.Path


def find_sections(folder: str | os.PathLike[str]) -> list[Section]:
    """Finds the sections below a folder.

    Args:
      folder: holds, with any folders in between, a folder `labels` and beside it `raw` or `images`.
        Files are known by the number at the end of their name: raw/03.tif and
        labels/labels00000003.png are one section.

    Returns:
      The 20 sections in order.

    Raises:
      FileNotFoundError: if a folder or a section is missing.
      ValueError: if there are several such folders, or several files of one number.
    """
    folder = pathlib.Path(folder)
    pairs = [
        (labels.parent / name, labels)
        for labels, _ in walk(folder)
        for name in _IMAGES
        if labels.name == "labels" and labels != folder and (labels.parent / name).is_dir()
    ]
    if not pairs:
        raise FileNotFoundError(
            f"There is no folder `labels` with `raw` or `images` beside it in {folder}. Download "
            "the data set (doi 10.6084/m9.figshare.856713) and unpack it there."
        )
    if len(pairs) > 1:
        raise ValueError(
            f"{folder} holds the sections more than once: {', '.join(str(a) for a, _ in pairs)}. "
            "Leave only one of them."
        )
    images, labels = (_numbered(part) for part in pairs[0])
    wanted = [number for split in SPLITS.values() for number in split]
    for part, found in zip(pairs[0], (images, labels), strict=True):
        if missing := [str(number) for number in wanted if number not in found]:
            raise FileNotFoundError(
                f"{part} lacks the sections {', '.join(missing)} of 0 to {wanted[-1]}. Unpack the "
                "data set again."
            )
    return [Section(images[number], labels[number]) for number in wanted]


def _numbered(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The files of a folder by the number at the end of their names."""
    found: dict[int, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        number = re.search(r"(\d+)$", path.stem)
        if number is None or not is_image(path.name):
            continue
        if (other := found.setdefault(int(number[1]), path)) != path:
            raise ValueError(f"{other} and {path} have the same number: leave only one of them.")
    return found


def read_section(
    section: Section,
) -> tuple[UInt8[np.ndarray, "256 256 1"], UInt16[np.ndarray, "256 256"]]:
    """Reads a section at a quarter of the resolution.

    Args:
      section: its files.

    Returns:
      image: uint8 [256, 256, 1], the means of 4x4 squares.
      instances: uint16 [256, 256], the number of each profile at the squares' middle, 0 for
        membranes.

    Raises:
      ValueError: if a file is damaged or of another size or kind; it names the file.
    """
    image, labels = read_image(section.image).array, read_labels(section.labels).array
    expected = f"expected {SIZE}x{SIZE} grey values of 8 bits. Download it again."
    if image.shape != (SIZE, SIZE, 1) or image.dtype != np.uint8:
        raise ValueError(f"{section.image} has {image.dtype} values {image.shape}; {expected}")
    if labels.shape != (SIZE, SIZE):
        raise ValueError(f"{section.labels} has labels {labels.shape}; {expected}")
    if unknown := sorted(set(np.unique(labels).tolist()) - {*MEMBRANE, *INSIDE}):
        raise ValueError(
            f"{section.labels} has the label {unknown[0]}; expected those of the data set, "
            f"{', '.join(map(str, (*MEMBRANE, *INSIDE)))}. Files must be stored without loss."
        )
    instances = skimage.measure.label(labels > MEMBRANE[-1], connectivity=1)
    means = skimage.transform.downscale_local_mean(image, (REDUCED, REDUCED, 1))
    middle = slice(REDUCED // 2, None, REDUCED)
    return np.rint(means).astype(np.uint8), instances[middle, middle].astype(np.uint16)
