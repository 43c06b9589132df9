"""Simulated CT around real LIDC-IDRI outlines: what the embedded data set's images show (App. C).

The outlines are real, the CT values are not: no CT archive ships with this project. Each lesion
gets a hidden "true" shape in lung parenchyma with vessels and sometimes pleura. The shape lies
between the readings (their signed distances, averaged with hidden weights) and is made larger or
smaller and wavy at random, about as much as radiologists differ from each other: also where a
single one marked a slice, the image does not show that outline. The density follows the rated
texture, the edge the rated margin, the contrast the rated subtlety and how many graders saw it at
all, each with some noise. Blur and noise leave open where exactly the lesion ends.

Everything is a deterministic function of (scan, lesion, slice, `_SEED`) and what the graders drew.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE
from hpunet_jax.data.lidc.lesions import GRADERS, Lesion

_SEED = 2
WINDOW = (-1000.0, 400.0)  # Hounsfield units shown as 0 and 255
KEYFRAME = 6.0  # mm between independent draws of vessels and smooth noise

_LUNG = -860.0
_VESSEL = 40.0
_CHEST_WALL = 30.0
# Density of a lesion in Hounsfield units for texture 1 (ground glass) to 5 (solid)
_DENSITY = np.array([-640.0, -500.0, -330.0, -120.0, 20.0])
_CALCIFIED = 350.0
# Streams of random numbers: what is drawn again for each keyframe or slice.
_VESSELS, _PARENCHYMA, _WAVES, _NOISE = range(4)
_EVERYWHERE = (slice(None), slice(None))


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """What is drawn once for a lesion and shared by all its slices.

    Attributes:
      weights: float [G], how much each grader's outline counts in the hidden shape.
      growth: how far the hidden shape reaches beyond the blended outlines, in pixels.
      waves: standard deviation of the hidden shape's waves around them, in pixels.
      density: Hounsfield units of the lesion.
      contrast: 0 ... 1, how much of the density stands out against the lung.
      fading: a slice marked by a part f of the graders shows f ** fading of the contrast.
      edge: softness of the lesion's edge in pixels.
      wall: (angle, distance, curvature) of the chest wall, or None.
      noise: standard deviation of the scanner's noise in Hounsfield units.
    """

    weights: np.ndarray
    growth: float
    waves: float
    density: float
    contrast: float
    fading: float
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
        self._seed = (_SEED, scan, number)
        self._anatomy = _draw_anatomy(np.random.default_rng(self._seed), lesion)
        self._vessels: dict[int, np.ndarray] = {}

    def image(self, z: float, masks: np.ndarray) -> np.ndarray:
        """The simulated CT of one slice.

        Args:
          z: position of the slice in mm.
          masks: uint8 [180, 180, 4], what the graders drew; at least one of them drew something.

        Returns:
          uint8 [180, 180], windowed to [-1000, 400] HU.
        """
        anatomy = self._anatomy
        hu = _LUNG + 25.0 * self._smooth_noise(_PARENCHYMA, z, scale=12)
        hu += (_VESSEL - _LUNG) * self._vessels_at(z)
        if anatomy.wall is not None:
            hu += (_CHEST_WALL - hu) * chest_wall(*anatomy.wall)
        window = _surroundings(masks.any(axis=-1))
        marked = masks.any(axis=(0, 1)).mean()  # the fewer graders saw it, the less is to be seen
        presence = expit(self.hidden_shape(z, masks)[window] / (0.6 * anatomy.edge))
        visible = anatomy.contrast * marked**anatomy.fading * presence
        hu[window] += (anatomy.density - hu[window]).clip(min=0) * visible
        noise = self._rng(_NOISE, round(z * 100)).standard_normal(hu.shape, np.float32)
        hu = gaussian_filter(hu + 2.2 * anatomy.noise * noise, 0.8)
        low, high = WINDOW
        return ((hu - low) / (high - low) * 255).clip(0, 255).round().astype(np.uint8)

    def hidden_shape(self, z: float, masks: np.ndarray) -> np.ndarray:
        """The hidden shape in one slice, as a signed distance from its edge.

        Args:
          z: position of the slice in mm.
          masks: uint8 [180, 180, 4], as for `image`.

        Returns:
          float32 [180, 180] in pixels, positive inside; -inf far away from the lesion.
        """
        anatomy = self._anatomy
        window = _surroundings(masks.any(axis=-1))
        graders = np.flatnonzero(masks.any(axis=(0, 1)))
        weights = anatomy.weights[graders] / anatomy.weights[graders].sum()
        blended = sum(
            weight * signed_distance(masks[window][..., grader])
            for weight, grader in zip(weights, graders, strict=True)
        )
        waves = self._smooth_noise(_WAVES, z, scale=14, window=window)
        blended += anatomy.growth + anatomy.waves * waves
        blended += max(0.0, 1.0 - blended.max())  # whatever was marked, something is there
        shape = np.full((SIZE, SIZE), -np.inf, np.float32)
        shape[window] = blended
        return shape

    def _rng(self, stream: int, position: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, stream, position % (1 << 32)))

    # Between two keyframes fields are blended, so that neighbouring slices resemble each other.

    def _smooth_noise(
        self, stream: int, z: float, scale: int, window: tuple[slice, slice] = _EVERYWHERE
    ) -> np.ndarray:
        """Noise of unit variance that varies over `scale` pixels; float32 [180, 180][window]."""
        frame, t = divmod(z / KEYFRAME, 1.0)
        rows, columns = (_noise_weights(scale)[:, pixels] for pixels in window)
        first, second = (
            self._rng(stream, int(frame) + i).standard_normal((len(rows),) * 2, np.float32)
            for i in (0, 1)
        )
        coarse = (
            np.float32(np.cos(t * np.pi / 2)) * first + np.float32(np.sin(t * np.pi / 2)) * second
        )
        # einsum, because BLAS's threads would fight over the cores that the worker processes fill.
        return np.einsum("hp,pw->hw", np.einsum("ph,pq->hq", rows, coarse), columns)

    def _vessels_at(self, z: float) -> np.ndarray:
        frame, t = divmod(z / KEYFRAME, 1.0)
        for i in (int(frame), int(frame) + 1):
            if i not in self._vessels:
                self._vessels[i] = _draw_vessels(self._rng(_VESSELS, i))
        return (1 - t) * self._vessels[int(frame)] + t * self._vessels[int(frame) + 1]


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel from a mask's edge in pixels: positive inside, negative outside.

    Args:
      mask: [h, w], not empty.

    Returns:
      float64 [h, w]; half a pixel on either side of the edge.
    """
    mask = mask.astype(bool)
    padded = np.pad(mask, 1)  # beyond the window is outside
    inside = distance_transform_edt(padded)[1:-1, 1:-1]
    return np.where(mask, inside - 0.5, 0.5 - distance_transform_edt(~mask))


def chest_wall(angle: float, distance: float, curvature: float) -> np.ndarray:
    """The chest wall as a smooth step beyond a curved border; [180, 180] in 0 ... 1."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2).astype(np.float32)
    along = -np.sin(angle) * x + np.cos(angle) * y
    beyond = np.cos(angle) * x + np.sin(angle) * y + curvature * along**2 - distance
    return 1 / (1 + np.exp(-np.clip(beyond / 1.2, -30, 30)))


def _draw_anatomy(rng: np.random.Generator, lesion: Lesion) -> Anatomy:
    ratings = {
        name: float(np.mean([reading.ratings[name] for reading in lesion.readings]))
        for name in ("subtlety", "texture", "margin", "calcification")
    }
    doubt = rng.normal(0.0, 0.5, 3)  # no rating can be read off the image exactly
    density = float(np.interp(ratings["texture"] + doubt[0], np.arange(1, 6), _DENSITY))
    if ratings["calcification"] < 5:  # 6 is "absent", 5 "non-central"
        density = _CALCIFIED
    # In pixels of the crop; those of a scan are about 0.7 mm.
    radius = 0.5 * _extent(lesion) * 0.7 / RESOLUTION
    wall = (
        rng.uniform(0, 2 * np.pi),
        max(radius + 6.0, 24.0) + rng.exponential(15.0),
        rng.uniform(0.001, 0.006),
    )
    return Anatomy(
        weights=rng.dirichlet(np.full(GRADERS, 2.0)),
        growth=rng.normal(0.0, 0.6),
        # Radiologists differ more on large lesions.
        waves=rng.uniform(0.5, 1.0) * (1.0 + 0.03 * min(radius, 40.0)),
        density=density,
        contrast=float(np.interp(ratings["subtlety"] + doubt[1], [1, 5], [0.35, 1.0])),
        fading=rng.uniform(0.3, 0.8),
        edge=float(np.interp(ratings["margin"] + doubt[2], [1, 5], [3.5, 0.8])),
        wall=wall if rng.random() < 0.35 else None,
        noise=rng.uniform(25.0, 55.0),
    )


def _surroundings(marked: Any) -> tuple[slice, slice]:
    """The box around the marked pixels, with room for waves and a soft edge."""
    room = 14
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - room, 0), rows[-1] + room + 1),
        slice(max(columns[0] - room, 0), columns[-1] + room + 1),
    )


def _extent(lesion: Lesion) -> float:
    """Greatest width or height in pixels of the scan."""
    points = np.concatenate([c.points for reading in lesion.readings for c in reading.contours])
    return float(np.ptp(points, axis=0).max())


def _draw_vessels(rng: np.random.Generator) -> np.ndarray:
    """Branching tubes of several calibres, and some seen end on; [180, 180] in 0 ... 1."""
    vessels = np.zeros((SIZE, SIZE), np.float32)
    for radius, trees, density in ((0.9, 6, 0.45), (1.5, 2.5, 0.7), (2.4, 0.8, 0.95)):
        canvas = np.zeros((SIZE, SIZE), np.float32)
        for _ in range(rng.poisson(trees)):
            _draw_tree(rng, canvas, steps=int(rng.integers(8, 28)))
        spots = rng.integers(0, SIZE, (rng.poisson(1.5 * trees), 2))
        canvas[spots[:, 0], spots[:, 1]] = 3.0
        # A line blurred by sigma peaks at 1 / (sigma sqrt(2 pi)): undone, so that tubes are dense.
        tube = gaussian_filter(canvas, radius) * radius * np.sqrt(2 * np.pi)
        np.maximum(vessels, density * np.minimum(tube, 1.0), out=vessels)
    return vessels


def _draw_tree(rng: np.random.Generator, canvas: np.ndarray, steps: int) -> None:
    """Draws a meandering line of pixels, 4 px a step, with one branch half way."""
    start = rng.uniform(0, SIZE, 2)
    for _ in range(2):
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, 0.12, steps))
        path = start + np.cumsum(4 * np.stack([np.sin(angles), np.cos(angles)], 1), axis=0)
        fine = np.arange(0, steps - 1, 0.2)
        pixels = np.stack([np.interp(fine, np.arange(steps), path[:, i]) for i in (0, 1)], axis=1)
        pixels = pixels.round().astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < SIZE)).all(axis=1)]
        canvas[pixels[:, 0], pixels[:, 1]] = 1.0
        start, steps = path[steps // 2], max(steps // 2, 3)


@functools.cache
def _noise_weights(scale: int) -> np.ndarray:
    """Weights of the coarse grid's points (first axis) at each row or column of pixels."""
    centres = np.arange(-scale, SIZE + 2 * scale, scale)[:, None]
    weights = np.exp(-0.5 * ((np.arange(SIZE) - centres) / (0.6 * scale)) ** 2)
    return (weights / np.linalg.norm(weights, axis=0)).astype(np.float32)
