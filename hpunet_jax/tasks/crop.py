"""The centre crop, without augmentation, that evaluation looks at."""

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Array, Shaped

from hpunet_jax.arguments import check_integer, shown
from hpunet_jax.tasks.intensity import unit_interval


@no_type_check
def centre_crop(
    maps: Shaped[np.ndarray | Array, "B H W ..."], crop: Sequence[int]
) -> Shaped[np.ndarray | Array, "B h w ..."]:
    """The middle of a batch of images; a pixel nearer to the top left if it does not come out.

    It is what training sees if the augmentation changes nothing.

    Args:
      maps: [B, H, W, ...], images, masks or labels.
      crop: height and width of the result.

    Returns:
      A view of [B, height, width, ...]; of the same kind of array.

    Raises:
      ValueError: if the crop is no height and width, or larger than the images.
    """
    if np.shape(crop) != (2,):
        raise ValueError(f"crop must be a height and a width, not {shown(crop)}.")
    (height, width), (h, w) = maps.shape[1:3], (check_integer("crop", n, 1) for n in crop)
    if h > height or w > width:
        raise ValueError(
            f"the images are {height}x{width}, smaller than the crop of {h}x{w}: choose a smaller "
            "data.crop."
        )
    top, left = (height - h) // 2, (width - w) // 2
    return maps[:, top : top + h, left : left + w]


def evaluation_crop(examples: Mapping[str, Any], crop: Sequence[int]) -> dict[str, Any]:
    """Crops images and annotations of a batch of examples alike; the annotations stay undecided.

    Args:
      examples: `image` [B, H, W, C] (uint8, uint16 or float in [0, 1]), maps [B, H, W, ...] such
        as `masks`, `instances`, `semantic` and `cars`, and other entries.
      crop: height and width of the result.

    Returns:
      The examples with the maps cropped, `image` float32 in [0, 1], the other entries as they were.

    Raises:
      ValueError: if the crop is no height and width, or larger than the images.
    """
    size = examples["image"].shape[:3]
    cropped = {
        name: centre_crop(value, crop) if np.shape(value)[:3] == size else value
        for name, value in examples.items()
    }
    return {**cropped, "image": unit_interval(cropped["image"], examples["image"].dtype)}
