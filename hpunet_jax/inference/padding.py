"""Padding images of any size to sizes that the network takes."""

import numpy as np


def pad_to_multiple(image: np.ndarray, multiple: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Pads an image to a size that the network can halve as often as it does.

    Each side is continued by its mirror image (half the padding before, half behind), so that the
    network sees no edge where there is none: an object at the border goes on as itself. What it
    predicts there is cut off again.

    Args:
      image: [H, W, channels].
      multiple: height and width will be multiples of it, the model's `network.size_multiple`.

    Returns:
      The padded image, and the slices that cut [H, W] out of a map of its size.
    """
    before = [(-length % multiple) // 2 for length in image.shape[:2]]
    after = [-length % multiple - b for length, b in zip(image.shape[:2], before, strict=True)]
    padding = [*zip(before, after, strict=True), (0, 0)]
    down, across = (slice(b, b + n) for b, n in zip(before, image.shape[:2], strict=True))
    return np.pad(image, padding, mode="symmetric"), (down, across)
