"""How far the random augmentation goes (Appendices D.1-D.3, which name the kinds, not the ranges).

`LIDC`, `SNEMI3D` and `CITYSCAPES`, at the end, are the ranges for the paper's three data sets: the
section `data.augmentation` of their configs.
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, no_type_check

import numpy as np

from hpunet_jax.fields import Number, Section, fields_of, ranged

GREATEST_SIDE = 16_384
"""Greatest height and width of a crop, in pixels."""

Pair = tuple[Number, Number]


@no_type_check
@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Ranges of the random augmentation; the defaults change nothing but the size.

    Every draw is uniform in its range, but for `scale` and `elastic`. Where a pair is taken, it is
    (down, across), and a single value stands for both.

    Attributes:
      crop: height and width of the training images; they may exceed the source images.
      translate: greatest shift of the crop from the image's centre, in pixels; or a pair.
      mirror: whether to mirror each axis at random; or a pair.
      quarter_turns: whether to turn by a random multiple of 90 degrees (square crops only).
      rotation: greatest rotation, in degrees, to either side.
      shear: greatest shear, in pixels across for each pixel down.
      scale: least and greatest magnification, drawn uniformly in the logarithm.
      elastic: standard deviation of the elastic control points' displacements, in pixels.
      elastic_points: number of elastic control points along each axis, at least 4; or a pair.
        The points lie about size / (points - 3) pixels apart.
      brightness: greatest change of all values, of images in [0, 1].
      contrast: greatest relative change of contrast.
      saturation: greatest relative change of saturation (RGB).
      hue: greatest rotation of the colours, in degrees (RGB).
    """

    crop: tuple[int, int] = ranged(low=1, high=GREATEST_SIDE)
    translate: Number | Pair = ranged(0.0, low=0, high=GREATEST_SIDE)
    mirror: bool | tuple[bool, bool] = False
    quarter_turns: bool = False
    rotation: Number = ranged(0.0, low=0, high=180)
    shear: Number = ranged(0.0, low=0, high=10)
    scale: Pair = ranged((1.0, 1.0), low=0.01, high=100)
    elastic: Number = ranged(0.0, low=0, high=1000)
    elastic_points: int | tuple[int, int] = ranged(6, low=4, high=64)
    brightness: Number = ranged(0.0, low=0, high=1)
    contrast: Number = ranged(0.0, low=0, high=1)
    saturation: Number = ranged(0.0, low=0, high=1)
    hue: Number = ranged(0.0, low=0, high=180)

    def __post_init__(self):
        for name, field in _FIELDS.items():
            value = getattr(self, name)
            field.check("data.crop" if name == "crop" else f"data.augmentation.{name}", value)
            if field.length:
                pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
                object.__setattr__(self, name, pair)
        if self.scale[0] > self.scale[1]:
            raise ValueError(
                f"data.augmentation.scale must be (least, greatest), not {self.scale}."
            )
        if self.quarter_turns and self.crop[0] != self.crop[1]:
            raise ValueError(
                "data.augmentation.quarter_turns needs a square crop, but data.crop is "
                f"{self.crop}: turn it off, or change the crop."
            )

    def reach(self) -> tuple[int, int]:
        """Height and width of what a crop looks at: the source beyond it need not be there.

        Elastic displacements have no bound; twice their standard deviation is provided for.
        """
        h, w = (max(self.crop),) * 2 if self.quarter_turns else self.crop
        angle = np.deg2rad(np.linspace(0, min(self.rotation, 90), 91))
        cos, sin = np.cos(angle), np.sin(angle)
        # the corners' coordinates by the matrix of `warp.affine`, of either sign of the shear
        down = ((cos + sin * self.shear) * h + sin * w).max()
        across = ((sin + cos * self.shear) * h + cos * w).max()
        beyond = 2 * np.broadcast_to(self.translate, 2) + 4 * self.elastic
        extents = np.array([down, across]) / self.scale[0] + beyond
        height, width = (math.ceil(round(extent, 6)) for extent in extents)
        return height, width

    @classmethod
    def from_config(cls, config: Section, crop: tuple[int, int]) -> "Augmentation":
        """The augmentation that the section `data.augmentation` of a config describes.

        Args:
          config: the section, or one of the mappings below; a field it lacks is off.
          crop: height and width, `data.crop`.

        Returns:
          The augmentation.

        Raises:
          ValueError: for an unknown field or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(cls) if field.name != "crop"]
        for name in config:
            if name not in known:
                raise ValueError(
                    f"unknown field data.augmentation.{name}; known are {', '.join(known)}."
                )
        return cls(crop=crop, **config)


_FIELDS = fields_of(Augmentation)  # read off it once


def _section(**ranges: Any) -> Mapping[str, Any]:
    """All fields of `data.augmentation`; what is not given is off."""
    fields = dataclasses.fields(Augmentation)
    off = {field.name: field.default for field in fields if field.name != "crop"}
    return types.MappingProxyType({**off, **ranges})


# Lung nodules have no preferred orientation; the translation keeps them inside a crop of 128x128.
LIDC: Mapping[str, Any] = _section(
    translate=16.0,
    mirror=True,
    rotation=180.0,
    shear=0.1,
    scale=(0.8, 1.25),
    elastic=3.0,
    elastic_points=6,
)

# Nor have neurites. The crop is the whole patch of 256x256, so every shift brings in padding.
SNEMI3D: Mapping[str, Any] = _section(
    translate=32.0,
    mirror=True,
    rotation=180.0,
    shear=0.1,
    scale=(0.8, 1.25),
    elastic=4.0,
    elastic_points=8,
)

# Streets stay the right way up: mirrored across only and hardly rotated; D.3 adds random colour.
# The crop is the whole image of 512x1024; its control points lie about 171 pixels apart both ways.
CITYSCAPES: Mapping[str, Any] = _section(
    translate=(32.0, 64.0),
    mirror=(False, True),
    rotation=5.0,
    shear=0.05,
    scale=(0.8, 1.25),
    elastic=4.0,
    elastic_points=(6, 9),
    brightness=0.1,
    contrast=0.2,
    saturation=0.2,
    hue=10.0,
)
