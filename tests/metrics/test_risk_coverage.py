import itertools

import numpy as np
import pytest

from hpunet_jax.metrics.bootstrap import bootstrap_counts
from hpunet_jax.metrics.risk_coverage import estimate_risk_coverage, risk_coverage_area


def slow_area(risks):
    """Of images sorted by falling confidence."""
    return np.mean([np.mean(risks[: k + 1]) for k in range(len(risks))])


def test_the_area_is_the_mean_over_all_orders_of_images_of_equal_confidence():
    rng = np.random.default_rng(0)
    confidence, risk = np.array([0.2, 0.9, 0.5, 0.5, 0.9, 0.5]), rng.random(6)
    orders = [
        slow_area(risk[list(order)])
        for order in itertools.permutations(range(6))
        if (np.diff(confidence[list(order)]) <= 0).all()
    ]
    assert len(orders) == 2 * 6
    assert risk_coverage_area(confidence, risk)[0] == pytest.approx(np.mean(orders))


def test_sorting_by_the_risk_itself_is_best_and_the_reverse_worst():
    risk = np.random.default_rng(1).random(50)
    best, worst = (risk_coverage_area(sign * risk, risk)[0] for sign in (-1, 1))
    anything = risk_coverage_area(np.random.default_rng(2).random(50), risk)[0]
    assert best < anything < worst
    assert risk_coverage_area(np.zeros(50), risk)[0] == pytest.approx(risk.mean())


def test_the_area_is_that_of_a_public_implementation():
    rng = np.random.default_rng(1)
    confidence = rng.permutation(40) / 80 + 0.505
    risk = (rng.random(40) < 0.3).astype(float)
    # torch-uncertainty 0.13.0, AURC: by trapezoids, over coverages 1/n to 1
    trapezoids = 0.308216450850519 * (40 - 1)
    ends = (risk[confidence.argmax()] + risk.mean()) / 2
    area = risk_coverage_area(confidence, risk)[0]
    assert area == pytest.approx((trapezoids + ends) / 40, rel=1e-6)


def test_the_estimate_draws_images_and_leaves_out_those_without_confidence():
    rng = np.random.default_rng(3)
    confidence, risk = rng.integers(0, 4, 20) / 4, rng.random(20)
    confidence[4] = np.nan
    estimate = estimate_risk_coverage([confidence], [risk], num_bootstraps=30, seed=5)
    kept = np.delete(np.arange(20), 4)
    drawn = [
        risk_coverage_area(*(v[np.repeat(kept, counts)] for v in (confidence, risk)))[0]
        for counts in bootstrap_counts(19, 30, seed=5)
    ]
    expected = risk_coverage_area(confidence[kept], risk[kept])[0], np.std(drawn), 19
    np.testing.assert_allclose(estimate, expected)
    assert np.isnan(estimate_risk_coverage([np.full(3, np.nan)], [np.zeros(3)]).mean)
