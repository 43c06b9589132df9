"""Training for extrapolation (Section 3.3, Fig. 5): a random part of each image is hidden."""

import dataclasses
from typing import no_type_check

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key

from hpunet_jax.augmentation.batch import Batch
from hpunet_jax.fields import Number, Section, fields_of, ranged
from hpunet_jax.tasks.extrapolation import (
    HIDDEN,
    SIDES,
    distances_to_sides,
    num_channels,
    visible_input,
)


@no_type_check
@dataclasses.dataclass(frozen=True)
class Extrapolation:
    """How much of a training image is hidden: all beyond one straight line, from one side.

    Attributes:
      hidden: least and greatest fraction of the rows (or columns) to hide, drawn uniformly.
      sides: the sides from which to hide, drawn uniformly; Fig. 5 shows "top".
    """

    hidden: tuple[Number, Number] = ranged((0.3, 0.7), above=0, below=1)
    sides: tuple[str, ...] = ranged(SIDES, choices=SIDES, length=(1, len(SIDES)))

    def __post_init__(self):
        for name, field in _FIELDS.items():
            field.check(f"data.extrapolation.{name}", getattr(self, name))
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.hidden[0] > self.hidden[1]:
            raise ValueError(
                "data.extrapolation.hidden must be the least and the greatest fraction of an image "
                f"to hide, not {self.hidden}."
            )

    @classmethod
    def from_config(cls, section: Section | None) -> "Extrapolation | None":
        """What the section `data.extrapolation` of a config describes; None if it is missing.

        Raises:
          ValueError: for an unknown field or a value out of range.
        """
        if section is None:
            return None
        known = [field.name for field in dataclasses.fields(cls)]
        for name in section:
            if name not in known:
                raise ValueError(
                    f"unknown field data.extrapolation.{name}; known are {', '.join(known)}."
                )
        return cls(**section)


_FIELDS = fields_of(Extrapolation)  # read off it once


def hide_batch(
    key: Key[Array, ""],
    batch: Batch,
    extrapolation: Extrapolation,
    *,
    num_classes: int,
    model_channels: int | None = None,
) -> Batch:
    """Hides a random part of each image of a training batch.

    Label and mask stay as they are: the loss is on all valid pixels, so that the model also
    repeats the visible segmentation, and its samples are complete segmentations. Padding and
    ignored pixels, whose label nobody knows, count as hidden.

    Args:
      key: a random key.
      batch: the training batch.
      extrapolation: how much is hidden.
      num_classes: number of classes C of the model.
      model_channels: `model.image_channels`; None leaves it unchecked.

    Returns:
      The batch with images [B, H, W, channels + C + 1] of `visible_input`.

    Raises:
      ValueError: if the images have not as many channels as the model takes.
    """
    _, height, width, _ = batch.image.shape
    channels = num_channels(batch.image.shape[-1], num_classes)
    if model_channels not in (None, channels):
        raise ValueError(
            f"model.image_channels is {model_channels}, but with data.extrapolation a model of "
            f"{num_classes} classes on images of {batch.image.shape[-1]} channel(s) needs "
            f"{channels}: the image, one channel for each class, and what is visible."
        )
    keys = jax.random.split(key, len(batch.image))
    hidden = jax.vmap(lambda key: random_hidden(key, (height, width), extrapolation))(keys)
    visible = ~hidden & (batch.mask > 0)
    labels = jnp.where(visible, batch.label, HIDDEN)
    return batch._replace(image=visible_input(batch.image, labels, num_classes))


def random_hidden(
    key: Key[Array, ""], size: tuple[int, int], extrapolation: Extrapolation
) -> Bool[Array, "H W"]:
    """Draws the hidden part of one image.

    Args:
      key: a random key.
      size: height H and width W.
      extrapolation: how much is hidden.

    Returns:
      bool [H, W], True where hidden.
    """
    side_key, fraction_key = jax.random.split(key)
    sides = jnp.array([SIDES.index(side) for side in extrapolation.sides])
    side = jax.random.choice(side_key, sides)
    least, greatest = extrapolation.hidden
    fraction = jax.random.uniform(fraction_key, minval=least, maxval=greatest)
    return distances_to_sides(size)[side] < fraction
