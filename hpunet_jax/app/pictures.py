"""What the page shows: images of a folder, or test images of the model's data set with graders."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

PRESETS = {
    "lung": (-1000.0, 400.0),
    "mediastinum": (-160.0, 240.0),
    "bone": (-500.0, 1300.0),
}


class Grader(NamedTuple):
    """A grading of a picture.

    Attributes:
      name: what the page calls it.
      labels: uint8 [H, W]; 255 for pixels that the grader does not judge.
    """

    name: str
    labels: np.ndarray


class Picture(NamedTuple):
    """One image, or one slice of a volume.

    Attributes:
      name: what the page calls it, and what saved files are named after.
      pixels: uint8 or uint16 [H, W, channels], as the model takes them.
      graders: gradings, if any are known.
      spacing: millimetres from pixel to pixel, down and across; None where it is not known.
      slice: its number in the volume, from 0.
      slices: number of slices; 1 for a plain image.
      source: file or data set that it was read from.
      hounsfield: whether its values are those of CT, for which there are presets.
    """

    name: str
    pixels: np.ndarray
    graders: Sequence[Grader] = ()
    spacing: tuple[float, float] | None = None
    slice: int = 0
    slices: int = 1
    source: str = ""
    hounsfield: bool = False

    @property
    def window(self) -> tuple[float, float]:
        """The range of values that is shown at first: that of the type."""
        return 0.0, float(np.iinfo(self.pixels.dtype).max)


class Pictures(NamedTuple):
    """The pictures that can be opened.

    Attributes:
      names: their names.
      open: (number, slice) -> the picture.
    """

    names: Sequence[str]
    open: Callable[[int, int], Picture]


def example_picture(example: dict[str, Any], name: str, source: str) -> Picture:
    """A record of a data set of graders (or of one truth) as a picture.

    Args:
      example: `image` [H, W, channels], and perhaps `masks` uint8 [H, W, G].
      name: its name.
      source: the data set.

    Returns:
      The picture; graders who did not look at it (all 255) are left out.
    """
    masks = example.get("masks")
    planes = [] if masks is None else np.moveaxis(np.asarray(masks), -1, 0)
    graders = [
        Grader(f"grader {number}", plane)
        for number, plane in enumerate(planes)
        if (plane != 255).any()
    ]
    return Picture(name, np.asarray(example["image"]), graders, source=source)


def file_name(path: str | os.PathLike[str]) -> str:
    """The last part of a path without its suffix: saved files are named after it."""
    return os.path.splitext(os.path.basename(os.fspath(path)))[0]
