"""Numbers of instances, for files and id types of limited range."""

import numpy as np

from hpunet_jax.labels import numbered


def renumber(instances: np.ndarray, dtype: type[np.integer] = np.int32) -> np.ndarray:
    """Numbers instances 1, 2, ... without gaps, in the order of their ids; 0 stays background.

    Args:
      instances: integers of any shape, 0 for background.
      dtype: integer type of the result, e.g. np.uint16 for a 16-bit PNG.

    Returns:
      Of the shape of `instances`.

    Raises:
      ValueError: if there are more instances than the type can number.
    """
    ids, number = numbered(instances)
    count, most = len(ids), np.iinfo(dtype).max
    if count > most:
        raise ValueError(
            f"there are {count:,} instances, but {dtype.__name__} can number {most:,} only: "
            "choose a wider type, or clean up and raise the clustering threshold."
        )
    return number.astype(dtype).reshape(np.shape(instances))
