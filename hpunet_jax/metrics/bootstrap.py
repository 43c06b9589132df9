"""Table 1: mean and standard deviation over bootstraps with replacement (and random seeds)."""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from hpunet_jax.arguments import check_integer


class Estimate(NamedTuple):
    """A score with its error.

    Attributes:
      mean: the mean over images (and runs); NaN if there are none.
      std: standard deviation of the mean over all bootstraps (of all runs).
      num_images: number of images that entered.
    """

    mean: float
    std: float
    num_images: int


@no_type_check
def bootstrap(
    scores: Shaped[np.ndarray, "*runs images"], num_bootstraps: int = 1000, seed: int = 0
) -> Estimate:
    """Mean of per-image scores, and how it varies when the images are drawn with replacement.

    Given several runs of the same images (the paper has 10 initializations), the deviation is
    taken over the bootstraps of all runs together, so that it holds both sources of error. The mean
    is that of the scores themselves, which the mean of the bootstraps approaches.

    Args:
      scores: [images] or [runs, images]; images whose score is NaN in any run are left out.
      num_bootstraps: number of bootstraps.
      seed: seed of the draws; equal for equal numbers of images, so that scores compared under one
        seed see the same draws.

    Returns:
      The estimate.

    Raises:
      ValueError: for scores of another number of axes, or less than one bootstrap.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim not in (1, 2):
        raise ValueError(f"scores have shape {scores.shape}: expected [images] or [runs, images].")
    num_bootstraps = check_integer("num_bootstraps", num_bootstraps, 1)
    scores = np.atleast_2d(scores)
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if not scores.size:
        return Estimate(np.nan, np.nan, 0)
    means = bootstrap_means(scores, num_bootstraps, seed)
    return Estimate(float(scores.mean()), float(means.std()), scores.shape[1])


def bootstrap_means(
    scores: Float[np.ndarray, "runs images"], num_bootstraps: int = 1000, seed: int = 0
) -> Float64[np.ndarray, "runs bootstraps"]:
    """Means of the scores over images drawn with replacement.

    Args:
      scores: [runs, images], no NaN.
      num_bootstraps: number of bootstraps.
      seed: seed of the draws.

    Returns:
      float64 [runs, num_bootstraps]; a bootstrap draws the same images for all runs.
    """
    num_images = scores.shape[1]
    # How often each image was drawn, so that all means are one matrix product.
    return scores @ bootstrap_counts(num_images, num_bootstraps, seed).T / num_images


def bootstrap_counts(
    num_images: int, num_bootstraps: int = 1000, seed: int = 0
) -> Integer[np.ndarray, "bootstraps images"]:
    """How often each image is drawn, with replacement.

    Args:
      num_images: number of images.
      num_bootstraps: number of bootstraps.
      seed: seed of the draws.

    Returns:
      Integers [num_bootstraps, num_images]; each row sums to the number of images.
    """
    drawn = np.random.default_rng(seed).integers(num_images, size=(num_bootstraps, num_images))
    drawn += num_images * np.arange(num_bootstraps)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=num_bootstraps * num_images)
    return counts.reshape(num_bootstraps, num_images)
