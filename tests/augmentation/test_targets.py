"""Drawing targets: graders, instance ids, cars; and colour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from hpunet_jax.augmentation.colour import random_colour
from hpunet_jax.augmentation.targets import (
    IGNORE,
    draw_target,
    random_cars,
    random_grader,
    random_ids,
)


def draws(function, number, seed=0):
    return np.asarray(jax.vmap(function)(jax.random.split(jax.random.key(seed), number)))


def test_graders_are_drawn_uniformly_and_never_a_missing_one():
    masks = np.broadcast_to(np.array([1, 2, 255, 3], np.uint8), (2, 3, 4)).copy()
    labels = draws(lambda key: random_grader(key, masks), 3000)
    assert (labels == labels[:, :1, :1]).all()  # one grader for all pixels
    counts = np.bincount(labels[:, 0, 0], minlength=4)[1:]
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_ignored_pixels_of_a_grader_are_ignored():
    masks = np.zeros((2, 2, 1), np.uint8)
    masks[0, 0] = 255
    assert random_grader(jax.random.key(0), masks).tolist() == [[IGNORE, 0], [0, 0]]


def test_ids_are_uniform_and_the_same_within_an_instance():
    instances = np.array([[0, 7, 7], [0, 65_535, 7]], np.uint16)
    labels = draws(lambda key: random_ids(key, instances, 15), 1500)
    assert (labels[:, :, 0] == 0).all()
    assert (labels[:, 0, 1] == labels[:, 0, 2]).all()
    for pixel in (labels[:, 0, 1], labels[:, 1, 1]):
        assert scipy.stats.chisquare(np.bincount(pixel, minlength=16)[1:]).pvalue > 0.01
    together = np.mean(labels[:, 0, 1] == labels[:, 1, 1])
    assert abs(together - 1 / 15) < 0.025  # independent of each other


def test_cars_become_five_classes_and_the_others_move_up():
    semantic = np.array([[0, 12, 13, 13], [13, 14, 18, 255]], np.uint8)
    cars = np.array([[0, 0, 1, 2], [0, 0, 0, 0]], np.uint16)
    labels = draws(lambda key: random_cars(key, semantic, cars, 5), 500)
    assert (labels[:, 0, :2] == [0, 12]).all()
    assert set(np.unique(labels[:, 0, 2:])) == {13, 14, 15, 16, 17}
    assert (labels[:, 1] == [IGNORE, 18, 22, IGNORE]).all()  # a car group belongs to no car


def test_an_example_without_annotations_is_refused():
    with pytest.raises(ValueError, match="it has image"):
        draw_target(jax.random.key(0), {"image": np.zeros((2, 2, 1))}, 5)
    with pytest.raises(ValueError, match=r"data\.num_ids"):
        draw_target(jax.random.key(0), {"instances": np.zeros((2, 2), np.uint16)})


def test_colour_ranges_of_zero_change_nothing_and_others_stay_in_range():
    image = jax.random.uniform(jax.random.key(0), (8, 8, 3))
    same = random_colour(jax.random.key(1), image, 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(same, image, atol=1e-6)
    changed = random_colour(jax.random.key(1), image, 0.2, 0.2, 0.5, 20.0)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert jnp.abs(changed - image).max() > 0.05


def test_hue_and_saturation_leave_grey_alone():
    grey = jnp.full((4, 4, 3), 0.4)
    changed = random_colour(jax.random.key(1), grey, 0.0, 0.0, 0.9, 90.0)
    np.testing.assert_allclose(changed, grey, atol=1e-6)
