"""From readings to lesions, graders and masks (Appendix C).

Works on any source of readings: their outlines' pixels and slice positions are all it needs.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse
import skimage.draw
from jaxtyping import Bool, Integer, UInt8

from hpunet_jax.data.lidc.cutting import SIZE, cut_mask
from hpunet_jax.data.lidc.readings import Reading

GRADERS = 4


@dataclasses.dataclass(frozen=True)
class Lesion:
    """A lesion and what up to four graders drew of it.

    Attributes:
      graders: the readings of each grader; usually one each.
      centre: (x, y), the centre of its bounding box in pixels of the scan.
    """

    graders: Sequence[Sequence[Reading]]
    centre: tuple[float, float]

    @property
    def readings(self) -> list[Reading]:
        """All readings."""
        return [reading for readings in self.graders for reading in readings]

    @property
    def slices(self) -> list[float]:
        """Positions in mm of the slices that at least one grader marked, ascending."""
        return sorted({c.z for r in self.readings for c in r.contours if c.inclusion})


def group_lesions(readings: Sequence[Reading]) -> list[Lesion]:
    """Groups the readings of a scan whose tightest 3-D bounding boxes overlap.

    Overlap is transitive: readings belong to one lesion if a chain of overlaps connects them.

    Args:
      readings: all readings of one scan; those without an outline are left out.

    Returns:
      The lesions, in the order of their first readings.
    """
    readings = [reading for reading in readings if any(c.inclusion for c in reading.contours)]
    if not readings:
        return []
    low, high = (np.array(corners) for corners in zip(*map(bounding_box, readings), strict=True))
    overlap = np.all((low[:, None] <= high[None]) & (low[None] <= high[:, None]), axis=-1)
    count, labels = scipy.sparse.csgraph.connected_components(overlap, directed=False)
    lesions = []
    for lesion in range(count):
        members = np.flatnonzero(labels == lesion)
        middle = (low[members].min(axis=0) + high[members].max(axis=0)) / 2
        graders = assign_graders([readings[i] for i in members])
        lesions.append(Lesion(graders, (float(middle[0]), float(middle[1]))))
    return lesions


def bounding_box(reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    """The corners (x, y, z) of a reading's tightest box, in pixels and mm."""
    outlines = [contour for contour in reading.contours if contour.inclusion]
    points = np.concatenate([outline.points for outline in outlines])
    z = [outline.z for outline in outlines]
    return np.array([*points.min(axis=0), min(z)]), np.array([*points.max(axis=0), max(z)])


def assign_graders(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Decides which readings of a lesion are by the same grader.

    With up to four, each is a grader's own. More than four (a few lesions) mean that somebody
    outlined the lesion in several pieces. Readings are listed grader by grader and a grader's
    pieces do not overlap, so the list is cut into the four runs whose own members overlap least.

    Args:
      readings: in the order of their source.

    Returns:
      For each grader the readings, in order.
    """
    if len(readings) <= GRADERS:
        return [[reading] for reading in readings]
    boxes = [bounding_box(reading) for reading in readings]

    def shared(run: Sequence[int]) -> float:
        pairs = itertools.combinations(run, 2)
        return sum((_shared_volume(boxes[a], boxes[b]) for a, b in pairs), 0.0)

    def runs(cuts: tuple[int, ...]) -> list[range]:
        return [range(a, b) for a, b in itertools.pairwise((0, *cuts, len(readings)))]

    every = itertools.combinations(range(1, len(readings)), GRADERS - 1)
    best = min(every, key=lambda cuts: sum(map(shared, runs(cuts))))
    return [[readings[i] for i in run] for run in runs(best)]


def lesion_masks(lesion: Lesion, z: float, pixel_spacing: float) -> UInt8[np.ndarray, "180 180 4"]:
    """Rasterises what each grader drew in one slice, on a crop centred on the lesion.

    A grader who did not mark the slice has an empty mask.

    Args:
      lesion: the lesion.
      z: position of the slice in mm.
      pixel_spacing: size of the scan's pixels in mm.

    Returns:
      uint8 [180, 180, 4] at 0.5 mm, 0 or 1.
    """
    masks = np.zeros((GRADERS, SIZE, SIZE), np.uint8)  # a grader's pixels lie together in memory
    for grader, readings in enumerate(lesion.graders):
        contours = [c for reading in readings for c in reading.contours if c.z == z]
        for contour in sorted(contours, key=lambda c: not c.inclusion):  # holes last
            # An outline's pixels are never lesion: not part of an inclusion, but part of a hole.
            inside, first = enclosed_pixels(contour.points, with_outline=not contour.inclusion)
            place = cut_mask(inside, first, lesion.centre, pixel_spacing)
            masks[grader][place] = contour.inclusion
    return np.moveaxis(masks, 0, -1)


def enclosed_pixels(
    points: Integer[np.ndarray, "n 2"], with_outline: bool = False
) -> tuple[Bool[np.ndarray, "h w"], tuple[int, int]]:
    """The pixels that an outline encloses.

    LIDC's outlines are drawn just outside of what is meant.

    Args:
      points: int [n, 2], (x, y).
      with_outline: whether the outline's own pixels are among them.

    Returns:
      bool [h, w], and the (y, x) of its first pixel.
    """
    x0, y0 = points.min(axis=0)
    x, y = (points - (x0, y0)).T
    shape = (int(y.max()) + 1, int(x.max()) + 1)
    inside = np.zeros(shape, bool)
    inside[skimage.draw.polygon(y, x, shape)] = True
    y, x = _outline_pixels(np.stack([y, x], axis=1)).T
    inside[y, x] = with_outline
    return inside, (int(y0), int(x0))


def _outline_pixels(points: np.ndarray) -> np.ndarray:
    """All pixels of the closed line through `points` [n, 2]."""
    way = np.roll(points, -1, axis=0) - points
    steps = np.maximum(np.abs(way).max(axis=1), 1)
    first = np.repeat(np.arange(len(points)), steps)
    part = (np.arange(len(first)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[first]
    return np.floor(points[first] + part[:, None] * way[first] + 0.5).astype(int)


def _shared_volume(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    extent = np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])
    return float(np.prod(np.maximum(extent + 1, 0)))  # + 1: a single slice has an extent


def marked_crops(lesion: Lesion, pixel_spacing: float) -> Iterator[tuple[float, np.ndarray]]:
    """The slices and masks of a lesion, without slices in which no outline encloses a pixel."""
    for z in lesion.slices:
        masks = lesion_masks(lesion, z, pixel_spacing)
        if masks.any():
            yield z, masks
