"""Simulated CT around real LIDC-IDRI outlines: what the embedded data set's images show (App. C).

The outlines are real, the CT values are not: no CT archive ships with this project. Each lesion
gets a hidden "true" shape in lung parenchyma with vessels (`vessels`), and around the lung what
lies there at the lesion's real place in the scan (`thorax`); then the scanner's blur, noise and
streaks (`scanner`). The shape lies between the readings (their signed distances, averaged with
hidden weights), a little within, as outlines are drawn around what is bright; and it is made larger
or smaller and wavy at random, the more so the fewer readings there are: also where a single
radiologist marked a slice, the image does not show that outline. The density follows the rated
texture, the edge the rated margin, the contrast the rated subtlety and how many graders saw it at
all, each with some noise; one lesion of seven is ground glass or half solid whatever its rating.
Blur and noise leave open where exactly the lesion ends.

Everything is a deterministic function of (scan, lesion, slice, `_SEED`) and what the graders drew.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE, to_grey
from hpunet_jax.data.lidc.lesions import GRADERS, Lesion
from hpunet_jax.data.phantoms.scanner import draw_scanner
from hpunet_jax.data.phantoms.thorax import Surroundings, draw_thorax
from hpunet_jax.data.phantoms.vessels import cut_vessels, draw_vessels

_SEED = 4
WINDOW = (-1000.0, 400.0)  # Hounsfield units shown as 0 and 255
KEYFRAME = 6.0  # mm between independent draws of smooth noise

_VESSEL = 60.0
_FINEST = 150.0  # standard deviation before it is smoothed
_MIDDLE = 255.5  # pixel, of a scan's 512
# Density of a lesion in Hounsfield units for texture 1 (ground glass) to 5 (solid)
_DENSITY = np.array([-600.0, -480.0, -320.0, -110.0, 30.0])
_CALCIFIED = 350.0
_MORE_GROUND_GLASS = 0.15  # share of lesions; those rated so are too few for a network to learn
# Streams of random numbers: what is drawn again for each keyframe or slice.
_VESSELS, _PARENCHYMA, _WAVES, _NOISE, _PATCHES, _GRAIN, _FINE = range(7)
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
      grain: how unevenly the lesion is filled; ground glass is.
      lung: Hounsfield units of the lung.
      weight: by how much the lung is denser from one pixel row to the next, towards the back.
    """

    weights: np.ndarray
    growth: float
    waves: float
    density: float
    contrast: float
    fading: float
    edge: float
    grain: float
    lung: float
    weight: float


class SimulatedLesion:
    """Renders the slices of one lesion."""

    def __init__(self, scan: int, number: int, lesion: Lesion, pixel_spacing: float):
        """Args:
        scan: number of the scan.
        number: number of the lesion within its scan.
        lesion: its readings.
        pixel_spacing: size of the scan's pixels in mm.
        """
        self._seed = (_SEED, scan, number)
        rng = np.random.default_rng(self._seed)
        self._anatomy = _draw_anatomy(rng, lesion, pixel_spacing)
        self._scanner = draw_scanner(np.random.default_rng((_SEED, scan)), pixel_spacing)
        x, y = lesion.centre
        place = (x - _MIDDLE) * pixel_spacing, (y - _MIDDLE) * pixel_spacing
        reach = functools.partial(_reach, lesion, self._anatomy.weights, pixel_spacing)
        thorax = draw_thorax(rng, place, reach)
        slices = lesion.slices
        self._middle = (slices[0] + slices[-1]) / 2
        self._around = Surroundings(
            thorax, place, self._smooth_noise(_PATCHES, self._middle, scale=20)
        )
        root = (thorax.centre[0] - 0.6 * thorax.side * thorax.axes[0], thorax.centre[1])
        self._vessels = draw_vessels(
            self._rng(_VESSELS, 0),
            (root[0] - place[0], root[1] - place[1]),
            (slices[0], slices[-1]),
        )

    def image(self, z: float, masks: np.ndarray) -> np.ndarray:
        """The simulated CT of one slice.

        Args:
          z: position of the slice in mm.
          masks: uint8 [180, 180, 4], what the graders drew; at least one of them drew something.

        Returns:
          uint8 [180, 180], windowed to [-1000, 400] HU.
        """
        hu = self._lung(z)
        self._draw_lesion(hu, z, masks)
        hu = self._around.cover(hu, z - self._middle)
        hu = self._scanner.image(self._rng(_NOISE, round(z * 100)), hu)
        return to_grey(hu, WINDOW)

    def _lung(self, z: float) -> np.ndarray:
        """Parenchyma and vessels in Hounsfield units; float32 [180, 180]."""
        hu = self._anatomy.lung + 20.0 * self._smooth_noise(_PARENCHYMA, z, scale=16)
        fine = self._rng(_FINE, round(z * 100)).standard_normal(hu.shape, np.float32)
        hu += _FINEST * gaussian_filter(fine, 2.2, truncate=3.0)  # airways and vessels unresolved
        hu += np.float32(self._anatomy.weight) * np.arange(-SIZE // 2, SIZE // 2)[:, None]
        depth = -self._around.depth(z - self._middle)
        vessels = cut_vessels(self._vessels, z, self._scanner.thickness, depth)
        hu += (_VESSEL - hu) * vessels
        return hu

    def _draw_lesion(self, hu: np.ndarray, z: float, masks: np.ndarray) -> None:
        """Draws the lesion into Hounsfield units [180, 180]; what is denser stays as it is."""
        anatomy = self._anatomy
        window = _surroundings(masks.any(axis=-1))
        marked = masks.any(axis=(0, 1)).mean()  # the fewer graders saw it, the less is to be seen
        presence = expit(self.hidden_shape(z, masks)[window] / (0.6 * anatomy.edge))
        filling = 1 + anatomy.grain * self._smooth_noise(_GRAIN, z, scale=3, window=window)
        visible = anatomy.contrast * marked**anatomy.fading * presence * filling.clip(0, 1.6)
        hu[window] += (anatomy.density - hu[window]).clip(min=0) * visible

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


def _draw_anatomy(rng: np.random.Generator, lesion: Lesion, pixel_spacing: float) -> Anatomy:
    ratings = {
        name: float(np.mean([reading.ratings[name] for reading in lesion.readings]))
        for name in ("subtlety", "texture", "margin", "calcification")
    }
    doubt = rng.normal(0.0, 0.5, 3)  # no rating can be read off the image exactly
    texture = ratings["texture"] + doubt[0]
    if rng.random() < _MORE_GROUND_GLASS:
        texture = rng.uniform(1.0, 3.0)
    density = float(np.interp(texture, np.arange(1, 6), _DENSITY))
    if ratings["calcification"] < 5:  # 6 is "absent", 5 "non-central"
        density = _CALCIFIED
    radius = 0.5 * _extent(lesion) * pixel_spacing / RESOLUTION  # in pixels of the crop
    spread = 1 / np.sqrt(sum(map(bool, lesion.graders)))  # several readings are nearer to the truth
    return Anatomy(
        weights=rng.dirichlet(np.full(GRADERS, 12.0)),
        # Outlines are drawn generously: what is half as bright as a lesion lies within them.
        growth=rng.normal(-0.5, 0.4 * spread),
        # Radiologists differ more on large lesions.
        waves=rng.uniform(0.25, 0.5) * spread * (1.0 + 0.03 * min(radius, 40.0)),
        density=density,
        contrast=float(np.interp(ratings["subtlety"] + doubt[1], [1, 5], [0.65, 1.0])),
        fading=rng.uniform(0.1, 0.4),
        edge=float(np.interp(ratings["margin"] + doubt[2], [1, 5], [2.0, 0.4])),
        grain=float(np.interp(texture, [1, 4], [0.6, 0.1])),
        lung=rng.normal(-860.0, 25.0),
        weight=rng.uniform(0.0, 0.4),
    )


def _surroundings(marked: Any) -> tuple[slice, slice]:
    """The box around the marked pixels, with room for waves and a soft edge."""
    room = 14
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - room, 0), rows[-1] + room + 1),
        slice(max(columns[0] - room, 0), columns[-1] + room + 1),
    )


def _reach(
    lesion: Lesion, weights: np.ndarray, pixel_spacing: float, direction: np.ndarray
) -> float:
    """How far the lesion reaches from its centre in a direction, in mm: the graders' blend."""
    drawn = [i for i, readings in enumerate(lesion.graders) if readings]
    reaches = [
        max(
            float(((c.points - lesion.centre) @ direction).max())
            for reading in lesion.graders[i]
            for c in reading.contours
        )
        for i in drawn
    ]
    blend = float(np.average(reaches, weights=weights[drawn]))
    return (blend - 1) * pixel_spacing  # an outline lies just outside of what is meant


def _extent(lesion: Lesion) -> float:
    """Greatest width or height in pixels of the scan."""
    points = np.concatenate([c.points for reading in lesion.readings for c in reading.contours])
    return float(np.ptp(points, axis=0).max())


@functools.cache
def _noise_weights(scale: int) -> np.ndarray:
    """Weights of the coarse grid's points (first axis) at each row or column of pixels."""
    centres = np.arange(-scale, SIZE + 2 * scale, scale)[:, None]
    weights = np.exp(-0.5 * ((np.arange(SIZE) - centres) / (0.6 * scale)) ** 2)
    return (weights / np.linalg.norm(weights, axis=0)).astype(np.float32)
