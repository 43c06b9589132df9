"""Writing maps of labels."""

import os

import numpy as np
import PIL.Image

from hpunet_jax.files import write_aside


def write_labels(path: str | os.PathLike[str], labels: np.ndarray) -> None:
    """Writes a map of labels as a grey PNG: each pixel's value is its class or instance.

    Args:
      path: the file.
      labels: integers [H, W], 0 to 65535; uint8 are written with 8 bits, all others with 16.

    Raises:
      ValueError: if 16 bits cannot hold the labels.
    """
    labels = np.asarray(labels)
    if labels.dtype != np.uint8:
        if labels.size and not 0 <= labels.min() <= labels.max() < 2**16:
            raise ValueError(
                f"{path}: labels from {labels.min()} to {labels.max()} do not fit into 16 bits."
            )
        labels = labels.astype(np.uint16)
    with write_aside(path) as aside:
        PIL.Image.fromarray(labels).save(aside)
