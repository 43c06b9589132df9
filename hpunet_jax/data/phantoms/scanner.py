"""Simulated CT: what scanners of several makes add, blur, correlated noise and streaks."""

import dataclasses

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE, crop_axes

Field = Float32[np.ndarray, "180 180"]


@dataclasses.dataclass(frozen=True)
class Scanner:
    """What is drawn once for a scan.

    Attributes:
      spacing: size of the scan's pixels in mm.
      thickness: of its slices in mm.
      blur: of the reconstruction, standard deviation in mm.
      overshoot: how much a sharp kernel exaggerates edges; 0 for a soft one.
      noise: its standard deviation in Hounsfield units.
      grain: correlation of the noise, in pixels of the scan.
      streaks: standard deviation of streaks in Hounsfield units.
      direction: of the streaks, their angle to the rows.
    """

    spacing: float
    thickness: float
    blur: float
    overshoot: float
    noise: float
    grain: float
    streaks: float
    direction: float

    def image(self, rng: np.random.Generator, hu: Field) -> Field:
        """What the scanner shows.

        Args:
          rng: source of the noise.
          hu: Hounsfield units of what is there.

        Returns:
          Hounsfield units, blurred and noisy.
        """
        seen = gaussian_filter(hu, self.blur / RESOLUTION, truncate=3.0)
        if self.overshoot:
            wide = gaussian_filter(seen, 1.0 / RESOLUTION, truncate=3.0)
            seen += np.float32(self.overshoot) * (seen - wide)
        seen += np.float32(self.noise) * self._noise(rng)
        if self.streaks:
            seen += np.float32(self.streaks) * self._streaks(rng)
        return seen

    def _noise(self, rng: np.random.Generator) -> Field:
        """Noise of unit variance on the scan's pixels, interpolated as crops are cut."""
        places, _ = crop_axes((0.0, 0.0), self.spacing)
        places = places - places[0]
        size = int(places[-1]) + 2
        white = rng.standard_normal((size, size), np.float32)
        grains = gaussian_filter(white, self.grain, truncate=3.0, mode="wrap")
        if self.overshoot:
            grains -= 0.7 * gaussian_filter(grains, 1.2, truncate=3.0, mode="wrap")
        grains /= grains.std()
        first = places.astype(int)
        part = (places - first).astype(np.float32)
        rows = grains[first] * (1 - part[:, None]) + grains[first + 1] * part[:, None]
        return rows[:, first] * (1 - part) + rows[:, first + 1] * part

    def _streaks(self, rng: np.random.Generator) -> Field:
        """Lines of unit variance across the crop, of about 1 mm."""
        profile = gaussian_filter(rng.standard_normal(2 * SIZE, np.float32), 1.2, truncate=3.0)
        pixels = np.arange(SIZE) - SIZE / 2
        place = np.cos(self.direction) * pixels[:, None] + np.sin(self.direction) * pixels + SIZE
        first = place.astype(int)
        part = (place - first).astype(np.float32)
        lines = profile[first] * (1 - part) + profile[first + 1] * part
        return lines / profile.std()


def draw_scanner(rng: np.random.Generator, spacing: float) -> Scanner:
    """Draws a scanner and a protocol: slices of 1 to 3 mm, soft and sharp kernels.

    Args:
      rng: source of the numbers.
      spacing: size of the scan's pixels in mm.
    """
    sharp = rng.random() < 0.3
    return Scanner(
        spacing=spacing,
        thickness=float(rng.choice((1.0, 1.25, 2.0, 2.5, 2.5, 3.0))),
        blur=rng.uniform(0.28, 0.42) if sharp else rng.uniform(0.4, 0.7),
        overshoot=rng.uniform(0.3, 0.9) if sharp else 0.0,
        noise=rng.uniform(15.0, 60.0) if sharp else rng.uniform(10.0, 32.0),
        grain=rng.uniform(0.3, 0.5) if sharp else rng.uniform(0.6, 1.0),
        streaks=rng.exponential(4.0) if rng.random() < 0.4 else 0.0,
        direction=rng.normal(0.0, 0.25),
    )
