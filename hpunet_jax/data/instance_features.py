"""What an example of micrographs with instances holds, in all data sets that have such."""

import numpy as np

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
