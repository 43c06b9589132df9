"""Confidence in instances, against a loop over samples, pixels and classes."""

import numpy as np
import pytest
from skimage.measure import regionprops

from hpunet_jax.instances.scores import (
    foreground_probability,
    instance_scores,
    instance_table,
    sample_agreement,
)

N, H, W, C = 3, 6, 7, 5
CLASSES = range(2, 5)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    instances = rng.choice([0, 3, 4, 900], (H, W)).astype(np.int32)
    probabilities = rng.dirichlet(np.ones(C), (N, H, W)).astype(np.float32)
    return instances, probabilities


def test_confidence_is_the_mean_softmax_of_the_stochastic_classes_over_samples_and_pixels(arrays):
    instances, probabilities = arrays
    scores = instance_scores(instances, foreground_probability(probabilities, CLASSES))
    for number, instance in enumerate((3, 4, 900)):
        values = [
            sum(probabilities[sample, y, x, label] for label in CLASSES)
            for sample in range(N)
            for y in range(H)
            for x in range(W)
            if instances[y, x] == instance
        ]
        np.testing.assert_allclose(scores[number], np.mean(values), rtol=1e-6)


def test_agreement_is_the_share_of_the_most_frequent_label_but_background(arrays):
    instances, probabilities = arrays
    labels = probabilities.argmax(axis=-1)
    agreement = sample_agreement(instances, labels)
    for number, instance in enumerate((3, 4, 900)):
        shares = []
        for sample in range(N):
            inside = labels[sample][instances == instance]
            shares.append(max((inside == label).mean() for label in range(1, C)))
        np.testing.assert_allclose(agreement[number], np.mean(shares))


def test_samples_that_colour_an_instance_as_one_agree_and_those_that_miss_it_do_not():
    instances = np.array([[1, 1, 2, 2], [0, 0, 3, 3]])
    labels = np.array(
        [
            [[5, 5, 1, 2], [0, 0, 0, 0]],
            [[2, 2, 3, 3], [0, 0, 4, 4]],
        ]
    )
    assert sample_agreement(instances, labels).tolist() == [1.0, 0.75, 0.5]


def test_the_table_has_areas_and_boxes_as_scikit_image_finds_them(arrays):
    instances, probabilities = arrays
    foreground = foreground_probability(probabilities, CLASSES)
    table = instance_table(instances, probabilities.argmax(axis=-1), foreground)
    regions = regionprops(instances)
    assert table.ids.tolist() == [region.label for region in regions]
    assert table.areas.tolist() == [region.area for region in regions]
    for box, region in zip(table.boxes.tolist(), regions, strict=True):
        top, left, bottom, right = region.bbox
        assert box == [left, top, right - left, bottom - top]
    np.testing.assert_array_equal(table.confidences, instance_scores(instances, foreground))


def test_an_image_of_nothing_but_background_has_an_empty_table():
    nothing = np.zeros((4, 5), np.int32)
    table = instance_table(nothing, nothing[None], np.zeros((4, 5)))
    assert [len(column) for column in table] == [0] * 5
    assert table.boxes.shape == (0, 4)


def test_an_image_without_background_has_all_its_instances():
    instances = np.array([[1, 2]])
    table = instance_table(instances, np.array([[[3, 0]]]), np.array([[0.9, 0.1]]))
    assert table.confidences.tolist() == [0.9, 0.1]
    assert table.agreements.tolist() == [1, 0]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"foreground has \(2, 3\)"):
        instance_scores(np.zeros((2, 2), int), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"expected \[H, W\] and \[N, H, W\]"):
        sample_agreement(np.zeros((2, 2), int), np.zeros((2, 2), int))
