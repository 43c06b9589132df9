"""Calibration: whether graders give a class as often as samples do.

What a set of samples predicts for a pixel is the share of samples that have the class there, one of
N + 1 values; what is met is the share of the image's graders. Pixels are counted once by how many
samples have the class (`Levels`), from which every error, every bootstrap and the reliability
diagram are made exactly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from hpunet_jax.metrics.bootstrap import Estimate, bootstrap_counts

NUM_BINS = 15
"""Bins of both errors, as in Guo et al. 2017 and Nixon et al. 2019."""


class Levels(NamedTuple):
    """The scored pixels of images by how many of N samples have a class there.

    Attributes:
      pixels: float64 [images, K, N + 1], their number.
      graded: float64 [images, K, N + 1], the sum over them of the share of graders who gave the
        class.
    """

    pixels: Float64[np.ndarray, "images K levels"]
    graded: Float64[np.ndarray, "images K levels"]


class Reliability(NamedTuple):
    """A reliability diagram: bins of equal width that hold pixels.

    Attributes:
      predicted: float64 [bins], the mean share of samples.
      graded: float64 [bins], the mean share of graders; `predicted` where they are calibrated.
      share: float64 [bins], of all pixels, summing to 1.
    """

    predicted: Float64[np.ndarray, " bins"]
    graded: Float64[np.ndarray, " bins"]
    share: Float64[np.ndarray, " bins"]


def count_levels(
    votes: Integer[np.ndarray, "B K P"],
    graded: Float[np.ndarray, "B K P"],
    scored: Shaped[np.ndarray, "B P"],
    num_samples: int,
) -> Levels:
    """Counts the pixels of each image.

    Args:
      votes: [B, K, P], how many samples have each of K classes in each of P pixels.
      graded: [B, K, P], the share of graders who have it.
      scored: bool [B, P], the pixels that count.
      num_samples: number of samples N.

    Returns:
      The levels of each image.
    """
    num_images, num_classes = votes.shape[:2]
    rows = num_images * num_classes
    size = num_samples + 1
    place = votes + size * np.arange(rows).reshape(num_images, num_classes, 1)
    counted = np.broadcast_to(scored[:, None], votes.shape)
    place, graded = place[counted], graded[counted]

    def total(weights: np.ndarray | None) -> np.ndarray:
        summed = np.bincount(place, weights, minlength=rows * size).astype(np.float64)
        return summed.reshape(num_images, num_classes, size)

    return Levels(total(None), total(graded))


def expected_calibration_error(
    levels: Levels, num_bins: int = NUM_BINS
) -> Float64[np.ndarray, " images"]:
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017, Eq. 5), class by class.

        ECE = 1/K sum_k sum_b n_b / n |mean share of samples in b - mean share of graders in b|

    over bins b of equal width, (lower, upper], the first with 0. The foreground classes are scored
    one by one and averaged ("static calibration error", Nixon et al. 2019, with the graders' share
    in place of one label); pixels that no sample and no grader marks are part of n.

    Args:
      levels: of each image, or of several together, [images, K, N + 1].
      num_bins: number of bins.

    Returns:
      float64 [images]; NaN where there is no pixel.
    """
    gaps = _gaps(levels)
    bins = _bins(gaps.shape[-1], num_bins)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return _mean_error(np.add.reduceat(gaps, starts, axis=-1), levels)


def adaptive_calibration_error(
    levels: Levels, num_bins: int = NUM_BINS
) -> Float64[np.ndarray, " images"]:
    """The same over bins of equally many pixels ("adaptive", Nixon et al. 2019, Eq. 4).

    Pixels of equal share stand in no order: where the border of two bins falls among them, each bin
    takes its part of them, with their mean share of graders.

    Args:
      levels: of each image, or of several together, [images, K, N + 1].
      num_bins: number of bins.

    Returns:
      float64 [images]; NaN where there is no pixel.
    """
    gaps = np.cumsum(_gaps(levels), axis=-1)
    pixels = np.cumsum(levels.pixels, axis=-1)
    *outer, size = gaps.shape
    parts = np.linspace(0, 1, num_bins + 1)
    at_borders = [
        np.interp(parts * x[-1], np.append(0, x), np.append(0, y))
        for x, y in zip(pixels.reshape(-1, size), gaps.reshape(-1, size), strict=True)
    ]
    return _mean_error(np.diff(at_borders).reshape(*outer, num_bins), levels)


def reliability(levels: Levels, num_bins: int = NUM_BINS) -> Reliability:
    """The reliability diagram of all images and classes together.

    Args:
      levels: [images, K, N + 1].
      num_bins: number of bins of equal width; those without pixels are left out.

    Returns:
      The diagram; each class adds as much to a bin as it has pixels there.
    """
    size = levels.pixels.shape[-1]
    pixels, graded = (values.reshape(-1, size).sum(axis=0) for values in levels)
    bins = _bins(size, num_bins)
    weights = (pixels, pixels * _shares(size), graded)
    number, predicted, met = (np.bincount(bins, w, minlength=num_bins) for w in weights)
    used = number > 0
    number = number[used]
    return Reliability(predicted[used] / number, met[used] / number, number / number.sum())


def estimate_calibration(
    runs: Sequence[Levels], num_bootstraps: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Both errors over all pixels of all images, and how they vary when images are drawn anew.

    They are scores of the data set: the mean of the images' own errors would be larger, since an
    image has too few pixels for each bin.

    Args:
      runs: levels [images, K, N + 1] of one or more runs on the same images.
      num_bootstraps: number of bootstraps of each run.
      seed: seed of the draws, which are those of `bootstrap` for equal numbers of images.

    Returns:
      `expected_calibration_error` and `adaptive_calibration_error`.
    """
    scored = np.logical_and.reduce([run.pixels.any(axis=(1, 2)) for run in runs])
    number = int(scored.sum())
    if not number:
        nothing = Estimate(np.nan, np.nan, 0)
        return {error.__name__: nothing for error in _ERRORS}
    counts = bootstrap_counts(number, num_bootstraps, seed)
    of_runs = [Levels(*(values[scored] for values in run)) for run in runs]
    drawn = [Levels(*(np.tensordot(counts, v, axes=1) for v in run)) for run in of_runs]
    total = [Levels(*(values.sum(axis=0, keepdims=True) for values in run)) for run in of_runs]
    return {
        error.__name__: Estimate(
            float(np.mean([error(run) for run in total])),
            float(np.std([error(run) for run in drawn])),
            number,
        )
        for error in _ERRORS
    }


_ERRORS = (expected_calibration_error, adaptive_calibration_error)


def _shares(size: int) -> np.ndarray:
    """The shares of samples 0, 1/N, ..., 1 of N + 1 levels."""
    return np.arange(size) / max(size - 1, 1)


def _gaps(levels: Levels) -> np.ndarray:
    """What samples predict in excess of graders, summed over the pixels of each level."""
    return levels.pixels * _shares(levels.pixels.shape[-1]) - levels.graded


def _bins(size: int, num_bins: int) -> np.ndarray:
    """The bin (lower, upper] of each level, in whole numbers: k/N is often a border."""
    return np.maximum(-(-np.arange(size) * num_bins // max(size - 1, 1)) - 1, 0)


def _mean_error(gaps: np.ndarray, levels: Levels) -> np.ndarray:
    """Absolute gaps over pixels, averaged over classes: [images, K, bins] -> [images]."""
    number = levels.pixels.sum(axis=-1)
    error = np.abs(gaps).sum(axis=-1)
    ratio = np.divide(error, number, out=np.full(error.shape, np.nan), where=number > 0)
    return ratio.mean(axis=-1)
