"""What is in one image of own data and in its masks: read once, summed up for the checker."""

import dataclasses
import hashlib

import numpy as np

from hpunet_jax.data.crop_archives import Folder
from hpunet_jax.data.crop_layout import GradedImage
from hpunet_jax.data.own.folder import classes_of, fit, read_image, read_mask
from hpunet_jax.data.problems import Problem
from hpunet_jax.labels import IGNORED

# So many values must be scattered, the greatest of them at least so great, to look smoothed.
_FEWEST_SCATTERED, _GREATEST_SCATTERED = 3, 32


@dataclasses.dataclass(frozen=True)
class MaskLook:
    """What was found in a mask.

    Attributes:
      values: the values in the file.
      pixels: int64 [256], the pixels of each class, after fitting to a size.
      scattered: the values but 0 and 255 that only single pixels and lines have: no square of 2x2.
      turned: whether the file said that it is to be turned.
    """

    values: frozenset[int]
    pixels: np.ndarray
    scattered: frozenset[int]
    turned: bool

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


@dataclasses.dataclass
class Look:
    """What was found of an image, and of its masks by grader.

    Attributes:
      name: the image's file.
      problems: why training could not use a file of it.
      size: height and width; (0, 0) if it could not be read.
      kind: channels and bits.
      content: a digest of the pixels; None if all pixels are equal.
      turned: whether the file said that it is to be turned.
      masks: by grader.
      crop_ignored: whether all masks are ignored within the centre crop.
    """

    name: str
    problems: list[Problem]
    size: tuple[int, int] = (0, 0)
    kind: tuple[int, int] = (0, 0)
    content: str | None = None
    turned: bool = False
    masks: dict[int, MaskLook] = dataclasses.field(default_factory=dict)
    crop_ignored: bool = False

    @property
    def readable(self) -> bool:
        """Whether the image could be read."""
        return bool(self.kind[0])


def look_at(
    files: Folder,
    crop: GradedImage,
    size: tuple[int, int] | None,
    foreground: int | None,
    centre: tuple[int, int] | None,
) -> Look:
    """Reads an image and its masks.

    Args:
      files: the files of a part.
      crop: the image.
      size: height and width to crop or pad to; None: as it is.
      foreground: what a mask's 255 means, as for `classes_of`.
      centre: height and width of the centre crop that is evaluated; None: the whole image.

    Returns:
      What was found.
    """
    found = Look(f"{files.path.name}/{crop.image}", [])
    try:
        image = read_image(files, crop.image)
    except (ValueError, OSError) as error:
        found.problems.append(Problem("unreadable image", str(error)))
        return found
    pixels = image.array
    found.size, found.turned = pixels.shape[:2], image.turned
    found.kind = pixels.shape[2], 8 * pixels.dtype.itemsize
    if (pixels != pixels[:1, :1]).any():
        found.content = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    ignored = []
    for grader, name in crop.masks.items():
        try:
            mask = read_mask(files, name)
        except (ValueError, OSError) as error:
            found.problems.append(Problem("unreadable mask", str(error)))
            continue
        if mask.array.shape != found.size:
            found.problems.append(_other_size(mask.source, mask.array.shape, found))
            continue
        classes = classes_of(mask.array, foreground)
        classes = classes if size is None else fit(classes, size, IGNORED)
        found.masks[grader] = MaskLook(
            values=frozenset(np.unique(mask.array).tolist()),
            pixels=np.bincount(classes.ravel(), minlength=256),
            scattered=_scattered(mask.array),
            turned=mask.turned,
        )
        ignored.append(centre is not None and (fit(classes, centre, IGNORED) == IGNORED).all())
    found.crop_ignored = bool(ignored) and all(ignored)
    return found


def _other_size(name: str, size: tuple[int, ...], image: Look) -> Problem:
    turned = ", which its file says is to be turned (EXIF)" if image.turned else ""
    text = (
        f"{name} has {'x'.join(map(str, size))} pixels; expected "
        f"{'x'.join(map(str, image.size))}, as its image{turned}."
    )
    return Problem("mask of another size than its image", text)


def _scattered(mask: np.ndarray) -> frozenset[int]:
    """The values but 0 and 255 of which there is no square of 2x2 pixels."""
    corner = mask[:-1, :-1]
    square = (corner == mask[1:, :-1]) & (corner == mask[:-1, 1:]) & (corner == mask[1:, 1:])
    return frozenset(np.setdiff1d(mask, corner[square]).tolist()) - {0, IGNORED}
