"""An image as the programs see it: its values, and the file it came from."""

import dataclasses

import numpy as np

from hpunet_jax.io.volumes import Volume


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


@dataclasses.dataclass(frozen=True, eq=False)
class Slices:
    """An image file or a volume as its slices.

    Attributes:
      array: an image: uint8 or uint16 [D, h, w, channels], prepared for a network, 1 (grey) or 3
        (RGB) channels; labels: integers [D, H, W], as they are in the file.
      source: the file or folder, for messages.
      size: height and width in the file.
      turned: whether the file said that it is to be turned or mirrored, which was done.
      volume: the volume as it was read, whose geometry results get; None of a single picture.
      stored: of an image, its values as they are in the file, [D, H, W, channels].
      values: of an image, the least and greatest value in the file's units.
      ends: of an image, the values that became 0 and 1, the greater first where the file says that
        its least value is white; None: 0 and the type's greatest.
    """

    array: np.ndarray
    source: str
    size: tuple[int, ...]
    turned: bool = False
    volume: Volume | None = None
    stored: np.ndarray | None = None
    values: tuple[float, float] = (0.0, 0.0)
    ends: tuple[float, float] | None = None

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Mm from row to row and from column to column in the file; None: it does not know."""
        return self.volume.pixel_spacing if self.volume else None


def fit_channels(image: Image | Slices, channels: int) -> np.ndarray:
    """An image's values for a model of grey (1 channel) or RGB (3 channels) images.

    Grey images become RGB for a model of RGB; RGB images become grey only where they are grey
    already, that is, where the three channels are equal.

    Args:
      image: the image, or its slices.
      channels: 1 or 3.

    Returns:
      uint8 or uint16 [H, W, channels], or [D, H, W, channels].

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
