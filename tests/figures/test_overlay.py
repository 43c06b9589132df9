"""Instances over their image."""

import warnings

import numpy as np
import pytest

from hpunet_jax.figures.overlay import overlay
from hpunet_jax.figures.palettes import instance_palette


def test_instances_are_tinted_outlined_and_numbered_and_background_stays_as_it_is():
    image = np.full((600, 700, 1), 128, np.uint8)
    instances = np.zeros((600, 700), np.uint16)
    instances[100:200, 100:200] = 1
    instances[300:304, 300:304] = 2  # too small for a number
    picture = overlay(image, instances)
    assert picture.shape == (600, 700, 3)
    assert (picture[instances == 0] == 128).all()
    first, second = np.round(255 * instance_palette(2)[1:])
    np.testing.assert_array_equal(picture[100, 150], first)
    np.testing.assert_array_equal(picture[300, 302], second)
    tint = np.round(0.6 * 128 + 0.4 * first)
    np.testing.assert_allclose(picture[110, 110], tint, atol=1)
    written = (picture[101:199, 101:199] == 255).all(axis=-1)
    y, x = np.nonzero(written)
    assert 5 < len(y) < 200
    np.testing.assert_allclose([y.mean() + 101, x.mean() + 101], 150, atol=8)
    assert not (picture[300:304, 300:304] == 255).all(axis=-1).any()
    greatest = np.where(instances == 1, 255, 0).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # sums of uint8 overflow
        drawn = overlay(image, greatest)
    np.testing.assert_array_equal(drawn, overlay(image, greatest.astype(int)))
    great = np.where(instances == 1, 2**63 + 5, 0).astype(np.uint64)  # of an atlas of neurons
    assert (overlay(image, great)[100:200, 100:200] != 128).any(axis=-1).all()


def test_small_images_are_magnified():
    instances = np.zeros((20, 30), np.int32)
    picture = overlay(np.zeros((20, 30, 3), np.uint8), instances)
    assert picture.shape == (18 * 20, 18 * 30, 3)
    assert not picture.any()
    assert overlay(np.zeros((2, 512, 3)), np.ones((2, 512), int)).shape == (2, 512, 3)


def test_maps_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"instances have shape \(2, 3\)"):
        overlay(np.zeros((2, 2, 1)), np.zeros((2, 3), int))
