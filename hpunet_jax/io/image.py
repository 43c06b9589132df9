"""An image as the programs see it: its values, and the file it came from."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Image:
    """An image or a map of labels.

    Attributes:
      array: an image: uint8 or uint16 [H, W, channels], 1 (grey) or 3 (RGB) of them; labels:
        integers [H, W].
      source: the file, for messages.
      turned: whether the file said that it is to be turned or mirrored (EXIF orientation), which
        was done.
    """

    array: np.ndarray
    source: str
    turned: bool = False


def fit_channels(image: Image, channels: int) -> np.ndarray:
    """An image's values for a model of grey (1 channel) or RGB (3 channels) images.

    Grey images become RGB for a model of RGB; RGB images become grey only where they are grey
    already, that is, where the three channels are equal.

    Args:
      image: the image.
      channels: 1 or 3.

    Returns:
      uint8 or uint16 [H, W, channels].

    Raises:
      ValueError: if the image has colours, but the model knows none; it names the file.
    """
    pixels = image.array
    if pixels.shape[-1] == channels:
        return pixels
    if pixels.shape[-1] == 1:
        return np.repeat(pixels, channels, axis=-1)
    if (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"{image.source} has colours, but the model was trained on images of {channels} "
            "channel(s): convert it to grey values like those of the training images."
        )
    return pixels[..., :1]
