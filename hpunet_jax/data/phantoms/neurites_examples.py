"""Generated stand-in for SNEMI3D (Section 3.3): slices that look like electron micrographs.

Nothing here was ever under a microscope. A block is a short stack of slices through a bundle of
neurites of varied calibre: a Voronoi diagram of points that drift from slice to slice, each with
its own radius and elongation, seen through a smooth deformation. Dark membranes of varying
thickness part the cells; they are background, as in SNEMI3D. Where a membrane is cut obliquely it
is thin and faint, and the annotation lets the cells touch: there, only their ids tell them apart.
Large cells hold mitochondria, some hold vesicles; slices differ in brightness and are noisy.

Everything is a deterministic function of (`VERSION`, number of the block). Needs no TensorFlow.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import label as connected_components

VERSION = 1
SIZE = 96  # height and width of a slice
SLICES = 8  # of a block
BLOCKS = {"train": 112, "validation": 8, "test": 12}

_SPACING = 26.0  # mean distance of neighbouring cells, in pixels
_MARGIN = 30.0  # cells lie around the slice too, so that its border is like its middle
_SMALLEST = 12  # pixels; smaller pieces of a cell are membrane

Example = dict[str, np.ndarray | str]


@dataclasses.dataclass(frozen=True)
class Cells:
    """The neurites of a block; N of them.

    Attributes:
      position: [SLICES, N, 2], (y, x) of their centres in each slice.
      radius: [N], calibre in pixels: how far a cell pushes its neighbours away.
      metric: [N, 2, 2], the elongation; the distance from a centre is |metric @ offset|.
      brightness: [N], grey value of the cytoplasm.
    """

    position: np.ndarray
    radius: np.ndarray
    metric: np.ndarray
    brightness: np.ndarray


def phantom_examples(split: str, limit: int | None = None) -> Iterator[Example]:
    """Makes the examples of a split, block by block and slice by slice.

    Args:
      split: "train", "validation" or "test".
      limit: only the first so many blocks.

    Yields:
      `id` text, `image` uint8 [96, 96, 1], `instances` uint16 [96, 96] with 0 for membranes. A
      neurite keeps its id from slice to slice.

    Raises:
      ValueError: for an unknown split.
    """
    if split not in BLOCKS:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(BLOCKS)}.")
    end = dict(zip(BLOCKS, itertools.accumulate(BLOCKS.values()), strict=True))[split]
    for number in range(end - BLOCKS[split], end)[:limit]:
        images, instances = block(number)
        for z in range(SLICES):
            yield {
                "id": f"block{number:03d}_z{z}",
                "image": images[z, ..., None],
                "instances": instances[z],
            }


def block(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A stack of slices.

    Args:
      number: of the block.

    Returns:
      Images uint8 [8, 96, 96] and instances uint16 [8, 96, 96].
    """
    rng = np.random.default_rng((VERSION, number))
    cells = _draw_cells(rng)
    owner, depth = _nearest_cells(cells, warp=np.stack([3.5 * _smooth(rng, 9) for _ in "yx"], -1))
    # Half the membrane's thickness in pixels; below half a pixel it is not annotated.
    thickness = np.clip(0.95 + 0.45 * _smooth(rng, 7), 0.25, 1.6)
    instances = _annotate(owner, np.where(thickness > 0.55, depth > thickness, True))

    image = cells.brightness[owner] + 7.0 * _smooth(rng, 6)
    image += _organelles(rng, cells, owner, depth)
    darkness = np.interp(thickness, [0.25, 0.6, 1.2], [62.0, 88.0, 118.0])
    image -= darkness * np.exp(-((depth / (thickness + 0.45)) ** 2))
    return _photograph(rng, image), instances


def _draw_cells(rng: np.random.Generator) -> Cells:
    ticks = np.arange(-_MARGIN, SIZE + _MARGIN, _SPACING)
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    x = x + 0.5 * _SPACING * (np.arange(len(ticks)) % 2)[:, None]  # every other row is shifted
    start = np.stack([y.ravel(), x.ravel()], axis=1)
    start = start + rng.normal(0.0, 0.24 * _SPACING, start.shape) + rng.uniform(0, _SPACING, 2)
    count = len(start)
    course = rng.normal(0.0, 0.7, (count, 2)) + rng.normal(0.0, 0.5, 2)  # pixels a slice
    wander = rng.normal(0.0, 0.5, (SLICES, count, 2)).cumsum(axis=0)
    z = np.arange(SLICES)[:, None, None] - (SLICES - 1) / 2
    angle, stretch = rng.uniform(0, np.pi, count), np.exp(rng.normal(0.0, 0.22, count))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    metric = np.einsum("ijn,jn->nij", turn, np.stack([stretch, 1 / stretch]))
    return Cells(
        position=start + course * z + wander,
        radius=rng.gamma(1.5, 3.0, count).clip(0, 13),
        metric=metric,
        brightness=rng.normal(176.0, 13.0, count),
    )


def _nearest_cells(cells: Cells, warp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each pixel, int [8, 96, 96], and the pixel's distance from its border."""
    pixels = np.moveaxis(np.mgrid[:SIZE, :SIZE], 0, -1)
    owner = np.empty((SLICES, SIZE, SIZE), int)
    depth = np.empty((SLICES, SIZE, SIZE))
    for z in range(SLICES):
        offset = (pixels + warp[z])[..., None, :] - cells.position[z]
        local = np.einsum("nij,hwnj->hwni", cells.metric, offset)
        distance = np.hypot(local[..., 0], local[..., 1]) - cells.radius
        owner[z] = distance.argmin(axis=-1)
        nearest, second = np.moveaxis(np.partition(distance, 1, axis=-1)[..., :2], -1, 0)
        depth[z] = (second - nearest) / 2
    return owner, depth


def _annotate(owner: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Ids of the cells: a piece of a cell that is cut off from its main part has its own."""
    instances = np.zeros(owner.shape, np.uint16)
    for z, cells in enumerate(np.where(inside, owner + 1, 0)):
        pieces, count = connected_components(cells, connectivity=1, return_num=True)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        cell = np.zeros(count + 1, int)
        cell[pieces] = cells
        largest_first = np.lexsort((-sizes, cell))
        main = largest_first[np.unique(cell[largest_first], return_index=True)[1]]
        ids = owner.max() + 2 + np.arange(count + 1)
        ids[main] = cell[main]
        ids[(sizes < _SMALLEST) | (cell == 0)] = 0
        instances[z] = ids[pieces]
    return instances


def _organelles(
    rng: np.random.Generator, cells: Cells, owner: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """What is added to the grey values: mitochondria of large cells, vesicles of some."""
    grown = np.clip((depth - 1.5) / 1.5, 0, 1)  # organelles keep away from the membrane
    y, x = np.mgrid[:SIZE, :SIZE]
    grey = np.zeros(owner.shape)
    hosts = np.flatnonzero((cells.radius > 3.5) & (rng.random(len(cells.radius)) < 0.7))
    for host in hosts:
        place = rng.normal(0.0, 3.0, 2) + cells.position[:, host]
        place = place + rng.normal(0.0, 0.3, place.shape).cumsum(axis=0)
        angle, long, short = rng.uniform(0, np.pi), rng.uniform(4.5, 7.5), rng.uniform(2.8, 3.8)
        down, across = y - place[:, 0, None, None], x - place[:, 1, None, None]
        u = np.cos(angle) * across + np.sin(angle) * down
        v = np.cos(angle) * down - np.sin(angle) * across
        radius = np.hypot(u / long, v / short)
        body = 1 / (1 + np.exp(np.clip(9 * (radius - 1), -30, 30)))
        rim = np.exp(-(((radius - 0.95) / 0.2) ** 2))
        cristae = 0.5 + 0.5 * np.sin(2.1 * u + 0.7 * np.sin(v))
        lifetime = np.abs(np.arange(SLICES) - rng.uniform(0, SLICES)) < rng.uniform(2, 6)
        shade = -34 * body - 26 * rim - 14 * body * cristae
        grey += shade * grown * (owner == host) * lifetime[:, None, None]
    bouton = (rng.random(len(cells.radius)) < 0.2)[owner]
    spots = (rng.random(owner.shape) < 0.06 * bouton).astype(float)
    rings = gaussian_filter(spots, (0, 1.1, 1.1)) - 0.55 * gaussian_filter(spots, (0, 0.55, 0.55))
    return grey - 260.0 * rings.clip(0) * grown


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blur, grain, and a brightness and contrast of its own for each slice."""
    grain = gaussian_filter(rng.normal(0.0, 1.0, image.shape), (0, 0.6, 0.6))
    sharp = gaussian_filter(image, (0, 0.55, 0.55)) + 17.0 * grain
    gain = rng.normal(1.0, 0.06, (SLICES, 1, 1))
    light = rng.normal(0.0, 5.0, (SLICES, 1, 1))
    return (128 + gain * (sharp - 128) + light).clip(0, 255).round().astype(np.uint8)


def _smooth(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Noise of about unit variance that varies over `scale` pixels and a few slices."""
    noise = gaussian_filter(rng.normal(0.0, 1.0, (SLICES, SIZE, SIZE)), (2.0, scale, scale))
    return noise / noise.std()
