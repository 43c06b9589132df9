"""The centre crop of evaluation."""

import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.tasks.crop import centre_crop, evaluation_crop


def test_the_middle_is_cut_out_and_is_a_view():
    maps = np.arange(2 * 6 * 7 * 3).reshape(2, 6, 7, 3)
    middle = centre_crop(maps, (4, 4))
    np.testing.assert_array_equal(middle, maps[:, 1:5, 1:5])
    assert np.shares_memory(middle, maps)
    np.testing.assert_array_equal(centre_crop(maps[..., 0], (6, 7)), maps[..., 0])


@pytest.mark.parametrize("crop", [(7, 4), (4, 8)])
def test_a_crop_larger_than_the_images_is_refused(crop):
    with pytest.raises(ValueError, match="the images are 6x7, smaller"):
        centre_crop(np.zeros((2, 6, 7)), crop)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_all_maps_are_cropped_alike_and_the_image_scaled(array):
    rng = np.random.default_rng(0)
    examples = {
        "image": array(rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)),
        "semantic": array(rng.integers(0, 19, (2, 8, 8)).astype(np.uint8)),
        "masks": array(rng.integers(0, 2, (2, 8, 8, 4)).astype(np.uint8)),
        "id": ["a", "b"],
    }
    cropped = evaluation_crop(examples, (4, 6))
    image = np.asarray(examples["image"])[:, 2:6, 1:7].astype(np.float32) / 255
    np.testing.assert_array_equal(cropped["image"], image)
    for name in ("semantic", "masks"):
        np.testing.assert_array_equal(cropped[name], examples[name][:, 2:6, 1:7])
        assert cropped[name].dtype == np.uint8
    assert cropped["id"] == ["a", "b"]
    assert type(cropped["image"]) is type(examples["image"])
