"""DICOM segmentations (SEG) as label maps, by highdicom: each frame at its own place."""

import os
import pathlib
import re
import warnings
from typing import NamedTuple

import numpy as np

_CLASSES = {f"1.2.840.10008.5.1.4.1.1.66.{kind}".encode() for kind in (4, 7)}  # SEG, LABELMAP
_CLASS = re.compile(rb"\x02\x00\x02\x00UI..([\d.]+)", re.DOTALL)  # in the head of a file


class Segmentation(NamedTuple):
    """What a DICOM segmentation holds.

    Attributes:
      labels: unsigned integers [D, H, W], the numbers of segments, 0 where there is none; slices
        without frames between others are 0, too.
      spacing: mm in x, y, z (columns, rows, slices).
      origin: position of the first voxel in x, y, z.
      direction: the axes' directions, a 3x3 matrix row by row.
    """

    labels: np.ndarray
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]


def is_segmentation(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a DICOM segmentation, by its class."""
    try:
        with pathlib.Path(path).open("rb") as file:
            found = _CLASS.search(file.read(1024))
    except PermissionError:  # whoever reads it says so
        return False
    return found is not None and found[1] in _CLASSES


def read_segmentation(path: str | os.PathLike[str]) -> Segmentation:
    """Reads a DICOM segmentation whose segments do not overlap.

    Slices follow one another along the normal of rows and columns, as those of a series do.

    Args:
      path: the file.

    Raises:
      ValueError: if highdicom is not installed; it is damaged, holds probabilities (FRACTIONAL),
        segments that overlap, or frames that are no volume. It names the file.
    """
    try:
        import highdicom
    except ImportError as error:
        raise ValueError(
            f"{path} is a DICOM segmentation, which highdicom reads, and it is not installed: "
            "pip install '.[dicom]' in a clone."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = highdicom.seg.segread(path)
            if found.SegmentationType == "FRACTIONAL":
                raise ValueError("it holds fractions, which are no labels")
            volume = found.get_volume(combine_segments=True)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no DICOM segmentation that can be read ({error}).") from error
    affine = np.array(volume.affine)  # of slices, rows and columns
    labels = volume.array
    columns, rows, slices = affine[:3, 2], affine[:3, 1], affine[:3, 0]
    origin = affine[:3, 3]
    if np.dot(np.cross(columns, rows), slices) < 0:
        origin, slices, labels = origin + (len(labels) - 1) * slices, -slices, labels[::-1]
    axes = np.stack([columns, rows, slices], axis=1)
    spacing = np.linalg.norm(axes, axis=0)
    return Segmentation(
        np.ascontiguousarray(labels),
        tuple(spacing.tolist()),
        tuple(origin.tolist()),
        tuple((axes / spacing).ravel().tolist()),
    )
