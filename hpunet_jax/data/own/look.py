"""What is in one image of own data and in its masks: read once, summed up for the checker."""

import dataclasses
import hashlib

import numpy as np
import skimage.measure

from hpunet_jax.data.crop_layout import GradedImage, Grader
from hpunet_jax.data.own.description import Description
from hpunet_jax.data.own.examples import (
    check_count,
    example_names,
    fit,
    misfit,
    read_image,
    read_mask,
)
from hpunet_jax.data.own.folder import INSTANCES, Part
from hpunet_jax.data.problems import Problem
from hpunet_jax.io import Preparation, Slices
from hpunet_jax.io.dicom_source import patient_of
from hpunet_jax.io.preparation import WindowNeeded
from hpunet_jax.labels import IGNORED

_BULK = (0.1, 99.9)  # percentiles between which the values of an image are said to lie
NO_WINDOW = "values that need a window"
"""The kind of a problem."""

_ENOUGH = 1_000_000  # values, to find them

# So many values must be scattered, the greatest of them at least so great, to look smoothed.
_FEWEST_SCATTERED, _GREATEST_SCATTERED = 3, 32


@dataclasses.dataclass(frozen=True)
class MaskLook:
    """What was found in a mask; of a volume, in all slices.

    Attributes:
      values: the values in the file.
      pixels: int64 [256], the pixels of each class, after fitting to a size.
      scattered: the values but 0 and 255 that only single pixels and lines have: no square of 2x2.
      turned: whether the file said that it is to be turned.
      unknown: values that `dataset.json` does not know.
    """

    values: frozenset[int]
    pixels: np.ndarray
    scattered: frozenset[int]
    turned: bool
    unknown: tuple[int, ...] = ()

    @property
    def classes(self) -> frozenset[int]:
        """The classes after fitting, with 255 if there are pixels to ignore."""
        return frozenset(np.flatnonzero(self.pixels).tolist())

    @property
    def smoothed(self) -> bool:
        """Whether the values are those of a mask that was smoothed, resized or drawn smoothly.

        Then most values stand at borders only, scattered between those of the areas.
        """
        solid = self.values - self.scattered - {0}
        fewest = max(_FEWEST_SCATTERED, len(solid) + 1)
        return len(self.scattered) >= fewest and max(self.scattered) >= _GREATEST_SCATTERED


@dataclasses.dataclass(frozen=True)
class InstancesLook:
    """What was found in a map of instances; of a volume, in each slice.

    Attributes:
      counts: instances in each slice.
      areas: pixels of the instances of all slices, ascending.
      pieces: connected pieces of all of them.
      background: part of the pixels that belong to none.
    """

    counts: tuple[int, ...]
    areas: np.ndarray
    pieces: int
    background: float


@dataclasses.dataclass
class Look:
    """What was found of an image or a volume, and of its masks by grader.

    Attributes:
      name: the image's file.
      id: the image's name in its part, which its examples are called after.
      problems: why training could not use a file of it.
      size: height and width, resampled; (0, 0) if it could not be read.
      slices: number of slices; 0 of a single picture.
      kind: channels and bits.
      spacing: mm from row to row and from column to column in the file; None: it does not know.
      values: the least and greatest value in the file; None if it could not be read.
      ends: the values that became 0 and 1; None: 0 and the type's greatest.
      bulk: between which parts of that range nearly all pixels lie.
      contents: of each slice, or of the picture, a digest of its values in the file; None if all
        are equal.
      turned: whether the file said that it is to be turned.
      patient: of DICOM, the patient's ID; "": the file does not know.
      masks: by grader.
      crop_ignored: whether all masks are ignored within the centre crop.
      instances: of a data set of instances, what their map holds.
    """

    name: str
    id: str
    problems: list[Problem]
    size: tuple[int, int] = (0, 0)
    slices: int = 0
    kind: tuple[int, int] = (0, 0)
    spacing: tuple[float, float] | None = None
    values: tuple[float, float] | None = None
    ends: tuple[float, float] | None = None
    bulk: tuple[float, float] = (0.0, 1.0)
    contents: tuple[str | None, ...] = ()
    turned: bool = False
    patient: str = ""
    masks: dict[Grader, MaskLook] = dataclasses.field(default_factory=dict)
    crop_ignored: bool = False
    instances: InstancesLook | None = None

    @property
    def readable(self) -> bool:
        """Whether the image could be read."""
        return bool(self.kind[0])

    @property
    def examples(self) -> list[str]:
        """The names of its examples."""
        return example_names(self.id, self.slices or None)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How images and masks are to be read.

    Attributes:
      description: what the masks' values mean.
      preparation: window and spacing.
      size: height and width to crop or pad to; None: as they are.
      centre: height and width of the centre crop that is evaluated; None: the whole image.
    """

    description: Description
    preparation: Preparation
    size: tuple[int, int] | None = None
    centre: tuple[int, int] | None = None


def look_at(part: Part, image: GradedImage, wanted: Wanted) -> Look:
    """Reads an image and its masks.

    Args:
      part: the image's.
      image: the names of its files.
      wanted: how to read them.

    Returns:
      What was found.
    """
    found = Look(part.shown(image.image), image.id, [])
    try:
        slices = read_image(part, image.image, wanted.preparation)
    except WindowNeeded as error:
        found.problems.append(Problem(NO_WINDOW, str(error)))
        found.values = error.values
        return found
    except (ValueError, OSError) as error:
        found.problems.append(Problem("unreadable image", str(error)))
        return found
    _look_at_pixels(found, slices)
    ignored = []
    for grader, name in image.masks.items():
        try:
            mask = read_mask(part, name, wanted.preparation)
            if (problem := misfit(slices, mask)) is not None:
                found.problems.append(problem)
                continue
            labels = wanted.preparation.labels(mask.array, slices.spacing, mask.source)
        except (ValueError, OSError) as error:
            found.problems.append(Problem("unreadable mask", str(error)))
            continue
        if part.kind == INSTANCES:
            found.instances = _look_at_instances(labels)
            try:
                check_count(max(found.instances.counts), mask.source)
            except ValueError as error:
                found.problems.append(Problem("too many instances", str(error)))
            continue
        values = frozenset(np.unique(mask.array).tolist())
        classes = _fit_slices(wanted.description.classes_of(labels), wanted.size)
        found.masks[grader] = MaskLook(
            values=values,
            pixels=np.bincount(classes.ravel(), minlength=256),
            scattered=_scattered(mask.array),
            turned=mask.turned,
            unknown=tuple(wanted.description.unknown(values)),
        )
        centre = _fit_slices(classes, wanted.centre)
        ignored.append(wanted.centre is not None and (centre == IGNORED).all())
    found.crop_ignored = bool(ignored) and all(ignored)
    return found


def _look_at_pixels(found: Look, image: Slices) -> None:
    pixels = image.array
    height, width = pixels.shape[1:3]
    found.size, found.turned = (height, width), image.turned
    found.slices = 0 if image.volume is None else len(pixels)
    files = image.volume.files if image.volume else ()
    found.patient = patient_of(files[0]) if files else ""
    found.kind = pixels.shape[3], 8 * pixels.dtype.itemsize
    found.spacing, found.values, found.ends = image.spacing, image.values, image.ends
    some = pixels.ravel()[:: max(1, pixels.size // _ENOUGH)]
    low, high = np.percentile(some, _BULK) / np.iinfo(pixels.dtype).max
    found.bulk = float(low), float(high)
    stored = pixels if image.stored is None else image.stored
    found.contents = tuple(_content(one) for one in stored)


def _content(values: np.ndarray) -> str | None:
    """A digest of a picture or slice [H, W, C], whatever the type and the file it is stored in."""
    if (values == values[:1, :1]).all():
        return None
    grey = values[..., :1] if (values == values[..., :1]).all() else values
    numbers = np.ascontiguousarray(grey, np.float32)
    return hashlib.blake2b(repr(grey.shape).encode() + numbers.tobytes()).hexdigest()


def _look_at_instances(ids: np.ndarray) -> InstancesLook:
    areas, pieces = [], 0
    for one in ids:
        values, count = np.unique(one, return_counts=True)
        areas.append(count[values != 0])
        pieces += skimage.measure.label(one, background=0, connectivity=1).max(initial=0)
    return InstancesLook(
        counts=tuple(map(len, areas)),
        areas=np.sort(np.concatenate(areas)),
        pieces=int(pieces),
        background=float((ids == 0).mean()),
    )


def _fit_slices(labels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    if size is None:
        return labels
    return np.moveaxis(fit(np.moveaxis(labels, 0, -1), size, IGNORED), -1, 0)


def _scattered(mask: np.ndarray) -> frozenset[int]:
    """The values but 0 and 255 of which there is no square of 2x2 pixels in any slice."""
    corner, right = mask[:, :-1, :-1], mask[:, :-1, 1:]
    square = (corner == mask[:, 1:, :-1]) & (corner == right) & (corner == mask[:, 1:, 1:])
    return frozenset(np.setdiff1d(mask, corner[square]).tolist()) - {0, IGNORED}
