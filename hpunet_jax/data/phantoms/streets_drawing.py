"""A canvas in perspective for the generated streets: colours, classes and cars drawn together.

Scenes are in metres: x to the right of the street's middle, y up from the ground, z away from the
observer. Everything is drawn four times as large; images are averaged down, label maps sampled.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hpunet_jax.labels import IGNORED

SIZE = (64, 128)
# Cityscapes' train ids
ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR = 0, 1, 2, 5, 8, 10, 11, 13
ROAD_OR_SIDEWALK, TRUCK_OR_BUS = (0, 1), (14, 15)

_FINE = 4  # pixels drawn for each pixel, down and across
_FOCAL = 165.0  # in pixels
_CAMERA = 1.9  # metres above the ground
_HAZE = np.array([196.0, 204.0, 214.0])
_VISIBILITY = 150.0  # metres
_NEAREST, _FARTHEST = 2.5, 400.0

Point = tuple[float, float, float]


class Canvas:
    """An image, its classes and its cars, drawn from the back to the front."""

    def __init__(self, horizon: float, vanishing: float):
        """Args:
        horizon: row of the horizon, in pixels.
        vanishing: column where the street vanishes, in pixels.
        """
        self._centre = float(vanishing), float(horizon)
        height, width = (_FINE * length for length in SIZE)
        self._maps = [Image.new(mode, (width, height)) for mode in ("RGB", "L", "I;16")]
        self._pens = [ImageDraw.Draw(image) for image in self._maps]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The image float [64, 128, 3], the classes uint8 and the cars uint16 [64, 128]."""
        image, semantic, cars = (np.asarray(image) for image in self._maps)
        height, width = SIZE
        fine = image.reshape(height, _FINE, width, _FINE, 3).astype(float)
        middle = slice(_FINE // 2, None, _FINE)
        return (
            fine.mean(axis=(1, 3)),
            semantic[middle, middle].astype(np.uint8),
            cars[middle, middle].astype(np.uint16),
        )

    def solid(
        self, corners: Sequence[Point], colour, label: int | None = None, car: int = 0
    ) -> None:
        """A polygon; without a label only its colour is drawn, and what it lies on stays."""
        colour = _hazy(colour, sum(z for _, _, z in corners) / len(corners))
        self._draw("polygon", [self._project(corner) for corner in corners], colour, label, car)

    def face(self, x, z, y, colour, label: int | None = None, car: int = 0) -> None:
        """An upright rectangle from (x[0], z[0]) to (x[1], z[1]), from y[0] up to y[1]."""
        corners = [(x[0], y[0], z[0]), (x[0], y[1], z[0]), (x[1], y[1], z[1]), (x[1], y[0], z[1])]
        self.solid(corners, colour, label, car)

    def ground(
        self, left, right, colour, label: int | None, near: float = _NEAREST, far: float = _FARTHEST
    ) -> None:
        """A strip of ground along the street."""
        corners = [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)]
        self._draw("polygon", [self._project(corner) for corner in corners], colour, label)

    def disc(
        self, centre: Point, radius: float, colour, label: int, car: int = 0, upright: bool = False
    ) -> None:
        """A ball; or, upright, a wheel that stands along the street."""
        x, y = self._project(centre)
        high = _FINE * _FOCAL * radius / max(centre[2], _NEAREST)
        # Along the street, the same length looks the shorter the farther ahead it is.
        wide = high * min(1.0, abs(centre[0]) / centre[2]) if upright else high
        box = [(x - wide, y - high), (x + wide, y + high)]
        self._draw("ellipse", box, _hazy(colour, centre[2]), label, car)

    def shadow(self, x: tuple[float, float], z: tuple[float, float]) -> None:
        """Dark ground under a vehicle."""
        self.ground(*x, (44, 44, 48), None, *z)

    def sky(self, colour, label: int) -> None:
        """Fills the whole canvas."""
        height, width = (_FINE * length for length in SIZE)
        shade = np.linspace(0.92, 1.06, 8)
        for i, part in enumerate(shade):
            rows = [(0, i * height // 16), (width, (i + 1) * height // 16)]
            self._draw("rectangle", rows, np.asarray(colour) * part, label)
        self._draw("rectangle", [(0, height // 2), (width, height)], _HAZE, label)

    def hood(self, height: float) -> None:
        """The hood of the observer's own car at the lower edge: pixels to ignore."""
        rows, columns = SIZE
        box = [(0, rows - height), (columns, rows + 4 * height)]
        scaled = [(_FINE * x, _FINE * y) for x, y in box]
        self._draw("ellipse", scaled, (58, 62, 70), IGNORED)

    def _project(self, point: Point) -> tuple[float, float]:
        x, y, z = point
        scale = _FOCAL / max(z, _NEAREST)
        column, row = self._centre
        return _FINE * (column + scale * x), _FINE * (row + scale * (_CAMERA - y))

    def _draw(self, shape: str, points, colour, label: int | None, car: int = 0) -> None:
        fills = [tuple(min(max(int(c), 0), 255) for c in colour), label, car]
        for pen, fill in zip(self._pens, fills if label is not None else fills[:1], strict=False):
            getattr(pen, shape)(points, fill=fill)


def _hazy(colour, distance: float) -> np.ndarray:
    """A colour as it looks from afar."""
    clear = np.exp(-distance / _VISIBILITY)
    return np.asarray(colour) * clear + _HAZE * (1 - clear)
