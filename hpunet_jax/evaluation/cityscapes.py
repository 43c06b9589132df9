"""The evaluation protocol of Cityscapes cars (Section 3.4, Appendices B.2, B.3, C, G and H).

Each test image is scored by the Rand error and the average precision of its cars, clustered from
32 samples with Hamming distances up to 32, and by the IoU of its reconstruction over the car
classes, of one draw of random labels. The rows are described in `evaluation.instances`.

Images are scored at the resolution that the model works at, half of Cityscapes'. A car must have 25
pixels to count, as large as the 100 pixels that the official script asks for at full resolution.
Caravans and trailers are void here, since they have no train id; the official script neither
leaves them out nor scores them.
"""

from collections.abc import Iterable

import numpy as np

from hpunet_jax.evaluation import instances
from hpunet_jax.evaluation.instance_rows import Truth
from hpunet_jax.evaluation.model import SegmentationModel
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import Examples
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.average_precision import MIN_REGION
from hpunet_jax.tasks.targets import CAR

OPTIONS = SegmentOptions(num_samples=32, threshold=32, no_neighbour="background")
"""How the paper turns samples into instances."""

MIN_REGION_HALF = MIN_REGION // 4
"""Pixels that a car must have to count, at half resolution."""


def evaluate(
    model: SegmentationModel,
    batches: Iterable[Examples],
    options: SegmentOptions = OPTIONS,
    *,
    crop: tuple[int, int],
    num_ids: int | None,
    min_region: int = MIN_REGION_HALF,
    num_images: int | None = None,
    progress: bool = True,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` [B, H, W, 3], `semantic` uint8 [B, H, W], the train ids with
        255 for void, and `cars` uint16 [B, H, W], 0 for none. A pixel of class car without a number
        belongs to a group. Only the last batch may be smaller than the others.
      options: how samples become instances.
      crop: height and width of the centre crop that is evaluated.
      num_ids: number of labels that cars are mapped to at random, the paper's 5.
      min_region: pixels that a car must have to count in the average precision.
      num_images: number of images, for the progress bar.
      progress: whether to show the bar.

    Returns:
      Scores with `reconstruction_iou` and `rand_error`, and the detections that make the average
      precision.

    Raises:
      ValueError: if there are no images, or the examples do not fit the model or the protocol.
    """
    return instances.evaluate(
        model,
        batches,
        _truth,
        options,
        crop=crop,
        num_ids=num_ids,
        min_region=min_region,
        num_images=num_images,
        progress=progress,
    )


def _truth(annotations: Examples) -> Truth:
    if "cars" not in annotations:
        raise ValueError(
            "the protocol 'cityscapes' scores `semantic` and `cars`, which this data set has not: "
            "set evaluation.protocol to 'snemi3d' for instances alone, to 'graders' for graders."
        )
    semantic, cars = annotations["semantic"], annotations["cars"]
    is_car = semantic == CAR
    return Truth(np.where(is_car, cars, 0), groups=is_car & (cars == 0), void=semantic == IGNORED)
