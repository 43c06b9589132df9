"""Appendix B.1: agreement of two sets of segmentations: GED², Hungarian-matched IoU, best of N.

Everything here works on matrices of pairwise IoUs (`iou.pairwise_iou`), never on pixels. All
matrices of an image must be over the same pixels: where graders ignore some, `gradings.Gradings`
sees to it. `present` says which graders annotated an image; the others are as if they did not
exist.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize
from jaxtyping import Bool, Float, Float64


class Agreement(NamedTuple):
    """Scores of each image.

    Attributes:
      ged2: float64 [B], squared generalized energy distance, lower is better.
      hungarian_iou: float64 [B], Hungarian-matched IoU, higher is better.
    """

    ged2: Float64[np.ndarray, " B"]
    hungarian_iou: Float64[np.ndarray, " B"]


class EnergyDistance(NamedTuple):
    """The three terms of GED² (Appendix B.1), of each image.

    Attributes:
      to_graders: float64 [B], E[d(S, Y)].
      among_samples: float64 [B], E[d(S, S')].
      among_graders: float64 [B], E[d(Y, Y')].
    """

    to_graders: Float64[np.ndarray, " B"]
    among_samples: Float64[np.ndarray, " B"]
    among_graders: Float64[np.ndarray, " B"]

    def ged_squared(self) -> Float64[np.ndarray, " B"]:
        """2 E[d(S, Y)] - E[d(S, S')] - E[d(Y, Y')]."""
        return 2 * self.to_graders - self.among_samples - self.among_graders


def energy_distance(
    cross: Float[np.ndarray, "B N G"],
    samples: Float[np.ndarray, "B N N"],
    graders: Float[np.ndarray, "B G G"],
    present: Bool[np.ndarray, "B G"] | None = None,
    self_pairs: bool = True,
) -> EnergyDistance:
    """The terms of GED² with d = 1 - IoU (Appendix B.1).

    Each expectation is the mean over all ordered pairs. With those of a sample with itself (the
    V-statistic, as is usual in the field) E[d(S, S')] is too small by a factor of 1 - 1 / N, so
    that GED² is too large by E[d(S, S')] / N, and falls with the number of samples N though nothing
    else changes; without them (the U-statistic) its expectation does not depend on N. The graders
    are the whole set that is to be met, not drawn from one: their pairs with themselves always
    count.

    Args:
      cross: [B, N, G], IoU of samples and graders.
      samples: [B, N, N], IoU of samples among themselves.
      graders: [B, G, G], IoU of graders among themselves.
      present: bool [B, G]; None means all graders.
      self_pairs: whether the pairs of a sample with itself count.

    Returns:
      The terms; NaN for an image without a grader, and without self-pairs for a single sample.
    """
    number = samples.shape[1]
    weights = _weights(cross, present)
    pairs = weights[:, :, None] * weights[:, None, :]
    among_graders = _sum_of_image(_distance(graders) * pairs)
    to_graders = _sum_of_image(_distance(cross) * weights[:, None, :]) / number
    among_samples = _sum_of_image(_distance(samples)) / number**2
    if not self_pairs:  # whose distance is 0
        among_samples = among_samples * (number / (number - 1) if number > 1 else np.nan)
    return EnergyDistance(to_graders, among_samples, among_graders)


def ged_squared(
    cross: Float[np.ndarray, "B N G"],
    samples: Float[np.ndarray, "B N N"],
    graders: Float[np.ndarray, "B G G"],
    present: Bool[np.ndarray, "B G"] | None = None,
) -> Float64[np.ndarray, " B"]:
    """Squared generalized energy distance with d = 1 - IoU (Appendix B.1).

        GED² = 2 E[d(S, Y)] - E[d(S, S')] - E[d(Y, Y')]

    Each expectation is the mean over all ordered pairs, those of a segmentation with itself
    included, as is usual in the field (the V-statistic). It is 0 for equal sets and never negative
    where absences count as 1. Pairs with oneself make small sets look less diverse than what they
    were drawn from, so even N perfect samples score above 0 on average.

    Args:
      cross: [B, N, G], IoU of samples and graders.
      samples: [B, N, N], IoU of samples among themselves.
      graders: [B, G, G], IoU of graders among themselves.
      present: bool [B, G]; None means all graders.

    Returns:
      float64 [B]; NaN for an image without a grader.
    """
    return energy_distance(cross, samples, graders, present).ged_squared()


def hungarian_iou(
    cross: Float[np.ndarray, "B N G"], present: Bool[np.ndarray, "B G"] | None = None
) -> Float64[np.ndarray, " B"]:
    """Mean IoU of the best 1:1 matching of samples and graders (Appendix B.1).

    Both sets are repeated until their sizes are the least common multiple of the two. Of Dice
    coefficients it is the matched Dice, the Dice_match of Wu et al. 2024, "Diversified and
    Personalized Multi-rater Medical Image Segmentation".

    Args:
      cross: [B, N, G], IoU, or Dice coefficient, of samples and graders.
      present: bool [B, G]; None means all graders.

    Returns:
      float64 [B]; NaN for an image without a grader.
    """
    num_samples = cross.shape[1]
    result = np.full(len(cross), np.nan)
    for image, matrix in enumerate(np.asarray(cross, np.float64)):
        matrix = matrix if present is None else matrix[:, present[image]]
        num_graders = matrix.shape[1]
        if num_graders:
            size = np.lcm(num_samples, num_graders)
            matrix = matrix.repeat(size // num_samples, 0).repeat(size // num_graders, 1)
            rows, columns = scipy.optimize.linear_sum_assignment(matrix, maximize=True)
            result[image] = matrix[rows, columns].mean()
    return result


def best_of_n(
    cross: Float[np.ndarray, "B N G"], present: Bool[np.ndarray, "B G"] | None = None
) -> Float64[np.ndarray, " B"]:
    """How near the nearest of N samples comes to each grader, averaged over graders.

        D_max = 1/G sum_g max_n D(S_n, Y_g)

    Of Dice coefficients it is the "maximum Dice matching" of Rahman et al. 2023, "Ambiguous Medical
    Image Segmentation using Diffusion Models". It never falls with more samples, right or wrong: it
    can be compared for equal numbers of samples only.

    Args:
      cross: [B, N, G], Dice coefficient, or IoU, of samples and graders.
      present: bool [B, G]; None means all graders.

    Returns:
      float64 [B]; NaN for an image without a grader.
    """
    weights = _weights(cross, present)
    return _sum_of_image(np.asarray(cross, np.float64).max(axis=1) * weights)


def leave_one_out(
    graders: Float[np.ndarray, "B G G"],
    present: Bool[np.ndarray, "B G"] | None = None,
    num_samples: int | None = None,
) -> Agreement:
    """How well one grader stands for the others: the human reference.

    Each grader in turn is a set of one and is compared with the set of the others; the scores are
    averaged over graders. A set of one has no diversity to offer, so a model that knows the whole
    distribution can have a lower GED² than this. Of two graders, one against one, it would be twice
    their distance, which samples that overlap with neither have, too, if they only differ among
    themselves. So with `num_samples`, GED² of an image that has two graders is that of N samples
    drawn from the two: its expectation, E[d(Y, Y')] / N, since of N independent draws with their
    self-pairs E[d(S, S')] is (1 - 1 / N) E[d(Y, Y')].

    Args:
      graders: [B, G, G], IoU of graders among themselves.
      present: bool [B, G]; None means all graders.
      num_samples: number of samples N that the graders are drawn as where there are two.

    Returns:
      The scores; NaN for images with fewer than two graders.
    """
    num_images, num_graders = graders.shape[:2]
    if present is None:
        present = np.ones((num_images, num_graders), bool)
    ged2 = np.full((num_images, num_graders), np.nan)
    matched = np.full((num_images, num_graders), np.nan)
    for grader in range(num_graders):
        others = present & (np.arange(num_graders) != grader)
        one = slice(grader, grader + 1)
        scored = present[:, grader]
        ged2[scored, grader] = ged_squared(
            graders[scored, one], graders[scored, one, one], graders[scored], others[scored]
        )
        matched[scored, grader] = hungarian_iou(graders[scored, one], others[scored])
    scores = Agreement(_mean_where_defined(ged2), _mean_where_defined(matched))
    if num_samples is None:
        return scores
    drawn = energy_distance(graders, graders, graders, present).among_graders / num_samples
    return scores._replace(ged2=np.where(present.sum(axis=1) == 2, drawn, scores.ged2))


def _distance(iou: np.ndarray) -> np.ndarray:
    return 1.0 - np.asarray(iou, np.float64)


def _sum_of_image(matrices: np.ndarray) -> np.ndarray:
    """The sum of each matrix [B, ...], to the last digit the same whatever the batch."""
    size = math.prod(matrices.shape[1:])
    return np.ascontiguousarray(matrices).reshape(len(matrices), size).sum(axis=1)


def _weights(cross: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    """[B, G] summing to 1 over the graders present; NaN where there is none."""
    num_images, _, num_graders = cross.shape
    if present is None:
        present = np.ones((num_images, num_graders), bool)
    count = present.sum(axis=1, keepdims=True)
    return np.where(count > 0, present / np.maximum(count, 1), np.nan)


def _mean_where_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaNs; NaN if nothing else is left."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
