import numpy as np
import pytest
import scipy.stats

from hpunet_jax.metrics.frequencies import brier_score, uncertainty_correlation


def shares(seed, classes=3, images=4, pixels=30, number=5):
    """Shares of labels that a number of maps have: [B, C, P]."""
    labels = np.random.default_rng(seed).integers(0, classes, (number, images, pixels))
    return np.stack([(labels == label).mean(axis=0) for label in range(classes)], axis=1)


SCORED = np.random.default_rng(9).random((4, 30)) < 0.7


def test_the_brier_score_equals_its_definition_pixel_by_pixel():
    p, q = shares(0), shares(1)
    expected = [
        np.mean([0.5 * sum((p[i, c, x] - q[i, c, x]) ** 2 for c in range(3)) for x in pixels])
        for i, pixels in enumerate(map(np.flatnonzero, SCORED))
    ]
    np.testing.assert_allclose(brier_score(p, q, SCORED), expected)


def test_against_one_grader_the_brier_score_is_that_of_a_public_implementation():
    rng = np.random.default_rng(0)
    share = rng.integers(0, 9, 500) / 8
    labels = rng.random(500) < share**1.5
    p, q = (np.stack([1 - one, one])[None] for one in (share, labels.astype(float)))
    score = brier_score(p, q, np.ones((1, 500), bool))
    assert score[0] == pytest.approx(0.13978125)  # scikit-learn 1.9.1, brier_score_loss


def test_the_mean_score_against_each_grader_is_larger_by_the_graders_own_disagreement():
    p = shares(0)
    labels = np.random.default_rng(2).integers(0, 3, (4, 4, 30))  # four graders
    each = np.stack([labels == c for c in range(3)], axis=2).astype(float)
    q = each.mean(axis=0)
    separately = np.mean([brier_score(p, one, SCORED) for one in each], axis=0)
    disagreement = [np.mean(0.5 * (q * (1 - q)).sum(axis=1)[i, s]) for i, s in enumerate(SCORED)]
    np.testing.assert_allclose(separately, brier_score(p, q, SCORED) + disagreement)


def test_the_correlation_of_uncertainties_is_pearsons_of_the_variances():
    p, q = shares(0), shares(1, number=4)
    expected = [
        scipy.stats.pearsonr(
            *((share[i][:, s] * (1 - share[i][:, s])).sum(axis=0) for share in (p, q))
        ).statistic
        for i, s in enumerate(SCORED)
    ]
    np.testing.assert_allclose(uncertainty_correlation(p, q, SCORED), expected)
    np.testing.assert_allclose(uncertainty_correlation(q, q, SCORED), 1)


def test_where_graders_agree_there_is_no_correlation_and_where_only_samples_do_it_is_zero():
    p, certain = shares(0), shares(1, number=1)
    assert np.isnan(uncertainty_correlation(p, certain, SCORED)).all()
    np.testing.assert_array_equal(uncertainty_correlation(certain, p, SCORED), 0)
    assert np.isnan(brier_score(p, p, np.zeros_like(SCORED))).all()
