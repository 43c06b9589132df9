"""How far the samples' frequencies are the graders': Brier score, correlation of uncertainties.

In each pixel, p_c is the share of samples that have class c, and q_c that of the graders.
"""

import numpy as np
from jaxtyping import Float, Float64, Shaped


def brier_score(
    samples: Float[np.ndarray, "B C P"],
    graders: Float[np.ndarray, "B C P"],
    scored: Shaped[np.ndarray, "B P"],
) -> Float64[np.ndarray, " B"]:
    """Mean over pixels of 1/2 sum_c (p_c - q_c)² (Brier 1950), in [0, 1], lower is better.

    With two classes it is the mean of (p - q)² of the foreground. The graders' frequencies stand in
    place of one outcome: the mean of the scores against each grader is larger by the graders' own
    disagreement, 1/2 sum_c q_c (1 - q_c), whatever the samples.

    Args:
      samples: [B, C, P], the shares p of C classes in P pixels.
      graders: [B, C, P], the shares q.
      scored: bool [B, P], the pixels that count.

    Returns:
      float64 [B]; NaN for an image without such a pixel.
    """
    return _mean(0.5 * ((samples - graders) ** 2).sum(axis=1), scored)


def uncertainty_correlation(
    samples: Float[np.ndarray, "B C P"],
    graders: Float[np.ndarray, "B C P"],
    scored: Shaped[np.ndarray, "B P"],
) -> Float64[np.ndarray, " B"]:
    """Normalised cross-correlation of the samples' variance and the graders' (Hu et al. 2019).

        NCC = 1/n sum_x (a_x - mean a) (b_x - mean b) / (std a std b)

    over an image's pixels x, of a = sum_c p_c (1 - p_c) and b = sum_c q_c (1 - q_c): "Supervised
    Uncertainty Quantification for Segmentation with Multiple Annotations". It is in [-1, 1]; higher
    is better. Where the graders agree in all pixels, or alike in all, there is nothing to correlate
    with, and no score; where only the samples do, the score is 0, since an uncertainty that is the
    same everywhere tells nothing.

    Args:
      samples: [B, C, P], the shares p of C classes in P pixels.
      graders: [B, C, P], the shares q.
      scored: bool [B, P], the pixels that count.

    Returns:
      float64 [B]; NaN where it is not defined.
    """
    a, b = ((share * (1 - share)).sum(axis=1) for share in (samples, graders))
    a, b = (map_ - _mean(map_, scored)[:, None] for map_ in (a, b))
    covariance, of_samples, of_graders = (_mean(pair, scored) for pair in (a * b, a * a, b * b))
    tiny = 1e-20  # what rounding leaves of the variance of equal values
    defined = (of_samples > tiny) & (of_graders > tiny)
    scale = np.sqrt(np.where(defined, of_samples * of_graders, 1.0))
    return np.where(of_graders > tiny, np.where(defined, covariance / scale, 0.0), np.nan)


def _mean(values: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Means of values [B, P] over the pixels that count, to the last digit whatever the batch."""
    number = scored.sum(axis=1)
    total = np.where(scored, values, 0.0).sum(axis=1)
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
