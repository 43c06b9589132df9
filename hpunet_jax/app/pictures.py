"""What the page shows: images of a folder, or test images of the model's data set with graders."""

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hpunet_jax.inference.model import Model
from hpunet_jax.inference.volumes import read_for
from hpunet_jax.io import Preparation, Slices, Volume, check_writable, name_of
from hpunet_jax.io.preparation import AS_STORED

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
      ends: the values in the file's units that became 0 and the type's greatest; None: it was
        stored so.
      hounsfield: whether these units are those of CT, for which there are presets.
      volume: the volume that it is a slice of, into whose geometry masks are saved; None of a
        plain image.
      preparation: how the pixels were made of the file's values.
      size: height and width in the file, to which masks are saved; (): those of the pixels.
      unsavable: why no mask of it can be saved; "" if one can.
    """

    name: str
    pixels: np.ndarray
    graders: Sequence[Grader] = ()
    spacing: tuple[float, float] | None = None
    slice: int = 0
    slices: int = 1
    source: str = ""
    ends: tuple[float, float] | None = None
    hounsfield: bool = False
    volume: Volume | None = None
    preparation: Preparation = AS_STORED
    size: tuple[int, ...] = ()
    unsavable: str = ""

    @property
    def digest(self) -> str:
        """Of the pixels as the model takes them, whatever the file is called."""
        hashed = hashlib.sha256(repr((self.pixels.shape, self.pixels.dtype.str)).encode())
        hashed.update(self.pixels.tobytes())
        return hashed.hexdigest()[:16]

    @property
    def window(self) -> tuple[float, float]:
        """The range of values that is shown at first: that of the type."""
        return 0.0, float(np.iinfo(self.pixels.dtype).max)

    @property
    def presets(self) -> dict[str, tuple[float, float]]:
        """Ranges of values by name: the whole, and of CT the usual windows."""
        presets = {"whole range": self.window}
        if self.hounsfield and self.ends:
            low, high = self.ends
            scale = self.window[1] / ((high - low) or 1.0)  # as a constant volume is prepared
            for name, window in PRESETS.items():
                first, last = sorted((value - low) * scale for value in window)
                presets[name] = (first, last)
        return presets


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


def file_pictures(
    model: Model, paths: Sequence[str | os.PathLike[str]], preparation: Preparation
) -> Pictures:
    """Images, and slices of volumes and DICOM series; those read last are kept.

    Args:
      model: the model that they are for.
      paths: the files and series.
      preparation: window and spacing.
    """

    @functools.lru_cache(maxsize=2)
    def read(number: int) -> tuple[Slices, str]:
        slices = read_for(model, paths[number], preparation)
        try:
            if slices.volume is not None:
                check_writable(slices.volume)
        except ValueError as error:
            return slices, str(error)
        return slices, ""

    def opened(number: int, slice_number: int) -> Picture:
        slices, unsavable = read(number)
        picture = slice_picture(slices, slice_number, name_of(paths[number]), preparation)
        return picture._replace(unsavable=unsavable)

    return Pictures([os.path.basename(os.path.abspath(path)) for path in paths], opened)


def slice_picture(slices: Slices, number: int, name: str, preparation: Preparation) -> Picture:
    """One slice as a picture.

    Args:
      slices: the slices, as of `read_for`.
      number: the slice's.
      name: the picture's name.
      preparation: window and spacing.

    Raises:
      ValueError: if there is no such slice.
    """
    count = len(slices.array)
    if not 0 <= number < count:
        raise ValueError(f"`slice` is {number}, but {name} has slices 0 to {count - 1}.")
    spacing, scale = preparation.spacing or slices.spacing, preparation.scale
    return Picture(
        name,
        slices.array[number],
        spacing=(spacing[0] / scale, spacing[1] / scale) if spacing else None,
        slice=number,
        slices=count,
        source=os.path.abspath(slices.source),
        ends=slices.ends,
        hounsfield=slices.volume is not None and slices.values[0] < -500,  # air
        volume=slices.volume,
        preparation=preparation,
        size=slices.size,
    )
