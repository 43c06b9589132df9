"""The extrapolation task (Section 3.3, Fig. 5): a part of each image is hidden.

The prior receives image and segmentation of the visible part; the posterior receives the same and
the whole segmentation; the model learns to fill in the rest. All of it goes in as channels of one
image, so the network is the ordinary one with more image channels.
"""

from collections.abc import Sequence
from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hpunet_jax.arguments import check_array, check_choice, check_number

SIDES = ("top", "bottom", "left", "right")
HIDDEN = -1  # label of hidden pixels


def num_channels(image_channels: int, num_classes: int) -> int:
    """Channels of what `visible_input` makes: `model.image_channels` of such a model."""
    return image_channels + num_classes + 1


@no_type_check
def hide(
    labels: Int[np.ndarray, "B H W"], fraction: float | int, side: str = "top"
) -> Int[np.ndarray, "B H W"]:
    """The visible segmentation of images of which one side is hidden, as in Fig. 5.

    Args:
      labels: integers [B, H, W].
      fraction: how much of the rows (or columns) to hide, from 0 to 1.
      side: from which side, one of `SIDES`.

    Returns:
      int32 [B, H, W], -1 where hidden.

    Raises:
      ValueError: for another fraction or side, or labels of another type or shape.
    """
    labels = check_array("labels", labels, "iu", (None, None, None), "[B, H, W]")
    fraction, side = check_number("fraction", fraction, 0, 1), check_choice("side", side, SIDES)
    hidden = np.asarray(distances_to_sides(labels.shape[1:]))[SIDES.index(side)] < fraction
    return np.where(hidden, HIDDEN, labels.astype(np.int32))


def visible_input(
    images: Float[Array | np.ndarray, "B H W channels"],
    visible_labels: Int[Array | np.ndarray, "B H W"],
    num_classes: int,
) -> Float[Array, "B H W c"]:
    """What the network sees of partly hidden images.

    Args:
      images: float32 [B, H, W, channels] in [0, 1].
      visible_labels: integers [B, H, W], the class of each visible pixel, -1 where hidden.
      num_classes: number of classes C.

    Returns:
      float32 [B, H, W, channels + C + 1]: the image, its labels as one-hot vectors, and 1 where
      visible; where hidden, all channels are 0.
    """
    visible = jnp.asarray(visible_labels)[..., None] >= 0
    one_hot = jax.nn.one_hot(visible_labels, num_classes)  # of -1, it is 0 everywhere
    return jnp.concatenate([jnp.where(visible, images, 0.0), one_hot, visible], axis=-1)


def distances_to_sides(size: Sequence[int]) -> Float[Array, "4 H W"]:
    """How far each pixel lies from each of `SIDES`, in fractions of the image: [4, H, W]."""
    down, across = (jnp.linspace(0.5, length - 0.5, length) / length for length in size)
    down, across = jnp.meshgrid(down, across, indexing="ij")
    return jnp.stack([down, 1 - down, across, 1 - across])
