import numpy as np
import pytest
import scipy.sparse
import skimage.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hpunet_jax.metrics.rand_error import adapted_rand_error

maps = hnp.arrays(np.uint16, (5, 6), elements=st.integers(0, 4))


def as_gala(predicted, truth):
    """The formula of gala's adapted_rand_error on a contingency table."""
    table = scipy.sparse.coo_array(
        (np.ones(truth.size), (truth.ravel(), predicted.ravel()))
    ).toarray()
    outside = table[1:, 0].sum() / truth.size
    sum_true = (table[1:].sum(axis=1) ** 2).sum()
    sum_predicted = (table[1:, 1:].sum(axis=0) ** 2).sum() + outside
    sum_both = (table[1:, 1:] ** 2).sum() + outside
    precision, recall = sum_both / sum_predicted, sum_both / sum_true
    return 1 - 2 * precision * recall / (precision + recall)


@settings(max_examples=100, deadline=None)
@given(maps, maps)
def test_equals_the_formula_of_gala(predicted, truth):
    truth[0, 0] = 1
    assert adapted_rand_error(predicted, truth) == pytest.approx(as_gala(predicted, truth))


@settings(max_examples=100, deadline=None)
@given(maps, maps)
def test_equals_scikit_image_but_for_pairs_of_a_pixel_with_itself(predicted, truth):
    truth[0, :2], predicted[0, :2] = 1, 1  # scikit-image needs a pair
    predicted[predicted == 0] = 9  # no predicted background, the other difference
    foreground = truth != 0
    of_truth = np.bincount(truth[foreground]).astype(float)
    of_prediction = np.bincount(predicted[foreground]).astype(float)
    pixels = foreground.sum()
    squares = of_truth @ of_truth + of_prediction @ of_prediction
    error, *_ = skimage.metrics.adapted_rand_error(truth, predicted)
    shared_pairs = (1 - error) * (squares - 2 * pixels) / 2
    expected = 1 - 2 * (shared_pairs + pixels) / squares
    assert adapted_rand_error(predicted, truth) == pytest.approx(expected)


def test_is_near_to_scikit_image_on_segments_of_the_usual_size():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 9, (6, 6)), np.ones((20, 20), int))
    predicted = np.roll(truth, 3, axis=0) % 7 + 1
    expected, *_ = skimage.metrics.adapted_rand_error(truth, predicted)
    assert adapted_rand_error(predicted, truth) == pytest.approx(expected, abs=1e-3)
    assert 0.1 < expected < 0.9


def test_equal_segmentations_have_no_error_whatever_their_ids():
    truth = np.kron(np.arange(6).reshape(2, 3), np.ones((4, 4), int))
    assert adapted_rand_error(truth * 1_000_003, truth) == pytest.approx(0, abs=1e-12)


def test_what_is_background_in_the_truth_is_not_scored():
    truth = np.kron([[0, 1], [0, 2]], np.ones((4, 4), int))
    predicted = truth.copy()
    predicted[truth == 0] = np.random.default_rng(0).integers(0, 5, (truth == 0).sum())
    assert adapted_rand_error(predicted, truth) == pytest.approx(0, abs=1e-12)


def test_merging_two_of_equal_size_costs_precision_and_splitting_costs_recall():
    truth = np.repeat([[1, 2]], 50, axis=1)
    merged, split = np.ones((1, 100), int), np.arange(100)[None] // 25 + 1
    assert adapted_rand_error(merged, truth) == pytest.approx(1 / 3)  # precision 1/2, recall 1
    assert adapted_rand_error(split, truth) == pytest.approx(1 / 3)


def test_foreground_predicted_as_background_costs_recall():
    truth = np.ones((10, 10), int)
    predicted = truth.copy()
    predicted[:, 5:] = 0  # recall 50² / 100²
    assert adapted_rand_error(predicted, truth) == pytest.approx(1 - 2 / (1 + 4), abs=1e-3)
    assert adapted_rand_error(np.zeros_like(truth), truth) == pytest.approx(1, abs=1e-3)


def test_a_truth_without_foreground_has_no_error():
    assert np.isnan(adapted_rand_error(np.ones((4, 4), int), np.zeros((4, 4), int)))


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4\), but the truth \(4, 5\)"):
        adapted_rand_error(np.zeros((4, 4), int), np.zeros((4, 5), int))
    with pytest.raises(ValueError, match="predicted must be integers"):
        adapted_rand_error(np.full((4, 4), np.nan), np.ones((4, 4), int))
