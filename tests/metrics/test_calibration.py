import numpy as np
import pytest

from hpunet_jax.metrics.bootstrap import bootstrap_counts
from hpunet_jax.metrics.calibration import (
    Levels,
    adaptive_calibration_error,
    count_levels,
    estimate_calibration,
    expected_calibration_error,
    reliability,
)

N = 8


def draw(images=3, classes=2, pixels=50, num_samples=N):
    """Votes, graders' shares and scored pixels of images."""
    rng = np.random.default_rng(0)
    votes = rng.integers(0, num_samples + 1, (images, classes, pixels))
    graded = rng.integers(0, 4, votes.shape) / 3
    return votes, graded, rng.random((images, pixels)) < 0.8


def of_labels(votes, labels, num_samples):
    """Levels of one image with a class whose pixels have one grader's labels."""
    votes, labels = np.asarray(votes)[None, None], np.asarray(labels, float)[None, None]
    return count_levels(votes, labels, np.ones((1, votes.shape[-1]), bool), num_samples)


def slow_expected_error(votes, graded, num_bins, num_samples=N):
    """Pixel by pixel, for one class."""
    total = 0.0
    for number in range(num_bins):
        lower, upper = number / num_bins, (number + 1) / num_bins
        inside = [
            (vote / num_samples, met)
            for vote, met in zip(votes, graded, strict=True)
            if lower + 1e-9 < vote / num_samples <= upper + 1e-9 or (vote == 0 and number == 0)
        ]
        if inside:
            predicted, met = np.mean(inside, axis=0)
            total += len(inside) / len(votes) * abs(predicted - met)
    return total


def slow_adaptive_error(votes, graded, num_bins, num_samples=N):
    """Each pixel cut into as many pieces as there are bins, those of equal share well mixed."""
    order = np.argsort(votes, kind="stable")
    predicted = np.repeat(votes[order] / num_samples, num_bins)
    mean = [graded[votes == vote].mean() for vote in votes[order]]
    gaps = (predicted - np.repeat(mean, num_bins)).reshape(num_bins, -1)
    return np.abs(gaps.mean(axis=1)).mean()


@pytest.mark.parametrize("num_bins", [1, 3, 8, 15])
def test_both_errors_equal_their_definitions_pixel_by_pixel(num_bins):
    votes, graded, scored = draw()
    levels = count_levels(votes, graded, scored, N)
    for error, slow in (
        (expected_calibration_error, slow_expected_error),
        (adaptive_calibration_error, slow_adaptive_error),
    ):
        expected = [
            np.mean([slow(v[s], g[s], num_bins) for v, g in zip(votes[i], graded[i], strict=True)])
            for i, s in enumerate(scored)
        ]
        np.testing.assert_allclose(error(levels, num_bins), expected, atol=1e-12)


@pytest.mark.parametrize("num_bins", [5, 15])
def test_the_errors_are_those_of_public_implementations(num_bins):
    rng = np.random.default_rng(0)
    votes = rng.integers(0, N + 1, 500)
    labels = rng.random(500) < (votes / N) ** 1.5
    levels = of_labels(votes, labels, N)
    # torchmetrics 1.9.0, binary_calibration_error(norm="l1"); uncertainty-calibration 0.1.4,
    # get_ece(debias=False), gives the same
    np.testing.assert_allclose(expected_calibration_error(levels, num_bins), 0.11475, rtol=1e-12)
    if num_bins == 5:  # scikit-learn 1.9.1, calibration_curve(n_bins=5)
        curve = reliability(levels, 5)
        met = [0.01960784, 0.08080808, 0.32142857, 0.53448276, 0.91338583]
        predicted = [0.0502451, 0.30808081, 0.5, 0.69073276, 0.94192913]
        np.testing.assert_allclose(curve.graded, met, atol=1e-8)
        np.testing.assert_allclose(curve.predicted, predicted, atol=1e-8)


@pytest.mark.parametrize(
    ("num_bins", "value"), [(5, 0.17408962547779083), (15, 0.21386554837226868)]
)
def test_the_adaptive_error_is_that_of_a_public_implementation(num_bins, value):
    rng = np.random.default_rng(2)
    votes = rng.permutation(np.arange(60, 120))
    labels = rng.random(60) < 0.6
    # torch-uncertainty 0.13.0, BinaryAdaptiveCalibrationError
    error = adaptive_calibration_error(of_labels(votes, labels, 119), num_bins)
    np.testing.assert_allclose(error, value, rtol=1e-6)


def test_calibrated_samples_have_no_error_and_lie_on_the_diagonal():
    votes = np.arange(N + 1).repeat(5)
    levels = count_levels(votes[None, None], votes[None, None] / N, np.ones((1, 45), bool), N)
    np.testing.assert_allclose(expected_calibration_error(levels), 0, atol=1e-12)
    np.testing.assert_allclose(adaptive_calibration_error(levels), 0, atol=1e-12)
    curve = reliability(levels)
    np.testing.assert_allclose(curve.predicted, curve.graded)
    assert curve.share.sum() == pytest.approx(1)


def test_the_estimate_is_of_all_pixels_together_and_bootstraps_draw_images():
    levels = count_levels(*draw(images=6), N)
    levels = Levels(*(np.insert(values, 2, 0.0, axis=0) for values in levels))  # nothing scored
    estimates = estimate_calibration([levels], num_bootstraps=20, seed=3)
    assert list(estimates) == ["expected_calibration_error", "adaptive_calibration_error"]
    kept = Levels(*(np.delete(values, 2, axis=0) for values in levels))
    drawn = []
    for counts in bootstrap_counts(6, 20, seed=3):
        chosen = np.repeat(np.arange(6), counts)
        together = Levels(*(values[chosen].sum(axis=0, keepdims=True) for values in kept))
        drawn.append(expected_calibration_error(together)[0])
    one = Levels(*(values.sum(axis=0, keepdims=True) for values in kept))
    expected = expected_calibration_error(one)[0], np.std(drawn), 6
    np.testing.assert_allclose(estimates["expected_calibration_error"], expected)


def test_without_pixels_there_is_no_error():
    nothing = Levels(np.zeros((2, 1, N + 1)), np.zeros((2, 1, N + 1)))
    assert np.isnan(expected_calibration_error(nothing)).all()
    assert np.isnan(estimate_calibration([nothing])["adaptive_calibration_error"].mean)
