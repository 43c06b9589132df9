"""Generated stand-in for Cityscapes (Section 3.4): drawn street scenes with cars told apart.

Nobody drove through these streets. Each scene is a straight street in perspective: sky, facades
with windows, trees, sidewalks, poles, people, rows of parked cars and some driving ones at all
distances, near ones hiding far ones. What Section 3.4 found ambiguous in the real annotations is
ambiguous here by design: a paved strip beside the road is annotated as road or as sidewalk, and a
large vehicle as bus or as truck, by the toss of a coin that the image does not show.

Everything is a deterministic function of (`VERSION`, number of the scene). Needs no TensorFlow.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from hpunet_jax.data.phantoms.streets_drawing import (
    BUILDING,
    CAR,
    PERSON,
    POLE,
    ROAD,
    ROAD_OR_SIDEWALK,
    SIDEWALK,
    SIZE,
    SKY,
    TRUCK_OR_BUS,
    VEGETATION,
    Canvas,
)

VERSION = 1
SCENES = {"train": 800, "validation": 64, "test": 96}

_SMALLEST = 24  # pixels; cars of which less is seen belong to a group, as in Cityscapes
_ROAD_HALF = 4.4  # metres from the middle of the road to the curb
_FACADE = 8.2
_FAR = 75.0
_NEAR = 3.0
_PAINTS = np.array(
    [
        (200, 202, 205), (28, 30, 34), (120, 124, 130), (70, 74, 82), (150, 24, 28),
        (30, 56, 120), (226, 226, 222), (96, 84, 66), (36, 84, 62), (196, 150, 40),
    ]
)  # fmt: skip
_WALLS = np.array(
    [
        (150, 128, 108),
        (176, 160, 136),
        (128, 112, 104),
        (160, 104, 84),
        (188, 180, 166),
        (110, 110, 116),
    ]
)

Example = dict[str, np.ndarray | str]


def phantom_examples(split: str, limit: int | None = None) -> Iterator[Example]:
    """Makes the examples of a split, scene by scene.

    Args:
      split: "train", "validation" or "test".
      limit: only the first so many scenes.

    Yields:
      `id` text, `image` uint8 [64, 128, 3], `semantic` uint8 [64, 128] (Cityscapes' train ids, 255
      for the hood of the observer's own car) and `cars` uint16 [64, 128], 0 for no single car.

    Raises:
      ValueError: for an unknown split.
    """
    if split not in SCENES:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(SCENES)}.")
    end = dict(zip(SCENES, itertools.accumulate(SCENES.values()), strict=True))[split]
    for number in range(end - SCENES[split], end)[:limit]:
        yield {"id": f"scene{number:04d}", **scene(number)}


def scene(number: int) -> dict[str, np.ndarray]:
    """One scene.

    Args:
      number: of the scene.

    Returns:
      `image`, `semantic` and `cars` as in `phantom_examples`.
    """
    rng = np.random.default_rng((VERSION, number))
    canvas = Canvas(horizon=rng.uniform(17, 24), vanishing=rng.uniform(54, 74))
    _draw_street(canvas, rng)
    things = [*_facades(rng), *_street_furniture(rng), *_vehicles(rng)]
    for _, draw, arguments in sorted(things, key=lambda thing: -thing[0]):
        draw(canvas, rng, *arguments)
    canvas.hood(rng.uniform(1.5, 4.0))
    image, semantic, cars = canvas.arrays()
    visible = np.bincount(cars.ravel())
    cars[visible[cars] < _SMALLEST] = 0
    return {"image": _photograph(rng, image), "semantic": semantic, "cars": cars}


def _draw_street(canvas: Canvas, rng: np.random.Generator) -> None:
    """Sky and ground; the strip at the curb is road or sidewalk, whatever it looks like."""
    sky = np.array([196, 206, 220]) + rng.normal(0, 14, 3) + rng.normal(0, 16)
    canvas.sky(sky, SKY)
    pavement = np.array([142, 136, 132]) + rng.normal(0, 8) + rng.normal(0, 4, 3)
    asphalt = np.array([92, 92, 97]) + rng.normal(0, 9) + rng.normal(0, 3, 3)
    canvas.ground(-60, 60, pavement, SIDEWALK)
    canvas.ground(-_ROAD_HALF, _ROAD_HALF, asphalt, ROAD)
    for side in (-1, 1):
        if rng.random() < 0.5:
            inner = side * (_ROAD_HALF - rng.uniform(1.8, 2.4))
            between = (pavement + asphalt) / 2 + rng.normal(0, 6)
            label = int(rng.choice(ROAD_OR_SIDEWALK))
            left, right = sorted((inner, side * _ROAD_HALF))
            canvas.ground(left, right, between, label)
        curb = side * _ROAD_HALF
        canvas.ground(curb - 0.12, curb + 0.12, pavement + 24, None)
    for z in np.arange(rng.uniform(3, 7), 60, 7.0):
        canvas.ground(-0.08, 0.08, (206, 206, 200), None, z, z + 3.0)


def _facades(rng: np.random.Generator) -> Iterator[tuple]:
    for side in (-1, 1):
        z = _NEAR
        while z < _FAR:
            length = rng.uniform(7, 18)
            wall = _WALLS[rng.integers(len(_WALLS))] + rng.normal(0, 10)
            yield z + length, _draw_facade, (side, z, z + length, rng.uniform(7, 19), wall)
            z += length + (rng.uniform(2, 9) if rng.random() < 0.25 else 0.0)
    if rng.random() < 0.7:
        wall = _WALLS[rng.integers(len(_WALLS))] * 0.9
        yield _FAR, _draw_end, (rng.uniform(6, 20), wall)


def _street_furniture(rng: np.random.Generator) -> Iterator[tuple]:
    for side in (-1, 1):
        for z in np.cumsum(rng.uniform(5, 22, 7)) + 2:
            place = side * rng.uniform(5.4, 7.2)
            draw = (_draw_tree, _draw_pole, _draw_person)[rng.choice(3, p=(0.4, 0.3, 0.3))]
            yield z, draw, (place, z)


def _vehicles(rng: np.random.Generator) -> Iterator[tuple]:
    """Parked rows at both curbs, driving cars, and in some scenes a bus or truck."""
    number = itertools.count(1)
    for side in (-1, 1):
        crowded = rng.uniform(0.45, 0.95)
        for z in rng.uniform(5.0, 9.0) + np.cumsum(rng.uniform(5.2, 7.0, 8)):
            if rng.random() < crowded:
                place = side * (_ROAD_HALF - 1.2) + rng.normal(0, 0.18)
                yield z, _draw_car, (next(number), place, z, side > 0)
    for lane, spacing in ((-1.2, 14.0), (1.3, 14.0)):
        for z in rng.uniform(1, 9) + np.cumsum(5 + rng.exponential(spacing - 5, 4)):
            if rng.random() < 0.55:
                yield z, _draw_car, (next(number), lane + rng.normal(0, 0.3), z, lane > 0)
    if rng.random() < 0.45:
        lane, z = rng.choice([-1.6, 1.7]), rng.uniform(12, 32)
        yield z, _draw_large_vehicle, (lane, z)


def _draw_facade(canvas, rng, side, near, far, height, wall):
    x = side * _FACADE
    canvas.face((x, x), (near, far), (0, height), wall, BUILDING)
    storeys, columns = int(height // 3), max(int((far - near) // 2.6), 1)
    glass = np.array([70, 78, 90]) + rng.normal(0, 14)
    for storey in range(storeys):
        for column in range(columns):
            z = near + (column + 0.25) * (far - near) / columns
            y = 3.0 * storey + 1.0
            canvas.face((x, x), (z, z + 1.2), (y, y + 1.5), glass + rng.normal(0, 10))


def _draw_end(canvas, rng, height, wall):
    canvas.face((-30, 30), (_FAR, _FAR), (0, height), wall, BUILDING)
    del rng


def _draw_tree(canvas, rng, x, z):
    canvas.face((x - 0.16, x + 0.16), (z, z), (0, 3.2), (70, 58, 48), VEGETATION)
    green = np.array([62, 84, 48]) + rng.normal(0, 10, 3)
    for _ in range(9):
        centre = x + rng.normal(0, 0.9), 4.6 + rng.normal(0, 0.9), z
        canvas.disc(centre, rng.uniform(0.7, 1.5), green + rng.normal(0, 9), VEGETATION)


def _draw_pole(canvas, rng, x, z):
    canvas.face((x - 0.09, x + 0.09), (z, z), (0, 5.5), (112, 114, 116), POLE)
    if rng.random() < 0.5:
        canvas.face((x - 0.35, x + 0.35), (z, z), (2.4, 3.1), (52, 82, 150), POLE)


def _draw_person(canvas, rng, x, z):
    cloth, trousers = rng.uniform(30, 190, 3), rng.uniform(20, 90, 3)
    canvas.face((x - 0.2, x + 0.2), (z, z), (0, 0.9), trousers, PERSON)
    canvas.face((x - 0.26, x + 0.26), (z, z), (0.85, 1.5), cloth, PERSON)
    canvas.disc((x, 1.64, z), 0.15, (190, 150, 128), PERSON)


def _draw_car(canvas, rng, number, x, z, away):
    """A car seen from behind (`away`) or from the front, with the side that faces us."""
    paint = _PAINTS[rng.integers(len(_PAINTS))] + rng.normal(0, 8)
    length, half, roof = rng.uniform(3.7, 4.7), rng.uniform(0.82, 0.94), rng.uniform(1.38, 1.7)
    left, right, far = x - half, x + half, z + length
    waist = 0.55 * roof + 0.1
    glass = np.array([46, 52, 60]) + rng.normal(0, 8)
    side = right if x < 0 else left  # the side nearer to the middle of the street is seen
    inner = side * 0.92 + x * 0.08
    start, stop = (0.15, 0.75) if away else (0.125, 0.7)  # the cabin's extent along the car
    front, back = z + start * length, z + stop * length + 0.4

    def solid(corners, colour):
        canvas.solid(corners, colour, CAR, number)

    def cabin_side(shrink, top):
        low = 0.1 + 4 * shrink
        corners = [(side, waist, z + low), (inner, top, front + 2 * shrink)]
        return [*corners, (inner, top, back - 2 * shrink), (side, waist, far - 8 * shrink)]

    def cabin_end(shrink, top):
        wide, narrow = half - shrink, 0.84 * half - shrink
        corners = [(x - wide, waist, z), (x - narrow, top, front)]
        return [*corners, (x + narrow, top, front), (x + wide, waist, z)]

    canvas.shadow((left - 0.1, right + 0.1), (z - 0.15, far + 0.1))
    canvas.face((side, side), (z, far), (0.25, waist), paint * 0.72, CAR, number)
    solid(cabin_side(0.0, roof), paint * 0.72)
    solid(cabin_side(0.1, roof - 0.1), glass)
    for axle in (z + 0.75, far - 0.75):
        canvas.disc((side, 0.31, axle), 0.33, (22, 22, 24), CAR, number, upright=True)
    canvas.face((left, right), (z, z), (0.22, waist), paint, CAR, number)
    solid(cabin_end(0.0, roof), paint * 0.9)
    solid(cabin_end(0.1, roof - 0.1), glass)
    lamp = (206, 40, 36) if away else (244, 240, 216)
    for corner in (left + 0.05, right - 0.33):
        canvas.face((corner, corner + 0.28), (z, z), (waist - 0.28, waist - 0.1), lamp)
    canvas.face((x - 0.26, x + 0.26), (z, z), (0.42, 0.54), (226, 226, 214))
    for corner in (left + 0.04, right - 0.26):
        canvas.face((corner, corner + 0.22), (z, z), (0.0, 0.26), (24, 24, 26), CAR, number)


def _draw_large_vehicle(canvas, rng, x, z):
    """A tall box on wheels: bus or truck, and the image does not tell which."""
    label = int(rng.choice(TRUCK_OR_BUS))
    paint = _PAINTS[rng.integers(len(_PAINTS))] + rng.normal(0, 10)
    half, roof, far = 1.25, rng.uniform(2.9, 3.5), z + rng.uniform(7, 11)
    side = x + half if x < 0 else x - half
    canvas.shadow((x - half - 0.1, x + half + 0.1), (z - 0.15, far))
    canvas.face((side, side), (z, far), (0.35, roof), paint * 0.7, label)
    canvas.face((side, side), (z + 0.5, far - 0.4), (1.7, roof - 0.5), paint * 0.5)
    for axle in (z + 1.6, far - 1.6):
        canvas.disc((side, 0.48, axle), 0.5, (20, 20, 22), label, upright=True)
    canvas.face((x - half, x + half), (z, z), (0.3, roof), paint, label)
    canvas.face((x - half + 0.2, x + half - 0.2), (z, z), (1.6, roof - 0.4), (54, 60, 70))
    for corner in (x - half + 0.08, x + half - 0.38):
        canvas.face((corner, corner + 0.3), (z, z), (0.6, 0.85), (200, 44, 40))


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light of the day, blur and noise."""
    tint = np.exp(rng.normal(0.0, 0.12)) * np.exp(rng.normal(0.0, 0.04, 3))
    texture = gaussian_filter(rng.normal(0.0, 1.0, (*SIZE, 1)), (2.0, 3.0, 0)) * 18.0
    sharp = gaussian_filter(image * tint + texture, (0.4, 0.4, 0))
    return (sharp + rng.normal(0.0, 4.0, image.shape)).clip(0, 255).round().astype(np.uint8)
