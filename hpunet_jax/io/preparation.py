"""From a file's own values and pixels to those that a network takes: window, spacing and scale.

The one place for all, whoever reads a file: own data, the checker, training, inference. What was
chosen stands in the run's config, so that files are prepared as the training images were.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import numpy as np
import scipy  # its parts load when they are used
from jaxtyping import Float32, Num, Shaped

from hpunet_jax.io.stored import check_size

_FULL = 65_535  # what a window's upper end becomes
_EXTREME = 100  # of scales
_EVEN = 0.01  # by how much the sides of a square pixel may differ


class WindowNeeded(ValueError):
    """Nobody has said which values of a file are black and white.

    Attributes:
      values: the least and greatest of them.
    """

    def __init__(self, text: str, values: tuple[float, float]):
        super().__init__(text)
        self.values = values


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are prepared, by the fields of the same names in a config's section `data`.

    Attributes:
      window: the values that become 0 and 1, in the file's units (Hounsfield units of a CT); what
        lies beyond is cut off. (): none.
      percentiles: instead of a window, the percentiles that become 0 and 1, of each image, or of
        all slices of a volume. (): none. Without both, the values must be unsigned integers of 8
        or 16 bits, whose greatest becomes 1.
      spacing: mm from one row to the next and from one column to the next, to which images are
        resampled linearly, labels by the nearest pixel. (): they keep their pixels.
      scale: by which images are enlarged, or reduced if it is below 1, as by a spacing; of files
        that do not know how large their pixels are. On top of a spacing.
      hdf5: names of the data sets of images and of labels in HDF5 files; (): the only one of three
        axes.
    """

    window: tuple[float, ...] = ()
    percentiles: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    scale: float = 1.0
    hdf5: tuple[str, ...] = ()

    @classmethod
    @no_type_check
    def from_config(cls, data: Mapping[str, Any] | None) -> "Preparation":
        """What the section `data` of a config says; of an older one, or None, nothing.

        Args:
          data: the section.

        Raises:
          ValueError: it names the field that makes no sense.
        """
        data = data or {}
        numbers = {
            name: tuple(map(float, data.get(name) or ()))
            for name in ("window", "percentiles", "spacing")
        }
        scale = float(data.get("scale", 1.0))
        return cls(**numbers, scale=scale, hdf5=tuple(data.get("hdf5") or ()))

    def __post_init__(self) -> None:
        """Checks the fields together."""
        for name in ("window", "percentiles", "spacing"):
            if len(getattr(self, name)) not in (0, 2):
                raise ValueError(
                    f"data.{name} must be two numbers, or (), not {getattr(self, name)}."
                )
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"data.{name} is {getattr(self, name)}: expected finite numbers.")
        if self.percentiles and not 0 <= min(self.percentiles) <= max(self.percentiles) <= 100:
            raise ValueError(
                f"data.percentiles is {self.percentiles}: expected two of 0 to 100, "
                "such as (1, 99)."
            )
        for name in ("window", "percentiles"):
            ends = getattr(self, name)
            if ends and not ends[0] < ends[1]:
                raise ValueError(f"data.{name} is {ends}: expected the lower end first.")
        if self.window and self.percentiles:
            raise ValueError(
                f"data.window={self.window} and data.percentiles={self.percentiles} say the same "
                "thing in two ways: set one of them to ()."
            )
        if min(self.spacing, default=1) <= 0:
            raise ValueError(f"data.spacing is {self.spacing}: expected millimetres above 0.")
        if not 1 / _EXTREME <= self.scale <= _EXTREME:
            raise ValueError(
                f"data.scale is {self.scale}: expected {1 / _EXTREME:g} to {_EXTREME}, by which "
                "images are enlarged."
            )

    def images(
        self,
        values: Num[np.ndarray, "D H W C"],
        spacing: Sequence[float] | None,
        source: str,
    ) -> Num[np.ndarray, "D h w C"]:
        """Prepares an image, or all slices of a volume.

        Args:
          values: numbers in the file's units; a single image is one slice.
          spacing: mm from row to row and from column to column; None: the file does not know.
          source: the file, for messages.

        Returns:
          uint8 or uint16; with a window or percentiles uint16.

        Raises:
          ValueError: if the values need a window, are no numbers in places, or the pixels have no
            known size to resample from; it names the file.
        """
        return self.between(self.ends(values, source), values, spacing, source)

    def between(
        self,
        ends: tuple[float, float] | None,
        values: Num[np.ndarray, "D H W C"],
        spacing: Sequence[float] | None,
        source: str,
    ) -> Num[np.ndarray, "D h w C"]:
        """As `images`, of values whose `ends` are known."""
        size = self.size(values.shape[1:3], spacing, source)
        dtype = values.dtype if ends is None else np.uint16
        if ends is None and size == values.shape[1:3]:
            return values
        prepared = np.empty((len(values), *size, values.shape[3]), dtype)
        for one, out in zip(values, prepared, strict=True):
            pixels = _resampled(one, size, order=1)
            out[:] = np.rint(pixels if ends is None else _FULL * _share(pixels, *ends))
        return prepared

    def labels(
        self,
        values: Shaped[np.ndarray, "D H W *axes"],
        spacing: Sequence[float] | None,
        source: str,
    ) -> Shaped[np.ndarray, "D h w *axes"]:
        """Prepares a map of labels, or all slices of one, as the image they belong to.

        Args:
          values: of any type.
          spacing: that of the image, as for `images`.
          source: the file, for messages.

        Returns:
          Of the same type.

        Raises:
          ValueError: if the pixels have no known size to resample from; it names the file.
        """
        return resize_labels(values, self.size(values.shape[1:3], spacing, source))

    def size(
        self, size: Sequence[int], spacing: Sequence[float] | None, source: str
    ) -> tuple[int, int]:
        """The height and width that an image of a size and spacing is resampled to.

        Raises:
          ValueError: if the spacing is not known, but one is wanted, or the image would become too
            large, or be enlarged or reduced too much; it names the file.
        """
        if self.spacing and spacing is None:
            raise ValueError(
                f"{source} does not say how large its pixels are, so it cannot be resampled to "
                f"{self.spacing[0]:g}x{self.spacing[1]:g} mm: leave data.spacing out (data.scale "
                "needs no size), or give a file that knows (NIfTI, NRRD, MetaImage, DICOM with its "
                "PixelSpacing)."
            )
        spacing = spacing or (1, 1)
        to = self.spacing or spacing
        factors = [self.scale * old / new for old, new in zip(spacing, to, strict=True)]
        if not all(1 / _EXTREME <= factor <= _EXTREME for factor in factors):
            raise ValueError(
                f"{source} with pixels of {spacing[0]:g}x{spacing[1]:g} mm would be scaled by "
                f"{factors[0]:g}x{factors[1]:g} with data.spacing={self.spacing} and data.scale="
                f"{self.scale:g}: expected {1 / _EXTREME:g} to {_EXTREME}; choose a spacing and "
                "scale nearer to the image's own."
            )
        height, width = (max(1, round(n * by)) for n, by in zip(size, factors, strict=True))
        if (height, width) != tuple(size):
            check_size(height, width, f"{source}, resampled,")
        return height, width

    def ends(self, values: Num[np.ndarray, "..."], source: str) -> tuple[float, float] | None:
        """The values of an image or volume that become 0 and 1; None: those of its type.

        Raises:
          ValueError: if they need a window, or there is a value that is no number; it names the
            file.
        """
        if values.dtype.kind not in "uif":
            raise ValueError(f"{source} has {values.dtype} values: expected integers or floats.")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                f"{source} has values that are no finite numbers (NaN or infinity): replace them."
            )
        if self.window:
            return self.window[0], self.window[1]
        if self.percentiles:
            low, high = np.percentile(values, self.percentiles)
            return float(low), float(high)
        if values.dtype not in (np.uint8, np.uint16):
            low, high = float(values.min()), float(values.max())
            raise WindowNeeded(
                f"{source} has {values.dtype} values, from {low:g} to {high:g}: say which of them "
                "become black and white, with data.window=(low, high) in the file's units or "
                "data.percentiles=(1, 99), which programs that read files take as "
                "--window=low,high and --percentiles=1,99.",
                (low, high),
            )
        return None


AS_STORED = Preparation()
"""Integers of 8 or 16 bits, 0 for black, on the file's own pixels."""


def resize_labels(
    labels: Shaped[np.ndarray, "D H W *axes"], size: Sequence[int]
) -> Shaped[np.ndarray, "D h w *axes"]:
    """Labels of resampled images on another grid over the same area, each by the nearest pixel.

    Args:
      labels: of any type.
      size: height and width of the result.

    Returns:
      Of the same type.
    """
    height, width = size
    return np.stack([_resampled(one, (height, width), order=0) for one in labels])


def resize_values(
    values: Float32[np.ndarray, "D H W *axes"], size: Sequence[int]
) -> Float32[np.ndarray, "D h w *axes"]:
    """Numbers on another grid over the same area, interpolated linearly; as `resize_labels`."""
    height, width = size
    return np.stack([_resampled(one, (height, width), order=1) for one in values])


def are_square(spacing: Sequence[float]) -> bool:
    """Whether pixels are as high as they are wide, to within 1 %."""
    return abs(spacing[0] - spacing[1]) <= _EVEN * max(spacing)


def _resampled(image: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """An image [H, W, ...] on another grid over the same area; float32 where interpolated.

    Between the pixels of an image that is reduced to less than half, what is interpolated would
    skip some: it is smoothed first.
    """
    if image.shape[:2] == size:
        return image
    factors = [new / old for new, old in zip(size, image.shape, strict=False)]
    factors += [1.0] * (image.ndim - 2)
    if order:
        blur = [max(0.0, 0.5 / factor - 1) for factor in factors]
        image = scipy.ndimage.gaussian_filter(image.astype(np.float32), blur, mode="nearest")
    return scipy.ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)


def _share(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where values lie between two ends, from 0 to 1."""
    width = (high - low) or 1.0
    return np.clip((image.astype(np.float64) - low) / width, 0, 1)
