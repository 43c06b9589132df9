"""Drawing targets: graders, instance ids, cars."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.stats

from hpunet_jax.labels import NO_TARGET
from hpunet_jax.tasks.targets import (
    check_annotations,
    draw_target,
    draw_targets,
    random_cars,
    random_grader,
    random_ids,
    stochastic_classes,
)


def draws(function, number, seed=0):
    keys = jax.random.split(jax.random.key(seed), number)
    return np.asarray(jax.jit(jax.vmap(function))(keys))


@jax.jit
def fifteen_ids(seed, instances):
    return random_ids(jax.random.key(seed), instances, 15)


def test_graders_are_drawn_uniformly_and_never_a_missing_one():
    masks = np.broadcast_to(np.array([1, 2, 255, 3], np.uint8), (2, 3, 4)).copy()
    labels = draws(lambda key: random_grader(key, masks), 3000)
    assert (labels == labels[:, :1, :1]).all()  # one grader for all pixels
    counts = np.bincount(labels[:, 0, 0], minlength=4)[1:]
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    masks = np.full((1, 1, 64), 255, np.uint8)
    masks[..., 40] = 1
    assert (draws(lambda key: random_grader(key, masks), 3000) == 1).all()


def test_ignored_pixels_of_a_grader_are_ignored():
    masks = np.zeros((2, 2, 1), np.uint8)
    masks[0, 0] = 255
    assert random_grader(jax.random.key(0), masks).tolist() == [[NO_TARGET, 0], [0, 0]]


def test_an_image_that_nobody_annotated_is_ignored_altogether():
    masks = np.full((2, 2, 3), 255, np.uint8)
    assert (random_grader(jax.random.key(0), masks) == NO_TARGET).all()


def test_ids_are_uniform_and_independent_up_to_the_last_one():
    instances = np.array([[0, 7, 7], [0, 65_535, 7]], np.uint16)
    labels = draws(lambda key: random_ids(key, instances, 5), 600)
    assert (labels[:, :, 0] == 0).all()
    pairs = scipy.stats.contingency.crosstab(labels[:, 0, 1], labels[:, 1, 1])
    assert [list(values) for values in pairs.elements] == [[1, 2, 3, 4, 5]] * 2
    for axis in (0, 1):
        assert scipy.stats.chisquare(pairs.count.sum(axis=axis)).pvalue > 0.01
    assert scipy.stats.chi2_contingency(pairs.count).pvalue > 0.01


def test_the_ids_of_one_image_are_uniform_over_its_instances():
    instances = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    counts = np.bincount(np.asarray(fifteen_ids(0, instances)).ravel())
    assert counts[0] == 1
    assert scipy.stats.chisquare(counts[1:]).pvalue > 0.01


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
    instances=hnp.arrays(np.uint16, (4, 5), elements=st.sampled_from([0, 1, 2, 300, 65_535])),
    seed=st.integers(0, 2**31 - 1),
)
def test_an_instance_has_one_label_and_background_none(instances, seed):
    labels = np.asarray(fifteen_ids(seed, instances))
    np.testing.assert_array_equal(labels == 0, instances == 0)
    assert labels.max() <= 15
    pairs = set(zip(instances.ravel().tolist(), labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(instances))


def test_cars_become_five_classes_and_the_others_move_up():
    semantic = np.array([[0, 12, 13, 13], [13, 14, 18, 255]], np.uint8)
    cars = np.array([[0, 3, 1, 2], [0, 0, 0, 4]], np.uint16)
    labels = draws(lambda key: random_cars(key, semantic, cars, 5), 400)
    assert (labels[:, 0, :2] == [0, 12]).all()
    for car in (2, 3):
        counts = np.bincount(labels[:, 0, car], minlength=18)
        assert scipy.stats.chisquare(counts[13:18]).pvalue > 0.01
        assert counts[:13].sum() == 0
    assert (labels[:, 1] == [NO_TARGET, 18, 22, NO_TARGET]).all()  # a car group belongs to no car


@pytest.mark.parametrize("kind", ["masks", "instances", "cars"])
def test_the_kind_of_annotation_says_how_the_target_is_drawn(kind):
    key = jax.random.key(1)
    ids = np.arange(12, dtype=np.uint16).reshape(3, 4)
    semantic = np.full((3, 4), 13, np.uint8)
    annotations, expected = {
        "masks": ({"masks": semantic[..., None]}, random_grader(key, semantic[..., None])),
        "instances": ({"instances": ids}, random_ids(key, ids, 5)),
        "cars": ({"semantic": semantic, "cars": ids}, random_cars(key, semantic, ids, 5)),
    }[kind]
    np.testing.assert_array_equal(draw_target(key, annotations, 5), expected)


def test_annotations_that_do_not_fit_are_refused():
    image = np.zeros((2, 8, 8, 1), np.uint8)
    masks, ids = np.zeros((2, 8, 8, 4), np.uint8), np.zeros((2, 8, 8), np.uint16)
    cars = {"semantic": ids.astype(np.uint8), "cars": ids}
    for examples, num_ids, num_classes, message in (
        ({}, 5, None, "it has image"),
        ({"cars": ids}, 5, None, "it has cars, image"),
        ({"masks": masks[:, 1:]}, None, None, r"`masks` of shape \(2, 7, 8, 4\) does not fit"),
        ({"masks": masks[..., 0]}, None, None, "does not fit"),
        ({"instances": ids[:1]}, 5, None, "`instances` of shape"),
        ({"masks": masks.astype(np.int32)}, None, None, "`masks` must be uint8, not int32"),
        ({"instances": ids.astype(np.int32)}, 5, None, "`instances` must be uint16, not int32"),
        ({"instances": ids}, None, None, r"data\.num_ids is None"),
        ({"instances": ids}, 15, 15, r"num_classes is 15, but data\.num_ids=15 makes 16"),
        (cars, 5, 19, "makes 23 classes of semantic and cars"),
    ):
        with pytest.raises(ValueError, match=message):
            check_annotations({"image": image, **examples}, num_ids, num_classes)
    for examples, num_ids, num_classes in (
        ({"masks": masks}, None, 2),
        ({"instances": ids}, 15, 16),
        (cars, 5, 23),
    ):
        chosen = check_annotations({"image": image, **examples}, num_ids, num_classes)
        assert chosen.keys() == examples.keys()


def test_the_classes_of_instances_follow_from_the_numbers_of_classes_and_labels():
    assert stochastic_classes(16, 15) == range(1, 16)
    assert stochastic_classes(23, 5) == range(13, 18)
    with pytest.raises(ValueError, match="does not tell instances apart"):
        stochastic_classes(2, None)
    with pytest.raises(ValueError, match=r"num_classes is 7, .* makes 6 classes .* and 23"):
        stochastic_classes(7, 5)


def test_the_targets_of_a_batch_are_those_of_its_examples():
    instances = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    examples = {"image": np.zeros((2, 3, 4, 1), np.uint8), "instances": instances}
    targets = draw_targets(jax.random.key(3), examples, 5)
    keys = jax.random.split(jax.random.key(3), 2)
    for number in range(2):
        expected = random_ids(keys[number], instances[number], 5)
        np.testing.assert_array_equal(targets[number], expected)
    with pytest.raises(ValueError, match=r"data\.num_ids is None"):
        draw_targets(jax.random.key(3), examples)
