"""Simulated CT: the lung's vessels, as tubes in space that a slice of some thickness cuts.

A tube along the slice is a line, one across it a spot that looks like a small nodule; thin ones
fill only a part of the slice and are fainter. Neighbouring slices cut the same tubes.
"""

import numpy as np
from jaxtyping import Float32, Float64

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE

_STEP = 0.4  # mm between the points of a tube
_MARGIN = 8.0  # mm around the crop, and above and below, in which tubes begin
_DENSITY = 1 / 1100.0  # tubes in a mm³
_THINNEST = 0.25  # mm, radius
_LONGEST = 110  # points of a tube


def draw_vessels(
    rng: np.random.Generator, root: tuple[float, float], slices: tuple[float, float]
) -> Float64[np.ndarray, "n 4"]:
    """Draws tubes that run away from the lung's root, become thinner, and branch.

    Args:
      rng: source of the numbers.
      root: (x, y) of the lung's root from the crop's centre in mm.
      slices: position in mm of the lowest and highest slice.

    Returns:
      Points of the tubes: x, y from the crop's centre, z, and the tube's radius, in mm.
    """
    half = SIZE * RESOLUTION / 2 + _MARGIN
    low, high = slices[0] - _MARGIN, slices[1] + _MARGIN
    volume = (2 * half) ** 2 * (high - low)
    count = rng.poisson(rng.uniform(0.4, 1.3) * _DENSITY * volume)
    start = rng.uniform((-half, -half, low), (half, half, high), (count, 3))
    radius = np.exp(rng.normal(-0.8, 0.5, count)).clip(_THINNEST, 3.5)
    away = start - (*root, (low + high) / 2)
    away *= (1.0, 1.0, 0.5)
    way = 1.1 * _unit(away) + rng.normal(0.0, 0.75, (count, 3))
    trunks = _tubes(rng, start, way, radius)
    # A branch leaves somewhere along its trunk, thinner, at an angle.
    left = rng.integers(4, _LONGEST, (2, count))
    joints = trunks[left, np.arange(count)].reshape(-1, 4)
    joints = joints[joints[:, 3] > 0]
    turned = _unit(joints[:, :3] - (*root, (low + high) / 2)) + rng.normal(
        0, 0.8, joints[:, :3].shape
    )
    branches = _tubes(rng, joints[:, :3], turned, joints[:, 3] * rng.uniform(0.5, 0.9, len(joints)))
    points = np.concatenate([trunks.reshape(-1, 4), branches.reshape(-1, 4)])
    return points[(points[:, 3] > 0) & (np.abs(points[:, :2]) < half).all(axis=1)]


def _tubes(
    rng: np.random.Generator, start: np.ndarray, way: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Points [n, tubes, 4] of meandering tubes; beyond a tube's end its radius is 0."""
    bends = np.cumsum(rng.normal(0.0, 0.14 * _STEP**0.5, (_LONGEST, *start.shape)), axis=0)
    points = start + _STEP * np.cumsum(_unit(_unit(way) + bends), axis=0)
    length = rng.uniform(12, 30, len(start)) * radius**0.5 + 4
    part = _STEP * np.arange(_LONGEST)[:, None] / length
    radii = np.where(part < 1, np.maximum(radius * (1 - 0.6 * part), _THINNEST), 0)
    return np.concatenate([points, radii[..., None]], axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6)


def cut_vessels(
    points: Float64[np.ndarray, "n 4"],
    z: float,
    thickness: float,
    depth: Float32[np.ndarray, "180 180"],
) -> Float32[np.ndarray, "180 180"]:
    """How much of each pixel is vessel, 0 ... 1, in a slice.

    Args:
      points: of `draw_vessels`.
      z: position of the slice in mm.
      thickness: of the slice in mm.
      depth: how deep in the lung each pixel lies, in mm; near its border vessels are thin.
    """
    near = points[np.abs(points[:, 2] - z) < thickness / 2 + points[:, 3]]
    place = near[:, 1::-1] / RESOLUTION + (SIZE - 1) / 2  # (row, column)
    pixel = place.round().astype(int)
    held = ((pixel >= 0) & (pixel < SIZE)).all(axis=1)
    near, place, pixel = near[held], place[held], pixel[held]
    radius = near[:, 3] * np.interp(depth[pixel[:, 0], pixel[:, 1]], [0, 14], [0.35, 1.0])
    half, away = thickness / 2, np.abs(near[:, 2] - z)
    height = np.minimum(away + radius, half) - np.maximum(away - radius, -half)
    part = (height / thickness).clip(0, 1)  # of the slice's thickness
    filled = np.zeros((SIZE, SIZE), np.float32)
    for low, high, reach in ((0.0, 0.8, 2), (0.8, 1.6, 4), (1.6, 9.0, 8)):
        some = (radius > low) & (radius <= high)
        if some.any():
            _stamp(filled, place[some], pixel[some], radius[some] / RESOLUTION, part[some], reach)
    return filled


def _stamp(
    filled: np.ndarray,
    place: np.ndarray,
    pixel: np.ndarray,
    radius: np.ndarray,
    part: np.ndarray,
    reach: int,
) -> None:
    """Draws discs of radii in pixels, the fuller one where they overlap."""
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    pixels = pixel[:, None] + offsets
    distance = np.linalg.norm(pixels - place[:, None], axis=-1)
    disc = part[:, None] * (radius[:, None] - distance + 0.5).clip(0, 1)
    held = (disc > 0) & ((pixels >= 0) & (pixels < SIZE)).all(axis=-1)
    index = pixels[held]
    np.maximum.at(filled, (index[:, 0], index[:, 1]), disc[held].astype(np.float32))
