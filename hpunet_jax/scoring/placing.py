"""The maps of an image on the same slices: DICOM segmentations may leave out empty ones."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from hpunet_jax.io import Slices, Volume

_NEAR = 0.01  # of the distance of two slices, by which a frame may lie beside one


def on_the_same_slices(found: Sequence[Slices]) -> list[Slices]:
    """Fills up DICOM segmentations with the slices that they leave out.

    Args:
      found: the maps of an image, of any formats.

    Returns:
      The maps; segmentations lie on the slices of the first that is none, or, where all are, on
      those that any of them has. What does not lie on these slices stays as it is.
    """
    volumes = [slices.volume for slices in found if slices.volume is not None]
    grids = [v for v in volumes if v.located and not v.segments][:1]
    grids = grids or [v for v in volumes if v.segments]
    if not grids or not any(volume.segments for volume in volumes):
        return list(found)
    several = [volume for volume in grids if len(volume.array) > 1] or grids
    base = min(several, key=lambda volume: volume.spacing[2])
    ends = np.concatenate([_places(volume, base)[[0, -1]] for volume in grids])
    begin, end = int(np.rint(ends.min())), int(np.rint(ends.max()))
    return [
        _placed(slices, slices.volume, base, begin, end - begin + 1)
        if slices.volume is not None and slices.volume.segments
        else slices
        for slices in found
    ]


def _normal(volume: Volume) -> np.ndarray:
    return np.array(volume.direction[2::3])


def _places(volume: Volume, base: Volume) -> np.ndarray:
    """Where the slices lie among those of another volume, whose first is 0."""
    first = np.subtract(volume.origin, base.origin) @ _normal(base) / base.spacing[2]
    step = volume.spacing[2] / base.spacing[2] * (_normal(volume) @ _normal(base))
    return first + step * np.arange(len(volume.array))


def _placed(slices: Slices, volume: Volume, base: Volume, begin: int, count: int) -> Slices:
    places = _places(volume, base) - begin
    numbers = np.rint(places).astype(int)
    inside = (numbers >= 0) & (numbers < count)
    if np.abs(places - numbers).max() > _NEAR or slices.array[~inside].any():
        return slices
    array = np.zeros((count, *slices.array.shape[1:]), slices.array.dtype)
    array[numbers[inside]] = slices.array[inside]
    origin = np.array(volume.origin) - places[0] * base.spacing[2] * _normal(base)
    moved = dataclasses.replace(
        volume,
        array=array,
        origin=tuple(origin.tolist()),
        spacing=(*volume.spacing[:2], base.spacing[2]),
    )
    return dataclasses.replace(slices, array=array, volume=moved)
