"""Simulated CT around real LIDC-IDRI outlines: what the embedded data set's images show.

The outlines are real, the CT values are not: no CT archive ships with this project. Each lesion
gets a hidden "true" shape blended from its readings, in lung parenchyma with vessels and sometimes
pleura; its density follows the rated texture, its edge the rated margin, its contrast the rated
subtlety and how many graders saw it at all. Blur and noise leave open what exactly is lesion, so
that the image does not decide what a grader draws, as in real scans.

Everything is a deterministic function of (scan, lesion, slice, `VERSION`).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from hpunet_jax.data.lidc_lesions import CROP, GRADERS, Lesion

VERSION = 1
WINDOW = (-1000.0, 400.0)  # Hounsfield units shown as 0 and 255
KEYFRAME = 6.0  # mm between independent draws of the vessels

_LUNG = -860.0
_VESSEL = 40.0
_CHEST_WALL = 30.0
# Density of a lesion in Hounsfield units for texture 1 (ground glass) to 5 (solid)
_DENSITY = np.array([-640.0, -500.0, -330.0, -120.0, 20.0])
_CALCIFIED = 350.0


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """What is drawn once for a lesion and shared by all its slices.

    Attributes:
      weights: float [G], how much each grader's outline counts in the hidden shape.
      level: the hidden shape is where the blended outlines exceed this level.
      density: Hounsfield units of the lesion.
      contrast: 0 ... 1, how much of the density stands out against the lung.
      edge: blur of the lesion's edge in pixels.
      wall: (angle, distance, curvature) of the chest wall, or None.
      noise: standard deviation of the scanner's noise in Hounsfield units.
    """

    weights: np.ndarray
    level: float
    density: float
    contrast: float
    edge: float
    wall: tuple[float, float, float] | None
    noise: float


class SimulatedLesion:
    """Renders the slices of one lesion."""

    def __init__(self, scan: int, number: int, lesion: Lesion):
        """Args:
        scan: number of the scan.
        number: number of the lesion within its scan.
        lesion: its readings.
        """
        self._seed = (VERSION, scan, number)
        self._anatomy = _draw_anatomy(np.random.default_rng(self._seed), lesion)
        self._keyframes: dict[int, np.ndarray] = {}

    def image(self, z: float, masks: np.ndarray) -> np.ndarray:
        """The simulated CT of one slice.

        Args:
          z: position of the slice in mm.
          masks: uint8 [180, 180, 4], what the graders drew.

        Returns:
          uint8 [180, 180], windowed to [-1000, 400] HU.
        """
        anatomy = self._anatomy
        rng = np.random.default_rng((*self._seed, round(z * 100) % (1 << 32)))
        hu = _LUNG + 25.0 * _smooth_noise(rng, 12)
        hu = hu + (_VESSEL - _LUNG) * self._vessels(z)
        if anatomy.wall is not None:
            wall = chest_wall(*anatomy.wall)
            hu += (_CHEST_WALL - hu) * wall
        window, presence = self._presence(rng, masks)
        hu[window] += (anatomy.density - hu[window]).clip(min=0) * anatomy.contrast * presence
        hu = gaussian_filter(hu + rng.normal(0.0, 2.2 * anatomy.noise, hu.shape), 0.8)
        low, high = WINDOW
        return ((hu - low) / (high - low) * 255).clip(0, 255).round().astype(np.uint8)

    def _presence(self, rng: np.random.Generator, masks: np.ndarray):
        """The hidden shape in one slice, with a soft edge: a window of the crop, and [h, w]."""
        window = _surroundings(masks.any(axis=-1))
        masks, noise = masks[window], _smooth_noise(rng, 18)[window]
        marked = masks.any(axis=(0, 1))
        weights = self._anatomy.weights * marked
        # einsum, here and below: BLAS's threads would fight over the cores that the worker
        # processes fill already.
        blended = np.einsum("hwg,g->hw", masks, (weights / weights.sum()).astype(np.float32))
        blended = gaussian_filter(blended, 1.5)
        # A shape of its own: wavy against every outline, and no outline's edge shows through.
        shape = blended + 0.12 * noise > self._anatomy.level * blended.max()
        faded = np.sqrt(marked.mean())  # where fewer graders marked it, less is to be seen
        return window, faded * gaussian_filter(shape.astype(np.float32), self._anatomy.edge)

    def _vessels(self, z: float) -> np.ndarray:
        """Vessels between two keyframes, so that neighbouring slices resemble each other."""
        frame, t = divmod(z / KEYFRAME, 1.0)
        return (1 - t) * self._keyframe(int(frame)) + t * self._keyframe(int(frame) + 1)

    def _keyframe(self, frame: int) -> np.ndarray:
        if frame not in self._keyframes:
            rng = np.random.default_rng((*self._seed, frame % (1 << 32), 7))
            self._keyframes[frame] = _draw_vessels(rng)
        return self._keyframes[frame]


def chest_wall(angle: float, distance: float, curvature: float) -> np.ndarray:
    """The chest wall as a smooth step beyond a curved border; [180, 180] in 0 ... 1."""
    y, x = (np.mgrid[:CROP, :CROP] - (CROP - 1) / 2).astype(np.float32)
    along = -np.sin(angle) * x + np.cos(angle) * y
    beyond = np.cos(angle) * x + np.sin(angle) * y + curvature * along**2 - distance
    return 1 / (1 + np.exp(-np.clip(beyond / 1.2, -30, 30)))


def _draw_anatomy(rng: np.random.Generator, lesion: Lesion) -> Anatomy:
    ratings = {
        name: float(np.mean([reading.ratings[name] for reading in lesion.readings]))
        for name in ("subtlety", "texture", "margin", "calcification")
    }
    doubt = rng.normal(0.0, 0.5, 3)  # no rating can be read off the image exactly
    density = np.interp(ratings["texture"] + doubt[0], np.arange(1, 6), _DENSITY)
    if ratings["calcification"] < 5:  # 6 is "absent", 5 "non-central"
        density = _CALCIFIED
    reach = max(_extent(lesion) * 0.5 + 12.0, 24.0)
    has_wall = rng.random() < 0.35
    wall = (
        rng.uniform(0, 2 * np.pi),
        reach + rng.exponential(15.0),
        rng.uniform(0.001, 0.006),
    )
    return Anatomy(
        weights=rng.dirichlet(np.full(GRADERS, 1.0)),
        level=rng.uniform(0.3, 0.7),
        density=float(density),
        contrast=float(np.interp(ratings["subtlety"] + doubt[1], [1, 5], [0.35, 1.0])),
        edge=float(np.interp(ratings["margin"] + doubt[2], [1, 5], [3.5, 0.8])),
        wall=wall if has_wall else None,
        noise=float(rng.uniform(25.0, 55.0)),
    )


def _surroundings(marked: np.ndarray) -> tuple[slice, slice]:
    """The box around the marked pixels, with room for blur and noise."""
    room = 12
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - room, 0), rows[-1] + room + 1),
        slice(max(columns[0] - room, 0), columns[-1] + room + 1),
    )


def _extent(lesion: Lesion) -> float:
    """Greatest diameter in pixels of the scan."""
    points: Sequence[np.ndarray] = [c.points for r in lesion.readings for c in r.contours]
    stacked = np.concatenate(points)
    return float((stacked.max(axis=0) - stacked.min(axis=0)).max())


def _draw_vessels(rng: np.random.Generator) -> np.ndarray:
    """Branching tubes of several calibres, and some seen end on; [180, 180] in 0 ... 1."""
    vessels = np.zeros((CROP, CROP), np.float32)
    for radius, trees, density in ((0.9, 6, 0.45), (1.5, 2.5, 0.7), (2.4, 0.8, 0.95)):
        canvas = np.zeros((CROP, CROP), np.float32)
        for _ in range(rng.poisson(trees)):
            _draw_tree(rng, canvas, steps=int(rng.integers(8, 28)))
        spots = rng.integers(0, CROP, (rng.poisson(1.5 * trees), 2))
        canvas[spots[:, 0], spots[:, 1]] = 3.0
        # A line blurred by sigma peaks at 1 / (sigma sqrt(2 pi)): undone, so that tubes are dense.
        tube = gaussian_filter(canvas, radius) * radius * np.sqrt(2 * np.pi)
        np.maximum(vessels, density * np.minimum(tube, 1.0), out=vessels)
    return vessels


def _draw_tree(rng: np.random.Generator, canvas: np.ndarray, steps: int) -> None:
    """Draws a meandering line of pixels, 4 px a step, with one branch half way."""
    start = rng.uniform(0, CROP, 2)
    for branch in range(2):
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, 0.12, steps))
        path = start + np.cumsum(4 * np.stack([np.sin(angles), np.cos(angles)], 1), axis=0)
        fine = np.arange(0, steps - 1, 0.2)
        pixels = np.stack([np.interp(fine, np.arange(steps), path[:, i]) for i in (0, 1)], axis=1)
        pixels = pixels.round().astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < CROP)).all(axis=1)]
        canvas[pixels[:, 0], pixels[:, 1]] = 1.0
        start, steps = path[steps // 2], max(steps // 2, 3)


def _smooth_noise(rng: np.random.Generator, scale: int) -> np.ndarray:
    """Smooth noise of unit variance that varies over `scale` pixels; float32 [180, 180]."""
    weights = _noise_weights(scale)
    coarse = rng.standard_normal((weights.shape[1],) * 2).astype(np.float32)
    return np.einsum("hp,wp->hw", np.einsum("hp,pq->hq", weights, coarse), weights)


def _noise_weights(scale: int) -> np.ndarray:
    centres = np.arange(-scale, CROP + 2 * scale, scale)
    weights = np.exp(-0.5 * ((np.arange(CROP)[:, None] - centres) / (0.6 * scale)) ** 2)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
