"""A few distinct hypotheses out of many samples, and what the samples are uncertain about."""

import numpy as np
import pytest

from hpunet_jax.inference.hypotheses import distinct_hypotheses, iou_distances
from hpunet_jax.inference.uncertainty import uncertainty

CLASSES = range(1, 2)


@pytest.fixture
def labels():
    """Ten samples: five of a square (two of them a little smaller), three of another, two empty."""
    labels = np.zeros((10, 16, 16), np.uint8)
    labels[[0, 3, 4, 7, 9], 2:8, 2:8] = 1
    labels[[4, 9], 2, 2:5] = 0
    labels[[1, 5, 8], 9:14, 9:14] = 1
    return labels


@pytest.fixture
def latents():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(10, *shape)).astype(np.float32) for shape in ((1, 1, 1), (2, 2, 1))]


def test_near_equal_samples_are_one_hypothesis_and_empty_ones_another(labels, latents):
    found = distinct_hypotheses(labels, latents, CLASSES, spacing=(0.5, 2.0))
    assert [hypothesis.samples for hypothesis in found] == [(0, 3, 4, 7, 9), (1, 5, 8), (2, 6)]
    assert [hypothesis.share for hypothesis in found] == [0.5, 0.3, 0.2]
    assert [hypothesis.recommended for hypothesis in found] == [True, False, False]
    assert [hypothesis.area for hypothesis in found] == [36, 25, 0]
    assert [hypothesis.area_mm2 for hypothesis in found] == [36.0, 25.0, 0.0]
    for hypothesis in found:
        np.testing.assert_array_equal(hypothesis.labels, labels[hypothesis.medoid])
        for z, all_ in zip(hypothesis.latents, latents, strict=True):
            np.testing.assert_array_equal(z, all_[hypothesis.medoid])


def test_a_medoid_is_nearest_to_its_samples_whatever_their_order(labels, latents):
    order = np.random.default_rng(1).permutation(10)
    found = distinct_hypotheses(labels, latents, CLASSES)
    shuffled = distinct_hypotheses(labels[order], [z[order] for z in latents], CLASSES)
    for a, b in zip(found, shuffled, strict=True):
        assert set(a.samples) == set(order[list(b.samples)])
        np.testing.assert_array_equal(a.labels, b.labels)
        of_group = labels[list(a.samples)]
        means = [np.mean([_distance(x, y) for y in of_group]) for x in of_group]
        assert np.mean([_distance(a.labels, y) for y in of_group]) == pytest.approx(min(means))
        assert a.distance == pytest.approx(np.mean([_distance(a.labels, y) for y in labels]))


def test_there_are_never_more_hypotheses_than_asked_for(latents):
    labels = (np.random.default_rng(2).random((10, 16, 16)) < 0.5).astype(np.uint8)
    labels[4] = 0
    for at_most in range(1, 8):
        found = distinct_hypotheses(labels, latents, CLASSES, at_most)
        assert len(found) == at_most
        assert sum(hypothesis.share for hypothesis in found) == pytest.approx(1)
        assert sorted(s for h in found for s in h.samples) == list(range(10))
        assert at_most == 1 or (4,) in [hypothesis.samples for hypothesis in found]


def test_equal_samples_are_a_single_hypothesis(labels, latents):
    for labels_of_all in (labels[[0] * 10], labels[[2] * 10], labels[:1]):
        of_all = [z[: len(labels_of_all)] for z in latents]
        (only,) = distinct_hypotheses(labels_of_all, of_all, CLASSES)
        assert (only.share, only.medoid, only.distance, only.recommended) == (1.0, 0, 0.0, True)


def test_of_equal_shares_the_most_central_is_recommended(latents):
    labels = np.zeros((3, 8, 8), np.uint8)
    for sample, left in enumerate((0, 2, 4)):  # the middle one overlaps with both
        labels[sample, :4, left : left + 4] = 1
    found = distinct_hypotheses(labels, [z[:3] for z in latents], CLASSES, distinct=0.1)
    assert [hypothesis.medoid for hypothesis in found] == [1, 0, 2]


def _distance(a, b, label=1):
    union = ((a == label) | (b == label)).sum()
    return 1 - ((a == label) & (b == label)).sum() / union if union else 0.0


def test_the_distance_of_several_classes_leaves_out_those_that_both_lack():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (4, 8, 8))
    expected = [
        [np.mean([_distance(a, b, label) for label in (1, 2)]) for b in labels] for a in labels
    ]
    np.testing.assert_allclose(iou_distances(labels, range(1, 6)), expected, atol=1e-12)


def test_opposite_sure_samples_are_mutual_information_and_unsure_ones_are_none():
    sure = np.zeros((4, 2, 2, 2))
    sure[:2, ..., 0] = sure[2:, ..., 1] = 1
    found = uncertainty(sure, CLASSES)
    np.testing.assert_allclose(found.entropy, np.log(2))
    np.testing.assert_allclose(found.expected_entropy, 0)
    np.testing.assert_allclose(found.mutual_information, np.log(2))
    np.testing.assert_allclose(found.std, 0.5)
    assert found.agreement == pytest.approx(1 / 3)  # 2 of the 6 pairs are equal
    unsure = uncertainty(np.full((4, 2, 2, 2), 0.5), CLASSES)
    np.testing.assert_allclose(unsure.entropy, np.log(2))
    np.testing.assert_allclose(unsure.expected_entropy, np.log(2))
    np.testing.assert_allclose(unsure.mutual_information, 0)
    assert unsure.agreement == 1
    assert uncertainty(sure[:1], CLASSES).agreement == 1
