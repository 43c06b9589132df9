"""The evaluation protocol of SNEMI3D (Section 3.3, Appendices B.2, B.3, C, G and H).

Each test image is scored by the Rand error of its instances, clustered from 16 samples with Hamming
distances up to 16, and by the IoU of its reconstruction, of one draw of random labels. The rows
are described in `evaluation.instances`. Own instances are scored likewise, besides by the average
precision of those of some size, and over whole images.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from hpunet_jax.evaluation import instances
from hpunet_jax.evaluation.instance_rows import Truth
from hpunet_jax.evaluation.model import SegmentationModel
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import Examples
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.inference.tiles import TILE

OPTIONS = SegmentOptions(num_samples=16, threshold=16, no_neighbour="keep")
"""How the paper turns samples into instances."""


def evaluate(
    model: SegmentationModel,
    batches: Iterable[Examples],
    options: SegmentOptions = OPTIONS,
    *,
    crop: tuple[int, int] | None,
    num_ids: int | None,
    min_region: int | None = None,
    num_images: int | None = None,
    progress: bool = True,
    tile: Sequence[int] = TILE,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` [B, H, W, channels] and `instances` uint16 [B, H, W], 0 for
        background. Only the last batch may be smaller than the others.
      options: how samples become instances.
      crop: height and width of the centre crop that is evaluated; None: whole images, each a batch
        of its own.
      num_ids: number of labels that instances are mapped to at random, the paper's 15.
      min_region: pixels that an instance must have to count in the average precision; None: no
        average precision.
      num_images: number of images, for the progress bar.
      progress: whether to show the bar.
      tile: greatest height and width that the model sees of a whole image at once.

    Returns:
      Scores with `reconstruction_iou` and `rand_error`, and with `min_region` the detections that
      make the average precision.

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
        tile=tile,
        progress=progress,
    )


def _truth(annotations: Examples) -> Truth:
    if "instances" not in annotations:
        raise ValueError(
            "this protocol scores `instances`, which the data set has not: set "
            "evaluation.protocol to 'cityscapes' for cars in street scenes, to 'graders' for "
            "graders."
        )
    nothing = np.zeros(annotations["instances"].shape, bool)
    return Truth(annotations["instances"], groups=nothing, void=nothing)
