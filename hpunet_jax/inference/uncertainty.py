"""What the samples of an image disagree about: maps of pixels, and one number for the image.

The entropy of the samples' mean is a pixel's whole uncertainty. It is the sum of the samples' own
mean entropy, and of the mutual information between the pixel's class and the latents: what samples
disagree about. The mean pairwise IoU of the samples tells how sure the model is of the image as a
whole.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are used
from jaxtyping import Float

from hpunet_jax.inference.hypotheses import iou_distances


class Uncertainty(NamedTuple):
    """Uncertainty of an image. Entropies are in nats.

    Attributes:
      mean: the samples' mean probability of each class.
      std: its standard deviation over the samples.
      entropy: of the mean.
      expected_entropy: the mean of the samples' entropies.
      mutual_information: the difference of these two, which is never negative.
      agreement: mean IoU of each two samples, averaged over the classes that either has; 1 where
        there is only one sample.
    """

    mean: Float[np.ndarray, "H W C"]
    std: Float[np.ndarray, "H W C"]
    entropy: Float[np.ndarray, "H W"]
    expected_entropy: Float[np.ndarray, "H W"]
    mutual_information: Float[np.ndarray, "H W"]
    agreement: float


def uncertainty(probabilities: Float[np.ndarray, "N H W C"], classes: Sequence[int]) -> Uncertainty:
    """The uncertainty that samples of an image show.

    Args:
      probabilities: of each sample.
      classes: the foreground classes.

    Returns:
      The maps, and the samples' agreement.
    """
    mean = probabilities.mean(axis=0)
    entropy = scipy.special.entr(mean).sum(axis=-1)
    expected = np.mean(
        [scipy.special.entr(sample).sum(axis=-1) for sample in probabilities], axis=0
    )
    similar = 1 - iou_distances(probabilities.argmax(axis=-1), classes)
    pairs = similar[np.triu_indices(len(similar), k=1)]
    return Uncertainty(
        mean=mean,
        std=probabilities.std(axis=0),
        entropy=entropy,
        expected_entropy=expected,
        mutual_information=np.maximum(entropy - expected, 0),
        agreement=float(pairs.mean()) if len(pairs) else 1.0,
    )
