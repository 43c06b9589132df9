"""Padding images of any size to sizes that the network takes."""

from collections.abc import Sequence

import numpy as np


def pad_to_multiple(image: np.ndarray, multiple: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Pads an image to a size that the network can halve as often as it does, as `pad_to` does.

    Args:
      image: [H, W, channels].
      multiple: height and width will be multiples of it, the model's `network.size_multiple`.

    Returns:
      The padded image, and the slices that cut [H, W] out of a map of its size.
    """
    return pad_to(image, [length + -length % multiple for length in image.shape[:2]])


def pad_to(image: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Pads an image to a size.

    Each side is continued by its mirror image (half the padding before, half behind), so that the
    network sees no edge where there is none: an object at the border goes on as itself. What it
    predicts there is cut off again.

    Args:
      image: [H, W, ...].
      size: height and width, not less than the image's.

    Returns:
      The padded image, and the slices that cut [H, W] out of a map of its size.
    """
    before = [(more - length) // 2 for more, length in zip(size, image.shape[:2], strict=True)]
    inside = [slice(b, b + length) for b, length in zip(before, image.shape[:2], strict=True)]
    padding = [(s.start, more - s.stop) for s, more in zip(inside, size, strict=True)]
    padding += [(0, 0)] * (image.ndim - 2)
    return np.pad(image, padding, mode="symmetric"), (inside[0], inside[1])
