"""The centre crop that evaluation looks at (Section 3.2: lesion-centred crops of 128x128)."""

import jax
import numpy as np


def centre_crop(
    array: np.ndarray | jax.Array, crop: tuple[int, int], axis: int = 1
) -> np.ndarray | jax.Array:
    """Cuts the centre out of a batch of images or label maps.

    Args:
      array: [..., H, W, ...].
      crop: height and width of the result.
      axis: which axis is H; W is the next.

    Returns:
      [..., height, width, ...].

    Raises:
      ValueError: if the images are smaller than the crop.
    """
    size = array.shape[axis : axis + 2]
    if any(n < c for n, c in zip(size, crop, strict=True)):
        raise ValueError(
            f"images of {size[0]}x{size[1]} pixels cannot be cropped to data.crop="
            f"{tuple(crop)}; configure a smaller crop."
        )
    index = [slice(None)] * array.ndim
    for offset, (n, c) in enumerate(zip(size, crop, strict=True)):
        index[axis + offset] = slice((n - c) // 2, (n - c) // 2 + c)
    return array[tuple(index)]
