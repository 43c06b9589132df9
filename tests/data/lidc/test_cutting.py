"""The crop's pixel grid: images bilinearly, masks at the nearest pixel."""

import numpy as np

from hpunet_jax.data.lidc.cutting import cut_image, cut_mask, to_grey


def test_a_crop_at_half_a_millimetre_is_cut_out_as_it_is():
    hounsfield = np.random.default_rng(0).normal(size=(200, 220)).astype(np.float32)
    crop = cut_image(hounsfield, (109.5, 99.5), 0.5, outside=-1000.0)
    np.testing.assert_array_equal(crop, hounsfield[10:190, 20:200])
    crop = cut_image(hounsfield, (0.5, 99.5), 0.5, outside=-1000.0)
    np.testing.assert_array_equal(crop[:, 89:], hounsfield[10:190, :91])
    assert (crop[:, :88] == -1000).all()


def test_other_spacings_are_resampled_bilinearly_about_the_centre():
    y, x = np.mgrid[:300, :300].astype(np.float32)
    crop = cut_image(2 * y - 3 * x, (120.25, 160.5), 0.8, outside=0.0)
    offset = (np.arange(180) - 89.5) * 0.5 / 0.8
    expected = 2 * (160.5 + offset[:, None]) - 3 * (120.25 + offset)
    np.testing.assert_allclose(crop, expected, atol=1e-2)


def test_the_window_is_shown_from_0_to_255():
    values = np.array([-3000, -1000, -300, 400, 3000], np.float32)
    assert to_grey(values, (-1000, 400)).tolist() == [0, 0, 128, 255, 255]


def test_masks_lie_on_the_pixels_of_images():
    mask = np.zeros((40, 50), bool)
    mask[3:30, 5:41] = True
    slice_ = np.zeros((200, 220))
    slice_[20:60, 30:80] = mask
    for spacing in (0.5, 0.71):
        found = cut_mask(mask, (20, 30), (50.0, 40.5), spacing)
        image = cut_image(slice_, (50.0, 40.5), spacing, outside=0.0)
        assert found[image == 1].all()
        assert not found[image == 0].any()
