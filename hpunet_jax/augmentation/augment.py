"""From a batch of examples to a training batch (Appendix D.1, "During training")."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from hpunet_jax.augmentation import warp
from hpunet_jax.augmentation.batch import Batch
from hpunet_jax.augmentation.colour import random_colour
from hpunet_jax.augmentation.elastic import elastic_displacement
from hpunet_jax.augmentation.targets import IGNORE, draw_target


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Ranges of the random augmentation; the defaults change nothing but the size.

    Attributes:
      crop: height and width of the training images.
      translate: greatest shift of the crop from the image's centre, in pixels, along each axis.
      mirror: whether to mirror each axis at random.
      quarter_turns: whether to turn by a random multiple of 90 degrees (square crops only).
      rotation: greatest rotation, in degrees, to either side.
      shear: greatest shear.
      scale: least and greatest magnification, drawn uniformly in the logarithm.
      elastic: standard deviation of the elastic control points' displacements, in pixels.
      elastic_points: number of elastic control points along each axis, at least 4.
      brightness: greatest change of all values.
      contrast: greatest relative change of contrast.
      saturation: greatest relative change of saturation (RGB).
      hue: greatest rotation of the colours, in degrees (RGB).
    """

    crop: tuple[int, int]
    translate: float = 0.0
    mirror: bool = False
    quarter_turns: bool = False
    rotation: float = 0.0
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    elastic: float = 0.0
    elastic_points: int = 6
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        if self.quarter_turns and self.crop[0] != self.crop[1]:
            raise ValueError(
                f"data.augmentation.quarter_turns needs square crops, not {self.crop}; turn it "
                "off."
            )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"data.augmentation.scale must be (least, greatest), both positive, not "
                f"{self.scale}."
            )
        if self.elastic_points < 4:
            raise ValueError(
                f"data.augmentation.elastic_points must be at least 4, not {self.elastic_points}."
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], crop: tuple[int, int]) -> "Augmentation":
        """The augmentation that the section `data.augmentation` of a config describes.

        Raises:
          ValueError: for an unknown field.
        """
        known = {field.name for field in dataclasses.fields(cls)} - {"crop"}
        if unknown := sorted(set(config) - known):
            raise ValueError(
                f"unknown field data.augmentation.{unknown[0]}; known are "
                f"{', '.join(sorted(known))}."
            )
        return cls(crop=tuple(crop), **config)


def training_batch(
    key: jax.Array,
    examples: Mapping[str, jax.Array],
    augmentation: Augmentation,
    num_ids: int | None = None,
) -> Batch:
    """Draws targets and augments a batch of examples.

    A pure function of its arguments; each image has its own key, so its result depends neither
    on the rest of the batch nor on how the batch is split over devices. All geometric changes
    are composed and sampled once, images bilinearly, targets at the nearest pixel.

    Args:
      key: a random key.
      examples: `image` [B, H, W, C] (uint8, uint16 or float in [0, 1]) and the annotations that
        `draw_target` takes, each with a leading B.
      augmentation: the ranges.
      num_ids: number of labels that instances are mapped to, where there are instances.

    Returns:
      The training batch.
    """
    keys = jax.random.split(key, examples["image"].shape[0])

    def one(key, example):
        target_key, warp_key, colour_key = jax.random.split(key, 3)
        target = draw_target(target_key, example, num_ids)
        image, target = random_warp(warp_key, example["image"], target, augmentation)
        image = image / _greatest(example["image"].dtype)
        colours = (
            augmentation.brightness,
            augmentation.contrast,
            augmentation.saturation,
            augmentation.hue,
        )
        if any(colours):
            image = random_colour(colour_key, image, *colours)
        mask = target != IGNORE
        return Batch(image, jnp.where(mask, target, 0), mask.astype(jnp.float32))

    return jax.vmap(one)(keys, dict(examples))


def random_warp(
    key: jax.Array, image: jax.Array, target: jax.Array, augmentation: Augmentation
) -> tuple[jax.Array, jax.Array]:
    """Deforms and crops an image and its target alike.

    Args:
      key: a random key.
      image: [H, W, C].
      target: int32 [H, W].
      augmentation: the ranges.

    Returns:
      Image float32 [h, w, C], 0 outside of the source; target int32 [h, w], `IGNORE` there.
    """
    keys = jax.random.split(key, 7)
    a, source = augmentation, image.shape[:2]

    def within(key, limit, shape=()):
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    turns = jax.random.randint(keys[0], (), 0, 4) if a.quarter_turns else jnp.int32(0)
    flips = jax.random.rademacher(keys[1], (2,), jnp.float32) if a.mirror else jnp.ones(2)
    log_scale = jax.random.uniform(
        keys[4], minval=jnp.log(a.scale[0]), maxval=jnp.log(a.scale[1])
    )
    matrix = warp.affine(
        turns,
        flips,
        jnp.deg2rad(within(keys[2], a.rotation)),
        within(keys[3], a.shear),
        jnp.exp(log_scale),
    )
    displacement = jnp.zeros((2, *a.crop))
    if a.elastic:
        displacement = elastic_displacement(keys[6], a.crop, a.elastic_points, a.elastic)
    shift = jnp.round(within(keys[5], a.translate, (2,)))  # whole pixels do not blur
    coordinates = warp.source_coordinates(matrix, shift, displacement, source)
    visible = warp.inside(coordinates, source)
    image = jnp.where(visible[..., None], warp.sample_bilinear(image, coordinates), 0.0)
    return image, jnp.where(visible, warp.sample_nearest(target, coordinates), IGNORE)


def _greatest(dtype) -> float:
    return float(jnp.iinfo(dtype).max) if jnp.issubdtype(dtype, jnp.integer) else 1.0
