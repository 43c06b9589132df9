"""Appendix H: tiny clusters at borders are painted over with what surrounds them."""

from collections import Counter
from typing import Literal, no_type_check

import numpy as np
import scipy.ndimage

from hpunet_jax.arguments import check_choice, check_integer

NoNeighbour = Literal["keep", "background"]


@no_type_check  # it checks by itself, with sentences
def clean_up(
    instances: np.ndarray,
    erosion: int = 5,
    neighbourhood: int = 11,
    no_neighbour: NoNeighbour = "keep",
    background: int = 0,
) -> np.ndarray:
    """Replaces clusters that an erosion eliminates by their majority neighbours (Appendix H).

    A cluster survives if a square of `erosion` x `erosion` of its pixels lies somewhere in the
    image; what is beyond the border belongs to no cluster. Background is no cluster. All clusters
    are tested on the map as it is given; those eliminated are then painted over one after the
    other, by ascending label, each pixel by pixel in raster order. A pixel takes the most frequent
    label (of equally frequent ones the lowest) in the box around it, which ends at the border;
    background and the cluster's own label do not count. Painting happens on the fly: later pixels
    and clusters see what was painted before.

    The tests take a few passes over the image. Painting looks at one box for each pixel of
    the clusters eliminated, about 10 µs each.

    Args:
      instances: integers [H, W].
      erosion: side of the structuring element.
      neighbourhood: side of the box, odd.
      no_neighbour: what becomes of a pixel without any other label in its box: 'keep' leaves it
        (SNEMI3D), 'background' makes it background (Cityscapes).
      background: the label of the background.

    Returns:
      Of the shape and type of `instances`.

    Raises:
      ValueError: for maps of another number of axes or type, sizes that make no sense, or a
        background that the maps' type does not hold.
    """
    instances = np.asarray(instances)
    _check(instances, erosion, neighbourhood, no_neighbour, background)
    eliminated = _eliminated(instances, erosion, background)
    if not len(eliminated):
        return instances.copy()

    radius = neighbourhood // 2
    painted = np.pad(instances, radius, constant_values=background)
    # What is still to be painted over: {cluster: its pixels}. A pixel that takes the label of a
    # cluster whose turn comes later will be painted again with that cluster.
    waiting = _pixels_of(painted, eliminated)
    for label in eliminated.tolist():
        for y, x in sorted(waiting.pop(label)):  # raster order
            box = painted[y - radius : y + radius + 1, x - radius : x + radius + 1]
            new = _majority(box, excluded=(label, background))
            if new is None:
                new = label if no_neighbour == "keep" else background
            painted[y, x] = new
            if new in waiting:
                waiting[new].append((y, x))
    return painted[radius : radius + instances.shape[0], radius : radius + instances.shape[1]]


def _majority(box: np.ndarray, excluded: tuple[int, int]) -> int | None:
    """The most frequent label, of several the lowest; None if there are only excluded ones."""
    counts = Counter(box.ravel().tolist())
    for label in excluded:
        counts.pop(label, None)
    return min(counts, key=lambda label: (-counts[label], label), default=None)


@no_type_check
def _check(
    instances: np.ndarray,
    erosion: int,
    neighbourhood: int,
    no_neighbour: NoNeighbour,
    background: int,
) -> None:
    if instances.ndim != 2 or not np.issubdtype(instances.dtype, np.integer):
        raise ValueError(
            f"instances are {instances.dtype} of shape {instances.shape}: expected integers [H, W]."
        )
    check_integer("erosion", erosion, 1)
    check_integer("neighbourhood", neighbourhood, 1, odd=True)
    check_choice("no_neighbour", no_neighbour, ("keep", "background"))
    held = np.iinfo(instances.dtype)
    check_integer("background", background, int(held.min), int(held.max))


def _eliminated(instances: np.ndarray, erosion: int, background: int) -> np.ndarray:
    """Labels of the clusters that do not survive, ascending."""
    height, width = instances.shape
    labels, number = np.unique(instances, return_inverse=True)
    survive = np.empty(0, np.int64)
    if erosion <= min(height, width):
        # A square lies in one cluster where its least and its greatest label are equal; numbers
        # of labels, since the filters compute in float64, in which large labels may be equal.
        number = number.reshape(height, width)
        windows = (
            slice(erosion // 2, erosion // 2 + size - erosion + 1) for size in (height, width)
        )
        inside = tuple(windows)
        least = scipy.ndimage.minimum_filter(number, erosion)[inside]
        greatest = scipy.ndimage.maximum_filter(number, erosion)[inside]
        survive = np.unique(least[least == greatest])
    eliminated = np.delete(labels, survive)
    return eliminated[eliminated != background]


def _pixels_of(instances: np.ndarray, labels: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """{label: its pixels (y, x)}."""
    y, x = np.nonzero(np.isin(instances, labels))
    of_pixel = instances[y, x]
    order = np.argsort(of_pixel, kind="stable")
    starts = np.searchsorted(of_pixel[order], labels).tolist()
    pixels = list(zip(y[order].tolist(), x[order].tolist(), strict=True))
    ends = [*starts[1:], len(pixels)]
    return {
        label: pixels[start:end]
        for label, start, end in zip(labels.tolist(), starts, ends, strict=True)
    }
