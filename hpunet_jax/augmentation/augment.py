"""From a batch of examples to a training batch (Appendix D.1, "During training")."""

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hpunet_jax.augmentation import warp
from hpunet_jax.augmentation.batch import Batch
from hpunet_jax.augmentation.colour import random_colour
from hpunet_jax.augmentation.elastic import elastic_displacement
from hpunet_jax.augmentation.ranges import Augmentation
from hpunet_jax.labels import NO_TARGET
from hpunet_jax.tasks.intensity import unit_interval
from hpunet_jax.tasks.targets import check_annotations, draw_target


@no_type_check
def training_batch(
    key: Key[Array, ""],
    examples: Mapping[str, Any],
    augmentation: Augmentation,
    num_ids: int | None = None,
    *,
    num_classes: int | None = None,
) -> Batch:
    """Draws targets and augments a batch of examples.

    A pure function of its arguments; each image has its own key, so its result depends neither
    on the rest of the batch nor on how the batch is split over devices. All geometric changes
    are composed and sampled once, images bilinearly, targets at the nearest pixel. What lies
    beyond half a pixel outside of the source's pixel centres is padding: image and mask are 0.

    Args:
      key: a random key.
      examples: `image` [B, H, W, C] (uint8, uint16 or float in [0, 1]) and the annotations that
        `draw_target` takes, each with a leading B; other entries are not looked at.
      augmentation: the ranges.
      num_ids: number of labels that instances are mapped to, where there are instances.
      num_classes: number of classes of the model; None leaves it unchecked.

    Returns:
      The training batch.

    Raises:
      ValueError: if the examples lack an annotation, its type or shape does not fit, `num_ids`
        is missing, or the instances' labels are not as many as `num_classes`.
    """
    annotations = check_annotations(examples, num_ids, num_classes)
    images = examples["image"]
    keys = jax.random.split(key, images.shape[0])

    def one(key, image, annotations):
        target_key, warp_key, colour_key = jax.random.split(key, 3)
        source = image.shape[:2]
        target = draw_target(target_key, annotations, num_ids)
        coordinates = random_coordinates(warp_key, source, augmentation)
        visible = warp.inside(coordinates, source)
        label = jnp.where(visible, warp.sample_nearest(target, coordinates), NO_TARGET)
        warped = unit_interval(warp.sample_bilinear(image, coordinates), image.dtype)
        mean = jnp.mean(unit_interval(image, image.dtype))
        warped = random_colour(colour_key, warped, mean, augmentation)
        return Batch(
            image=jnp.where(visible[..., None], warped, 0.0),
            label=jnp.where(label == NO_TARGET, 0, label),
            mask=(label != NO_TARGET).astype(jnp.float32),
        )

    return jax.vmap(one)(keys, images, annotations)


def random_coordinates(
    key: Key[Array, ""], source: Sequence[int], augmentation: Augmentation
) -> Float[Array, "2 h w"]:
    """Draws a deformation: where each pixel of the crop looks in the source image.

    Args:
      key: a random key.
      source: height and width of the source image.
      augmentation: the ranges.

    Returns:
      float32 [2, h, w], coordinates (y, x) in source pixels.
    """
    keys, a = jax.random.split(key, 7), augmentation

    def within(key, limit):
        limit = jnp.asarray(limit, jnp.float32)
        return jax.random.uniform(key, limit.shape, minval=-limit, maxval=limit)

    turns = jax.random.randint(keys[0], (), 0, 4) if a.quarter_turns else jnp.int32(0)
    flips = jnp.where(jnp.array(a.mirror), jax.random.rademacher(keys[1], (2,), jnp.float32), 1.0)
    log_scale = jnp.log(jnp.array(a.scale))
    matrix = warp.affine(
        turns,
        flips,
        jnp.deg2rad(within(keys[2], a.rotation)),
        within(keys[3], a.shear),
        jnp.exp(jax.random.uniform(keys[4], minval=log_scale[0], maxval=log_scale[1])),
    )
    shift = jnp.round(within(keys[5], a.translate))  # whole pixels do not blur
    displacement = jnp.zeros((2, *a.crop))
    if a.elastic:
        down, across = np.broadcast_to(a.elastic_points, 2).tolist()
        displacement = elastic_displacement(keys[6], a.crop, (down, across), a.elastic)
    return warp.source_coordinates(matrix, shift, displacement, source)
