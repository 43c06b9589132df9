"""Simulated CT: the lung's border, chest wall and mediastinum around a lesion, in Hounsfield units.

A lung is an ellipse with flattened sides beside the body's midline. Where it faces the midline lie
the mediastinum, heart, aorta and spine; elsewhere the chest wall: ribs, muscle, fat, skin, air.
Which of them a crop shows follows from the lesion's real place in the scan. Lengths are in mm, x to
the image's right, y downwards, to the patient's back.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32
from scipy.special import expit

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE

Field = Float32[np.ndarray, "180 180"]

_MUSCLE, _FAT, _SKIN, _AIR = 45.0, -100.0, 10.0, -1000.0
_SKIN_DEPTH = 2.0  # mm
_FURTHEST = 30.0  # mm along the scan; beyond, the lung's border stays


@dataclasses.dataclass(frozen=True)
class Organ:
    """A round organ that borders on the lung: heart, aorta, diaphragm, spine.

    Attributes:
      place: (x, y) of its centre.
      radius: its radius.
      value: Hounsfield units.
      edge: softness of its border; a dome is cut obliquely and has a wide one.
      is_bone: whether it has a bright rim and a coarse inside.
    """

    place: tuple[float, float]
    radius: float
    value: float
    edge: float
    is_bone: bool = False


@dataclasses.dataclass(frozen=True)
class Bones:
    """Ribs or a shoulder blade: bars along the chest wall, one every `period`.

    Attributes:
      period: from one to the next along the wall.
      length: half the length of the part that a slice cuts.
      thickness: half of it.
      depth: of the middle, from the lung's border.
      tilt: how far one end lies deeper than the middle, as a part of the length.
      phase: where along the wall one lies in the slice at 0 mm.
      climb: how far it moves along the wall from a slice to one 1 mm further.
      marrow: Hounsfield units inside; the rim is brighter.
    """

    period: float
    length: float
    thickness: float
    depth: float
    tilt: float
    phase: float
    climb: float
    marrow: float


@dataclasses.dataclass(frozen=True)
class Thorax:
    """What is drawn once for a lesion.

    Attributes:
      side: 1 for the lung on the image's right, -1 for the other.
      centre: (x, y) of the lung.
      axes: half its width and height.
      squareness: 2 for an ellipse; more for flatter sides.
      drift: how far the border moves outwards from a slice to one 1 mm further.
      edge: softness of the border; where it is cut obliquely it is wide.
      muscle: how deep the muscles are below the lung's border.
      skin: how deep the skin is.
      bones: ribs, maybe a shoulder blade.
      organs: what else borders on the lung.
    """

    side: int
    centre: tuple[float, float]
    axes: tuple[float, float]
    squareness: float
    drift: float
    edge: float
    muscle: float
    skin: float
    bones: tuple[Bones, ...]
    organs: tuple[Organ, ...]


class Surroundings:
    """What surrounds a lesion: drawn once, then asked for slice by slice."""

    def __init__(self, thorax: Thorax, place: tuple[float, float], patches: Field):
        """Args:
        thorax: the lung and its borders.
        place: (x, y) of the crop's centre.
        patches: noise of unit variance over some 10 mm, where tissues interleave.
        """
        self._thorax = thorax
        x, y = pixel_places(place)
        self._outside = signed_distance(thorax, x, y)
        (cx, cy), (a, b) = thorax.centre, thorax.axes
        u, v = (x - np.float32(cx)) / np.float32(a), (y - np.float32(cy)) / np.float32(b)
        self._along = np.arctan2(v, u) * np.float32(np.mean(thorax.axes))
        medial = expit((-thorax.side * u - 0.55 + 0.08 * patches) / 0.06)
        wall = _chest_wall(thorax, self._outside, patches)
        mediastinum = _mix(expit((patches - 1.0) / 0.15), 40.0, _FAT)
        self._soft = wall + (mediastinum - wall) * medial
        self._lateral = 1 - medial
        self._organs = _draw_organs(thorax.organs, x, y, patches)

    def depth(self, z: float) -> Field:
        """How far outside of the lung each pixel is in the slice z mm above the lesion's middle."""
        depth = self._border(z)
        for inside, _, _ in self._organs:
            depth = np.maximum(depth, inside)
        return depth

    def cover(self, lung: Field, z: float) -> Field:
        """Draws the surroundings over the lung.

        Args:
          lung: Hounsfield units of the lung and what is in it.
          z: of the slice, from the lesion's middle.

        Returns:
          Hounsfield units of all.
        """
        outside = self._border(z)
        tissue = self._soft
        for bones in self._thorax.bones:
            tissue = _draw_bones(bones, tissue, outside, self._along, z, self._lateral)
        hu = lung + (tissue - lung) * expit(outside / np.float32(self._thorax.edge))
        for _, value, part in self._organs:
            hu += (value - hu) * part
        return hu

    def _border(self, z: float) -> Field:
        shift = self._thorax.drift * float(np.clip(z, -_FURTHEST, _FURTHEST))
        return self._outside - np.float32(shift)


def pixel_places(place: tuple[float, float]) -> tuple[Field, Field]:
    """x and y of each pixel of a crop whose centre is at `place`."""
    offset = ((np.arange(SIZE) - (SIZE - 1) / 2) * RESOLUTION).astype(np.float32)
    shape = (SIZE, SIZE)
    x = np.broadcast_to(offset + np.float32(place[0]), shape)
    y = np.broadcast_to(offset[:, None] + np.float32(place[1]), shape)
    return x, y


def signed_distance(thorax: Thorax, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from the lung's ellipse to first order, positive outside; shaped as x and y are."""
    p = np.float32(thorax.squareness)
    (cx, cy), (a, b) = thorax.centre, thorax.axes
    u, v = (np.abs((x - cx) / a).clip(1e-3), np.abs((y - cy) / b).clip(1e-3))
    rise = u ** (p - 1), v ** (p - 1)
    rho = (u * rise[0] + v * rise[1]) ** (1 / p)
    slope = np.hypot(rise[0] / a, rise[1] / b) * rho ** (1 - p)
    return ((rho - 1) / slope).astype(np.float32)


def draw_thorax(
    rng: np.random.Generator,
    place: tuple[float, float],
    reach: Callable[[np.ndarray], float],
) -> Thorax:
    """Draws a thorax around a lesion: it lies in the lung, often at its border.

    Args:
      rng: source of the numbers.
      place: (x, y) of the lesion from the middle of the scan.
      reach: how far the lesion reaches in the direction of a unit vector [2].
    """
    side = 1 if place[0] > 0 else -1
    thorax = Thorax(
        side=side,
        centre=(side * rng.uniform(68, 86), rng.uniform(-15, 20)),
        axes=(rng.uniform(56, 74), rng.uniform(80, 112)),
        squareness=rng.uniform(2.0, 2.7),
        drift=rng.normal(0.0, 0.1),
        edge=rng.uniform(0.15, 0.4) + rng.exponential(0.1),
        muscle=rng.uniform(4.0, 30.0),
        skin=rng.uniform(14.0, 70.0),
        bones=_draw_all_bones(rng),
        organs=(),
    )
    thorax = _around(rng, thorax, place, reach)
    return dataclasses.replace(thorax, organs=_draw_all_organs(rng, thorax, place, reach))


def _around(
    rng: np.random.Generator,
    thorax: Thorax,
    place: tuple[float, float],
    reach: Callable[[np.ndarray], float],
) -> Thorax:
    """Moves the thorax so that the lesion lies within the lung, or touches its border."""
    here = np.array(place)
    touches = rng.random() < 0.6
    gap, slack = rng.uniform(-1.0, 0.5), rng.exponential(6.0)
    for _ in range(3):  # the normal turns as the thorax moves
        distance, normal = _distance_and_normal(thorax, here)
        room = -distance - reach(normal)
        wanted = gap if touches and room < 5.0 else max(room, gap + slack)
        centre = np.array(thorax.centre) + (wanted - room) * normal
        thorax = dataclasses.replace(thorax, centre=(float(centre[0]), float(centre[1])))
    return thorax


def _distance_and_normal(thorax: Thorax, here: np.ndarray) -> tuple[float, np.ndarray]:
    step = 0.5
    points = here + step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    d = signed_distance(thorax, points[:, 0], points[:, 1])
    normal = np.array([d[1] - d[2], d[3] - d[4]]) + 1e-6
    return float(d[0]), normal / np.linalg.norm(normal)


def _draw_all_bones(rng: np.random.Generator) -> tuple[Bones, ...]:
    period = rng.uniform(36.0, 100.0)
    thickness = rng.uniform(2.8, 4.6)
    ribs = Bones(
        period=period,
        length=period * rng.uniform(0.15, 0.45),
        thickness=thickness,
        depth=thickness + rng.uniform(0.8, 3.0),
        tilt=rng.normal(0.0, 0.08),
        phase=rng.uniform(0, period),
        climb=rng.choice((-1, 1)) * rng.uniform(0.6, 2.5),
        marrow=rng.uniform(120.0, 380.0),
    )
    blade = Bones(
        period=260.0,
        length=rng.uniform(15.0, 40.0),
        thickness=rng.uniform(1.5, 4.0),
        depth=rng.uniform(14.0, 28.0),
        tilt=rng.normal(0.0, 0.2),
        phase=rng.uniform(0, 260.0),
        climb=rng.normal(0.0, 0.3),
        marrow=rng.uniform(150.0, 400.0),
    )
    return (ribs, blade) if rng.random() < 0.5 else (ribs,)


def _draw_all_organs(
    rng: np.random.Generator,
    thorax: Thorax,
    place: tuple[float, float],
    reach: Callable[[np.ndarray], float],
) -> tuple[Organ, ...]:
    blood = rng.choice((40.0, 40.0, rng.uniform(100.0, 320.0)))  # a third with a contrast agent
    x, y = rng.normal(0.0, 6.0), thorax.centre[1]
    spine = (x, y + rng.uniform(48, 66)), rng.uniform(16, 21), rng.uniform(130, 260), 0.5, True
    aorta = (x + rng.uniform(0, 26), y + rng.uniform(22, 44)), rng.uniform(9, 15), blood, 0.5, False
    wanted = [spine, aorta]
    if rng.random() < 0.6:
        heart = x + rng.uniform(0, 35), y - rng.uniform(10, 45)
        wanted.append((heart, rng.uniform(30, 58), blood, rng.uniform(0.5, 1.5), False))
    if rng.random() < 0.3:  # the diaphragm
        dome = thorax.centre[0] + rng.normal(0, 15), y + rng.normal(0, 15)
        value, edge = rng.uniform(40, 110), rng.uniform(0.6, 3.5)
        wanted.append((dome, rng.uniform(25, 65), value, edge, False))
    organs = []
    for where, radius, value, edge, is_bone in wanted:
        way = np.array(where) - place
        distance = float(np.linalg.norm(way)) + 1e-6
        free = distance - reach(way / distance) - rng.uniform(0.5, 8.0)
        if free > 6.0:
            organs.append(Organ(where, min(radius, free), float(value), edge, is_bone))
    return tuple(organs)


def _draw_organs(
    organs: Sequence[Organ], x: Field, y: Field, patches: Field
) -> list[tuple[Field, Field | np.float32, Field]]:
    """Of each organ that the crop shows: distance from its border, Hounsfield units, and part."""
    drawn = []
    for organ in organs:
        cx, cy = map(np.float32, organ.place)
        inside = np.float32(organ.radius) - np.hypot(x - cx, y - cy)
        if inside.max() < -3 * organ.edge:
            continue
        value: Field | np.float32 = np.float32(organ.value)
        if organ.is_bone:
            value = value + 60 * patches + 500 * np.exp(-np.square(inside / 1.2))
        drawn.append((inside, value, expit(inside / np.float32(organ.edge))))
    return drawn


def _chest_wall(thorax: Thorax, outside: Field, patches: Field) -> Field:
    """Muscle with strips of fat, the fat below the skin, skin and air."""
    fat = expit((outside - thorax.muscle + 7.0 * patches) / 0.8)
    strips = 0.7 * expit((np.cos(outside / 3.0 + 1.5 * patches) - 0.85) / 0.05)
    hu = _mix(np.maximum(fat, strips * (outside > 8)), _MUSCLE, _FAT)
    skin = thorax.muscle + thorax.skin
    hu = _blend(hu, _SKIN, expit((outside - skin) / 0.4))
    return _blend(hu, _AIR, expit((outside - skin - _SKIN_DEPTH) / 0.4))


def _draw_bones(
    bones: Bones, tissue: Field, outside: Field, along: Field, z: float, lateral: Field
) -> Field:
    deep = outside - np.float32(bones.depth)
    reach = bones.thickness + abs(bones.tilt) * bones.length + 2.0
    where = np.nonzero(np.abs(deep) < reach)  # a few per cent of the crop
    period, length, thickness = map(np.float32, (bones.period, bones.length, bones.thickness))
    s = along[where] - np.float32(bones.phase + bones.climb * z)
    s = (s + period / 2) % period - period / 2
    deep = (deep[where] - np.float32(bones.tilt) * s) / thickness
    ends = s / length
    inside = (1 - deep * deep - (ends * ends) ** 2) * (thickness / 2)
    value = np.float32(bones.marrow) + 700 * np.exp(-np.square(inside / np.float32(0.9)))
    drawn = tissue.copy()
    drawn[where] += (value - tissue[where]) * expit(inside / np.float32(0.3)) * lateral[where]
    return drawn


def _mix(part: Field, first: float, second: float) -> Field:
    return np.float32(first) + np.float32(second - first) * part


def _blend(values: Field, other: float, part: Field) -> Field:
    return values + (np.float32(other) - values) * part
