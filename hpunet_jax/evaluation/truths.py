"""What the instances of each data set are compared with (Sections 3.3 and 3.4, Appendix C).

Cityscapes is scored at the resolution that the model works at, half of the images'. Caravans and
trailers are void here, since they have no train id; the official script neither leaves them out nor
scores them.
"""

import numpy as np

from hpunet_jax.evaluation.instance_rows import Truth
from hpunet_jax.evaluation.sharing import Examples
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.average_precision import MIN_REGION
from hpunet_jax.tasks.targets import CAR

MIN_REGION_HALF = MIN_REGION // 4
"""Pixels that a car must have to count: as large as the official script's 100 at full size."""


def truth_of_instances(examples: Examples) -> Truth:
    """Of neurites, and of own instances.

    Args:
      examples: with `instances` uint16 [B, H, W], 0 for background.
    """
    nothing = np.zeros(examples["instances"].shape, bool)
    return Truth(examples["instances"], groups=nothing, void=nothing)


def truth_of_cars(examples: Examples) -> Truth:
    """Of the cars in street scenes.

    Args:
      examples: with `semantic` uint8 [B, H, W], the train ids with 255 for void, and `cars` uint16
        [B, H, W], 0 for none. A pixel of class car without a number belongs to a group.
    """
    semantic, cars = examples["semantic"], examples["cars"]
    is_car = semantic == CAR
    return Truth(np.where(is_car, cars, 0), groups=is_car & (cars == 0), void=semantic == IGNORED)
