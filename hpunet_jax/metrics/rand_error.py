"""Appendix B.3: the foreground-restricted adapted Rand error, as SNEMI3D scores segmentations."""

from typing import no_type_check

import numpy as np
from jaxtyping import Integer

from hpunet_jax.arguments import check_array


@no_type_check
def adapted_rand_error(
    predicted: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"]
) -> float:
    """1 - F, where F weighs up precision and recall of pixel pairs that share a segment.

        F = 2 sum_ij p_ij² / (sum_i t_i² + sum_j s_j²)

    with p_ij the number of pixels in both segment i of the truth and segment j of the prediction,
    t_i and s_j their sums over j and over i. It is the formula of `adapted_rand_error` in the
    package `gala`, which the paper names, itself made after SNEMI3D's script:

    - Pixels that are background in the truth are left out, whatever the prediction is there.
    - Foreground pixels that are predicted as background are in t_i, but are no segment of the
      prediction. Together they add c / n to both sum_ij p_ij² and sum_j s_j², with c their number
      and n that of all pixels, background included: next to nothing, so what they cost is
      recall.
    - A pixel makes a pair with itself.

    `skimage.metrics.adapted_rand_error` leaves out the same pixels, but takes the predicted
    background for a segment like any other, and does not pair pixels with themselves. The two
    differ by no more than that: without predicted background, and with the self-pairs taken off,
    they are equal.

    Args:
      predicted: integers [H, W], 0 for background.
      truth: integers [H, W], 0 for background and for what is not to be scored.

    Returns:
      The error in [0, 1], lower is better; NaN if the truth has no foreground.

    Raises:
      ValueError: if the shapes differ, or numbers are no integers.
    """
    predicted, truth = (
        check_array(name, map_, "iub", (None,) * np.ndim(map_), "[H, W]")
        for name, map_ in (("predicted", predicted), ("truth", truth))
    )
    if predicted.shape != truth.shape:
        raise ValueError(
            f"the prediction has shape {predicted.shape}, but the truth {truth.shape}: expected "
            "the same."
        )
    foreground = truth != 0
    if not foreground.any():
        return float("nan")
    _, true = np.unique(truth[foreground], return_inverse=True)
    values, segment = np.unique(predicted[foreground], return_inverse=True)
    in_segment = values[segment] != 0
    _, shared = np.unique((true * len(values) + segment)[in_segment], return_counts=True)

    background = (len(in_segment) - in_segment.sum()) / truth.size
    sum_true = _sum_of_squares(np.bincount(true))
    sum_predicted = _sum_of_squares(np.bincount(segment[in_segment])) + background
    sum_shared = _sum_of_squares(shared) + background
    return float(1 - 2 * sum_shared / (sum_true + sum_predicted))


def _sum_of_squares(counts: np.ndarray) -> float:
    counts = counts.astype(np.float64)
    return float(counts @ counts)
