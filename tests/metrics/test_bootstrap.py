import numpy as np
import pytest

from hpunet_jax.metrics.bootstrap import bootstrap, bootstrap_means


def test_deviation_of_the_mean_is_the_standard_error():
    scores = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = bootstrap(scores, num_bootstraps=4000)
    assert estimate.mean == pytest.approx(scores.mean())
    assert estimate.std == pytest.approx(scores.std() / np.sqrt(400), rel=0.05)
    assert estimate.num_images == 400


def test_equals_drawing_and_averaging_one_by_one():
    scores = np.random.default_rng(1).random((2, 7))
    drawn = np.random.default_rng(5).integers(7, size=(20, 7))
    expected = [[run[indices].mean() for indices in drawn] for run in scores]
    np.testing.assert_allclose(bootstrap_means(scores, 20, seed=5), expected)


def test_equal_scores_have_no_error():
    estimate = bootstrap(np.full(10, 0.25))
    assert estimate.mean == 0.25
    assert estimate.std == pytest.approx(0.0, abs=1e-12)


def test_several_runs_add_the_deviation_between_them():
    scores = np.array([[0.0], [1.0]]) + np.zeros((2, 50))
    estimate = bootstrap(scores)
    assert estimate.mean == pytest.approx(0.5)
    assert estimate.std == pytest.approx(0.5)


def test_the_seed_determines_the_draws():
    scores = np.random.default_rng(2).random(30)
    assert bootstrap(scores, seed=1) == bootstrap(scores, seed=1)
    assert bootstrap(scores, seed=1).std != bootstrap(scores, seed=2).std


def test_images_without_a_score_are_left_out():
    scores = np.random.default_rng(3).random((2, 30))
    holed = np.insert(scores, 4, [np.nan, 0.7], axis=1)
    assert bootstrap(holed) == bootstrap(scores)
    assert np.isnan(bootstrap(np.full(3, np.nan)).mean)
    assert bootstrap(np.zeros((2, 0))).num_images == 0


def test_arguments_that_make_no_sense_are_named():
    for wrong in (0, 2.5, True, None):
        with pytest.raises(ValueError, match=f"num_bootstraps must be .*, not {wrong}"):
            bootstrap(np.ones(3), num_bootstraps=wrong)
    with pytest.raises(ValueError, match=r"\(1, 2, 3\)"):
        bootstrap(np.ones((1, 2, 3)))
