"""What augmentation hands to the training step."""

from typing import NamedTuple

from jaxtyping import Array, Float32, Int32


class Batch(NamedTuple):
    """A training batch.

    Attributes:
      image: float32 [B, H, W, C] in [0, 1].
      label: int32 [B, H, W], the class of every pixel; 0 where `mask` is 0.
      mask: float32 [B, H, W], 0 for padding and for pixels to ignore, else 1.
    """

    image: Float32[Array, "B H W C"]
    label: Int32[Array, "B H W"]
    mask: Float32[Array, "B H W"]
