"""Image values: the scale, and random colour."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.augmentation import Augmentation
from hpunet_jax.augmentation.colour import random_colour
from hpunet_jax.tasks.intensity import unit_interval


def coloured(image, seed=1, **ranges):
    augmentation = Augmentation(crop=(8, 8), **ranges)
    return np.asarray(random_colour(jax.random.key(seed), image, jnp.mean(image), augmentation))


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(0), (8, 8, 3), minval=0.3, maxval=0.7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_value_is_scaled_to_the_bits_of_numpys_division(dtype):
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    expected = values.astype(np.float32) / np.iinfo(dtype).max
    scaled = jax.jit(lambda x: unit_interval(x, x.dtype))(values)
    np.testing.assert_array_equal(scaled, expected)
    ours = unit_interval(values, dtype)
    assert isinstance(ours, np.ndarray)
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == np.float32


def test_interpolated_values_are_scaled_alike():
    values = np.random.default_rng(0).uniform(0, 255, 1000).astype(np.float32)
    np.testing.assert_allclose(unit_interval(values, np.uint8), values / 255, rtol=2e-7)


def test_images_of_other_types_are_refused():
    with pytest.raises(ValueError, match="not int16"):
        unit_interval(np.zeros(3, np.int16), np.dtype(np.int16))


def test_colour_ranges_of_zero_change_nothing(image):
    np.testing.assert_array_equal(coloured(image), image)


def test_changed_colours_stay_in_the_unit_interval(image):
    for seed in range(5):
        changed = coloured(image, seed, brightness=0.9, contrast=1.0, saturation=1.0, hue=180.0)
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert np.abs(changed - image).max() > 0.05


def test_brightness_adds_and_contrast_stretches_about_the_mean(image):
    difference = coloured(image, brightness=0.2) - image
    assert 0.001 < np.abs(difference).max() <= 0.2
    np.testing.assert_allclose(difference, difference[0, 0, 0], atol=1e-6)
    mean = float(image.mean())
    gain = (coloured(image, contrast=0.5) - mean) / (np.asarray(image) - mean)
    far = np.abs(image - mean) > 0.05
    np.testing.assert_allclose(gain[far], gain[far][0], rtol=1e-4)
    assert 0.001 < abs(gain[far][0] - 1) <= 0.5


def test_hue_and_saturation_leave_luminance_and_grey_alone(image):
    grey = jnp.full((4, 4, 3), 0.4)
    np.testing.assert_allclose(coloured(grey, saturation=0.9, hue=90.0), grey, atol=1e-6)
    changed = coloured(image, saturation=0.1, hue=20.0)
    luminance = [colorsys.rgb_to_yiq(*pixel)[0] for pixel in np.asarray(image).reshape(-1, 3)]
    kept = [colorsys.rgb_to_yiq(*pixel)[0] for pixel in changed.reshape(-1, 3)]
    np.testing.assert_allclose(kept, luminance, atol=5e-3)  # colorsys rounds its weights otherwise
    assert np.abs(changed - image).max() > 0.01


def test_grey_images_have_no_hue():
    grey = jax.random.uniform(jax.random.key(0), (4, 4, 1))
    np.testing.assert_array_equal(coloured(grey, saturation=0.9, hue=90.0), grey)
