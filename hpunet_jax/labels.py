"""Label maps: the two values of pixels that are left out, and the numbers of instances."""

import numpy as np
from jaxtyping import Int64, Integer

IGNORED = 255
"""In the uint8 maps of data sets, graders and files. A grader whose whole plane is ignored did not
annotate the image."""

NO_TARGET = -1
"""In int32 targets of training (`tasks.targets`), whose classes may be more than 255."""


def numbered(
    instances: Integer[np.ndarray, "..."],
) -> tuple[Integer[np.ndarray, " I"], Int64[np.ndarray, " pixels"]]:
    """The ids that occur in a map of instances, and the place of each pixel's among them.

    Args:
      instances: integers of any shape, 0 for background.

    Returns:
      The ids but 0, ascending, and for each pixel the number of its id from 1, 0 for background.
    """
    values, number = np.unique(instances, return_inverse=True)
    places = np.cumsum(values != 0, dtype=np.int64)
    places[values == 0] = 0
    return values[values != 0], places[number.ravel()]
