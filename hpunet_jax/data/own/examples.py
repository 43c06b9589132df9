"""One image of own data with its annotations (Appendix C): read, compared, cut into examples.

A volume gives an example for each slice, whose id is `<name>#<slice>`, counted from 0. All slices
of a volume lie in the part that its file lies in.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from hpunet_jax.data.crop_layout import GradedImage, Grader
from hpunet_jax.data.own.description import Description
from hpunet_jax.data.own.folder import INSTANCES, Part
from hpunet_jax.data.problems import Problem
from hpunet_jax.io import Preparation, Slices, read_label_slices, read_slices
from hpunet_jax.labels import IGNORED, numbered

_CLOSE = 0.01  # of a voxel, or of a length of 1: geometries are rounded in files
_MOST_IDS = 65_535


def read_image(part: Part, name: str, preparation: Preparation) -> Slices:
    """Reads an image.

    Args:
      part: its part.
      name: the image's.
      preparation: window and spacing.

    Returns:
      The slices, uint8 or uint16 [D, h, w, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image, or cannot be prepared; its message names
        it.
      OSError: if the file cannot be read at all.
    """
    return read_slices(part.files[name], preparation, part.shown(name))


def read_mask(part: Part, name: str, preparation: Preparation) -> Slices:
    """Reads a mask, or a map of instances, as it is in its file.

    Args:
      part: its part.
      name: the mask's.
      preparation: what the data set in an HDF5 file is called.

    Returns:
      The slices [D, H, W]: of a mask uint8, the values that `Description.classes_of` takes; of a
      map of instances integers of any type.

    Raises:
      ValueError: if the file is damaged or no mask; its message names it.
      OSError: if the file cannot be read at all.
    """
    dataset = preparation.hdf5[1] if len(preparation.hdf5) > 1 else None
    mask = read_label_slices(part.files[name], dataset, part.shown(name))
    low, high = int(mask.array.min(initial=0)), int(mask.array.max(initial=0))
    if part.kind == INSTANCES:
        if low < 0:
            raise ValueError(
                f"{mask.source} has ids down to {low}: expected 0 for background, and positive ids."
            )
        return mask
    if not 0 <= low <= high <= IGNORED:
        hint = ""
        if high > IGNORED:
            hint = f" If these are instances, put them into {INSTANCES} in place of gt."
        raise ValueError(
            f"{mask.source} has values from {low} to {high}: expected classes, at most "
            f"{IGNORED - 1}, or {IGNORED} for pixels to ignore.{hint}"
        )
    return dataclasses.replace(mask, array=mask.array.astype(np.uint8))


def misfit(image: Slices, mask: Slices) -> Problem | None:
    """Why a mask does not lie over its image, if it does not."""
    slices, expected = len(mask.array), len(image.array)
    if slices != expected:
        what = "one image" if slices == 1 else f"a volume of {slices:,} slices"
        other = "one image" if expected == 1 else f"a volume of {expected:,} slices"
        return Problem(
            "mask of another depth than its image",
            f"{mask.source} is {what}, but its image {image.source} is {other}: expected a mask "
            "with the same slices.",
        )
    if mask.size != image.size:
        turned = ", which its file says is to be turned (EXIF)" if image.turned else ""
        text = (
            f"{mask.source} has {'x'.join(map(str, mask.size))} pixels; expected "
            f"{'x'.join(map(str, image.size))}, as its image{turned}."
        )
        return Problem("mask of another size than its image", text)
    differences = _moved(image, mask)
    if differences:
        text = (
            f"{mask.source} lies elsewhere in space than its image {image.source}: "
            f"{'; '.join(differences)}. Resample it onto the image's grid."
        )
        return Problem("mask of another geometry than its image", text)
    return None


def read_examples(
    part: Part,
    image: GradedImage,
    graders: Sequence[Grader],
    description: Description,
    preparation: Preparation,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Reads an image with all its annotations.

    Args:
      part: the image's.
      image: the names of its files.
      graders: all graders of the data set.
      description: what the masks' values mean.
      preparation: window and spacing.

    Yields:
      For each slice its id, the image, uint8 or uint16 [h, w, 1 or 3], and the masks, uint8
      [h, w, G]; the plane of a grader who did not annotate the image is 255 everywhere. Of
      instances, uint16 [h, w], numbered from 1.

    Raises:
      ValueError, OSError: as `read_image` and `read_mask`; and where they do not fit together.
    """
    slices = read_image(part, image.image, preparation)
    planes = {
        grader: read_annotation(part, name, slices, description, preparation)
        for grader, name in image.masks.items()
    }
    names = example_names(image.id, None if slices.volume is None else len(slices.array))
    for number, (name, pixels) in enumerate(zip(names, slices.array, strict=True)):
        if part.kind == INSTANCES:
            (ids,) = planes.values()
            yield name, pixels, _renumbered(ids[number], slices.source)
            continue
        masks = np.full((*pixels.shape[:2], len(graders)), IGNORED, np.uint8)
        for grader, mask in planes.items():
            masks[..., graders.index(grader)] = mask[number]
        yield name, pixels, masks


def example_names(image: str, slices: int | None) -> list[str]:
    """The names of the examples of an image, or of a volume of so many slices."""
    return [image] if slices is None else [f"{image}#{number}" for number in range(slices)]


def check_count(instances: int, source: str) -> None:
    """Refuses more instances in a slice than 16 bits can number.

    Raises:
      ValueError: it names the file.
    """
    if instances > _MOST_IDS:
        raise ValueError(
            f"{source} has {instances:,} instances in one image or slice: expected at most "
            f"{_MOST_IDS:,}. Cut the image into smaller ones, or remove stray pixels."
        )


def read_annotation(
    part: Part, name: str, image: Slices, description: Description, preparation: Preparation
) -> np.ndarray:
    """Reads a mask or a map of instances over its image.

    Args:
      part: its part.
      name: the mask's.
      image: its image.
      description: what its values mean.
      preparation: the spacing.

    Returns:
      [D, h, w], of masks uint8 classes.

    Raises:
      ValueError, OSError: as `read_mask`; and where they do not fit together.
    """
    mask = read_mask(part, name, preparation)
    if (problem := misfit(image, mask)) is not None:
        raise ValueError(problem.text)
    labels = mask.array if part.kind == INSTANCES else description.classes_of(mask.array)
    return preparation.labels(labels, image.spacing, mask.source)


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


def _moved(image: Slices, mask: Slices) -> list[str]:
    """In what the geometries differ, where both files know theirs."""
    if not (image.volume and mask.volume and image.volume.located and mask.volume.located):
        return []
    one, other = image.volume, mask.volume
    voxel = min(one.spacing)
    tolerances = {"spacing": _CLOSE * voxel, "origin": _CLOSE * voxel, "direction": _CLOSE}
    if len(image.array) == 1:  # what lies across a single slice does not matter
        tolerances = {"spacing": _CLOSE * voxel}
    differences = []
    for field, tolerance in tolerances.items():
        expected, found = getattr(one, field), getattr(other, field)
        if field == "spacing" and len(image.array) == 1:
            expected, found = expected[:2], found[:2]
        if not np.allclose(expected, found, rtol=0, atol=tolerance):
            differences.append(f"{field} {_numbers(found)}, not {_numbers(expected)}")
    return differences


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _renumbered(ids: np.ndarray, source: str) -> np.ndarray:
    """Instances numbered from 1, as uint16."""
    values, numbers = numbered(ids)
    check_count(len(values), source)
    return numbers.reshape(ids.shape).astype(np.uint16)
