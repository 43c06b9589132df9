"""Whether a model knows on which images it fails: the area under the risk-coverage curve.

The confidence in an image is a number that needs no graders; the risk is what they find wrong.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Shaped

from hpunet_jax.metrics.bootstrap import Estimate, bootstrap_counts


def risk_coverage_area(
    confidence: Float[np.ndarray, " images"],
    risk: Float[np.ndarray, " images"],
    counts: Shaped[np.ndarray, "draws images"] | None = None,
) -> Float64[np.ndarray, " draws"]:
    """AURC (Geifman et al. 2019): the mean risk of the k most confident images, over k = 1 ... n.

        AURC = 1/n sum_k 1/k (the sum of the risks of the k most confident images)

    Lower is better. Images of equal confidence stand in no order: the first j of m of them have j /
    m of their risk, which is the mean over all orders.

    Args:
      confidence: [images].
      risk: [images].
      counts: [draws, images], how often each image is counted, e.g. by a bootstrap; each row sums
        to the number of images. None: once, as the only draw.

    Returns:
      float64 [draws]; NaN without images.
    """
    number = len(risk)
    if not number:
        return np.full(1 if counts is None else len(counts), np.nan)
    counts = np.ones((1, number)) if counts is None else np.asarray(counts, np.float64)
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.diff(confidence[order], prepend=np.inf))
    images = np.add.reduceat(counts[:, order], starts, axis=1).cumsum(axis=1)
    risks = np.add.reduceat((counts * risk)[:, order], starts, axis=1).cumsum(axis=1)
    coverage = np.arange(1, number + 1)
    curves = [
        np.interp(coverage, np.append(0, x), np.append(0, y))
        for x, y in zip(images, risks, strict=True)
    ]
    return (np.array(curves) / coverage).mean(axis=1)


def estimate_risk_coverage(
    confidences: Sequence[Float[np.ndarray, " images"]],
    risks: Sequence[Float[np.ndarray, " images"]],
    num_bootstraps: int = 1000,
    seed: int = 0,
) -> Estimate:
    """The area for all images, and how it varies when images are drawn with replacement.

    Args:
      confidences: [images] of one or more runs; NaN where an image has none.
      risks: the same runs'.
      num_bootstraps: number of bootstraps of each run.
      seed: seed of the draws, which are those of `bootstrap` for equal numbers of images.

    Returns:
      The mean over runs and the deviation over their bootstraps.
    """
    runs = np.stack([np.stack(pair) for pair in zip(confidences, risks, strict=True)])
    runs = runs[..., ~np.isnan(runs).any(axis=(0, 1))]  # [runs, 2, images]
    number = runs.shape[-1]
    if not number:
        return Estimate(np.nan, np.nan, 0)
    counts = bootstrap_counts(number, num_bootstraps, seed)
    areas = [risk_coverage_area(*run) for run in runs]
    drawn = [risk_coverage_area(*run, counts) for run in runs]
    return Estimate(float(np.mean(areas)), float(np.std(drawn)), number)
