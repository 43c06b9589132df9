"""What an example of micrographs with instances holds, in all data sets that have such."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8, UInt16

from hpunet_jax.data.tensorflow import tfds


def instance_features(side: int) -> tfds.features.FeaturesDict:
    """Features of grey images with the ids of instances.

    Args:
      side: height and width in pixels.

    Returns:
      `image` uint8 [side, side, 1], `instances` uint16 [side, side], 0 for background, and `id`.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(side, side, 1), encoding_format="png"),
            "instances": tfds.features.Tensor(shape=(side, side), dtype=np.uint16, encoding="zlib"),
            "id": tfds.features.Text(),
        }
    )


def patch_examples(
    image: UInt8[np.ndarray, "H W 1"],
    instances: UInt16[np.ndarray, "H W"],
    slice_name: str,
    side: int,
    stride: int,
    digits: int,
) -> Iterator[tuple[str, dict[str, np.ndarray | str]]]:
    """Cuts a slice into the examples of its patches, row by row.

    Args:
      image: the micrograph.
      instances: its ids.
      slice_name: such as "z07".
      side: height and width of a patch.
      stride: pixels from one patch to the next; below `side` they overlap.
      digits: of the places in names.

    Yields:
      The patch's name, such as "z07_y000_x064", and its features.
    """
    for y in range(0, image.shape[0] - side + 1, stride):
        for x in range(0, image.shape[1] - side + 1, stride):
            place = slice(y, y + side), slice(x, x + side)
            name = f"{slice_name}_y{y:0{digits}d}_x{x:0{digits}d}"
            yield name, {"image": image[place], "instances": instances[place], "id": name}
