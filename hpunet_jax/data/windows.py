"""Training windows from anywhere in images of any size (for own data, `data.whole_images`).

A training crop lies anywhere in an image; a share of the crops has in it a pixel that some grader
marked, as thin and rare structures would hardly be seen otherwise. What is cut out is a window
around the crop, as large as the augmentation looks beyond it. Where a window leaves its image, the
image is continued by its mirror image, as it is when it is sampled (inference/padding.py), and
masks are ignored; maps of instances are continued like the image.

Windows are a stateless function of (seed, step), as the order of the examples is.
"""

import dataclasses
from typing import Any

import ml_collections
import numpy as np
from jaxtyping import Float64, Int64

from hpunet_jax.augmentation import Augmentation
from hpunet_jax.data.tensorflow import tf
from hpunet_jax.labels import IGNORED

Tensor = Any  # a tf.Tensor, whose operators have no types

MAPS = ("image", "masks", "instances")
"""The features [H, W, ...] of images of any size."""

_DRAWS = 4  # numbers in [0, 1) for a window: whether of marked pixels, which pixel, down, across


@dataclasses.dataclass(frozen=True)
class Windows:
    """How windows are cut out of images.

    Attributes:
      crop: height and width of the training crops. Those of larger images lie inside of them.
      size: height and width of the windows, with the crop in their middle (`tasks.crop`).
      foreground_share: the share of the crops that has a marked pixel in it, which is any of the
        image's with equal chances; of images in which nothing is marked, all crops are anywhere.
    """

    crop: tuple[int, int]
    size: tuple[int, int]
    foreground_share: float

    @classmethod
    def from_config(cls, config: ml_collections.ConfigDict) -> "Windows | None":
        """The windows that the section `data` of a config asks for; None: images as they are."""
        data = config.data
        if not data.get("whole_images", False):
            return None
        crop = tuple(data.crop)
        augmentation = Augmentation.from_config(data.augmentation, crop=crop)
        return cls(crop, augmentation.reach(), data.get("foreground_share", 1 / 3))

    def draws(
        self, seed: int, steps: Int64[np.ndarray, " steps"], batch_size: int
    ) -> Float64[np.ndarray, "steps batch_size draws"]:
        """The random numbers of some steps' windows, each step's drawn from (seed, step)."""
        shape = (batch_size, _DRAWS)
        numbers = [np.random.default_rng([seed, step, _DRAWS]).random(shape) for step in steps]
        return np.stack(numbers)

    def cut(self, example: dict[str, Tensor], draws: Tensor) -> dict[str, Tensor]:
        """Cuts the window of an example out of its maps.

        Args:
          example: `image` [H, W, C] and `masks` [H, W, G] or `instances` [H, W].
          draws: float64 [4], numbers in [0, 1).

        Returns:
          The example with maps of `size`.
        """
        image = tf.shape(example["image"])[:2]
        corner = self._crop_corner(example, image, draws)
        corner -= [(n - m) // 2 for n, m in zip(self.size, self.crop, strict=True)]
        (rows, above), (columns, beside) = (
            _mirrored(corner[axis] + tf.range(self.size[axis]), image[axis]) for axis in (0, 1)
        )
        outside = above[:, None] | beside[None, :]

        def window(name: str) -> Tensor:
            pixels = tf.gather(tf.gather(example[name], rows), columns, axis=1)
            if name != "masks":
                return pixels
            return tf.where(outside[..., None], tf.constant(IGNORED, tf.uint8), pixels)

        maps = [name for name in MAPS if name in example]
        return {**example, **{name: window(name) for name in maps}}

    def _crop_corner(self, example: dict[str, Tensor], image: Tensor, draws: Tensor) -> Tensor:
        """The top left pixel of the crop, int32 [2]; negative where the image is smaller."""
        crop = tf.constant(self.crop)
        free = tf.maximum(image - crop, 0)

        def anywhere() -> Tensor:
            return tf.cast(draws[2:] * tf.cast(free + 1, tf.float64), tf.int32)

        def around_marked() -> Tensor:
            marked = tf.cast(tf.where(_marked(example)), tf.int32)
            number = tf.shape(marked)[0]

            def around() -> Tensor:
                pixel = marked[tf.cast(draws[1] * tf.cast(number, tf.float64), tf.int32)]
                before = tf.cast(draws[2:] * tf.cast(crop, tf.float64), tf.int32)
                return tf.clip_by_value(pixel - before, 0, free)

            return tf.cond(number > 0, around, anywhere)

        corner = tf.cond(draws[0] < self.foreground_share, around_marked, anywhere)
        return tf.where(image < crop, -((crop - image) // 2), corner)


def _marked(example: dict[str, Tensor]) -> Tensor:
    """bool [H, W]: where some grader marked something, or there is an instance."""
    if "masks" not in example:
        return example["instances"] > 0
    masks = example["masks"]
    return tf.reduce_any((masks != 0) & (masks != IGNORED), axis=-1)


def _mirrored(places: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """Places beyond 0 to length - 1 as those of their mirror images, and which these are."""
    within = places % (2 * length)
    inside = tf.minimum(within, 2 * length - 1 - within)
    return inside, (places < 0) | (places >= length)
