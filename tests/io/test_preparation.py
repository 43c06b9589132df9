"""Windows and resampling: closed forms, and the sentences where they cannot be applied."""

import numpy as np
import pytest

from configs import own_data
from hpunet_jax.io import Preparation, resize_labels

RNG = np.random.default_rng(0)
CT = RNG.integers(-1024, 3000, (3, 6, 8, 1)).astype(np.int16)


def test_a_window_maps_its_ends_to_0_and_1_and_cuts_off_what_lies_beyond():
    values = np.array([-2000, -1000, -300, 400, 3000], np.int16).reshape(1, 1, 5, 1)
    prepared = Preparation(window=(-1000.0, 400.0)).images(values, None, "ct")
    np.testing.assert_array_equal(
        prepared.ravel(), np.array([0, 0, 32768, 65535, 65535], np.uint16), strict=True
    )


def test_percentiles_are_those_of_all_slices_of_a_volume():
    prepared = Preparation(percentiles=(10.0, 90.0)).images(CT, None, "ct")
    low, high = np.percentile(CT, (10, 90))
    expected = Preparation(window=(low, high)).images(CT, None, "ct")
    np.testing.assert_array_equal(prepared, expected, strict=True)
    assert not Preparation(percentiles=(1.0, 99.0)).images(CT * 0, None, "ct").any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unsigned_integers_of_8_and_16_bits_stay_as_they_are(dtype):
    values = RNG.integers(0, 200, (2, 5, 4, 3)).astype(dtype)
    np.testing.assert_array_equal(Preparation().images(values, None, "a"), values, strict=True)


def test_images_are_resampled_linearly_and_labels_by_the_nearest_pixel():
    ramp = np.arange(8, dtype=np.uint8)[None, None, :, None].repeat(4, 1) * 16
    half = Preparation(spacing=(1.0, 0.5))
    found = half.images(ramp, (1.0, 1.0), "a")
    assert found.shape == (1, 4, 16, 1)
    # A pixel's two halves lie a quarter before and behind its centre.
    np.testing.assert_allclose(found[0, 0, 1:-1, 0], np.arange(1, 15) * 8 - 4)
    labels = RNG.integers(0, 9, (2, 4, 6)).astype(np.int64) * 1000
    twice = Preparation(spacing=(0.5, 0.5)).labels(labels, (1.0, 1.0), "a")
    np.testing.assert_array_equal(twice, labels.repeat(2, 1).repeat(2, 2), strict=True)
    np.testing.assert_array_equal(resize_labels(twice, (4, 6)), labels, strict=True)


def test_a_spacing_gives_the_size_that_covers_the_same_area():
    assert Preparation(spacing=(0.8, 2.0)).size((100, 50), (0.4, 1.0), "a") == (50, 25)
    assert Preparation().size((100, 50), None, "a") == (100, 50)


def test_images_of_any_format_are_scaled_and_no_pixel_is_skipped():
    values = RNG.integers(0, 256, (1, 64, 48, 1)).astype(np.uint8)
    quarter = Preparation(scale=0.25).images(values, None, "a")
    assert quarter.shape == (1, 16, 12, 1)
    assert quarter.std() < values.std() / 3  # of independent pixels; a skipping filter keeps it
    assert quarter.mean() == pytest.approx(values.mean(), abs=2)
    flat = np.full((1, 8, 8, 1), 77, np.uint8)
    assert (Preparation(scale=0.3).images(flat, None, "a") == 77).all()
    assert Preparation(spacing=(1.0, 1.0), scale=2).size((10, 20), (0.5, 0.5), "a") == (10, 20)


@pytest.mark.parametrize(
    ("values", "preparation", "message"),
    [
        (CT, Preparation(), "ct.nii has int16 values, from -10"),
        (CT / np.float32(7), Preparation(), "data.window"),
        (np.ones((1, 2, 2, 1), complex), Preparation(percentiles=(1.0, 99.0)), "complex128 values"),
        (np.full((1, 2, 2, 1), np.nan), Preparation(window=(0.0, 1.0)), "no finite numbers"),
        (CT, Preparation(window=(0.0, 1.0), spacing=(1.0, 1.0)), "how large its pixels are"),
    ],
)
def test_what_cannot_be_prepared_is_named(values, preparation, message):
    with pytest.raises(ValueError, match=message) as error:
        preparation.images(values, None, "ct.nii")
    assert "ct.nii" in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": (400, -1000)}, "data.window is"),
        ({"window": (1,)}, "two numbers"),
        ({"percentiles": (99, 1)}, "data.percentiles is"),
        ({"window": (0, 1), "percentiles": (1, 99)}, "in two ways"),
        ({"spacing": (0, 1)}, "above 0"),
        ({"scale": 0}, "data.scale is 0.0: expected 0.01 to 100"),
        ({"window": (0, np.inf)}, r"data.window is \(0.0, inf\): expected finite"),
        ({"window": (-np.inf, 0)}, "data.window is .*: expected finite"),
        ({"spacing": (1, np.nan)}, "data.spacing is .*: expected finite"),
        ({"percentiles": (1, 101)}, r"data.percentiles is \(1.0, 101.0\): expected two of 0 to"),
        ({"percentiles": (-1, 99)}, "data.percentiles is .*: expected two of 0 to 100"),
    ],
)
def test_fields_that_make_no_sense_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Preparation.from_config(fields)


def test_sizes_beyond_all_measure_are_refused_before_memory_is_taken():
    tiny = Preparation(spacing=(1e-5, 1e-5))
    with pytest.raises(ValueError, match=r"ct\.nii with pixels of 0\.8x0\.8 mm would be scaled"):
        tiny.images(CT.astype(np.uint16), (0.8, 0.8), "ct.nii")
    with pytest.raises(ValueError, match=r"would be scaled by 0\.0008x0\.0008"):
        Preparation(spacing=(1000.0, 1000.0)).size((512, 512), (0.8, 0.8), "ct.nii")
    with pytest.raises(ValueError, match="resampled, has 51,200x51,200 pixels"):
        Preparation(scale=100.0).size((512, 512), None, "ct.nii")
    assert Preparation(scale=100.0).size((6, 8), None, "ct.nii") == (600, 800)


def test_a_run_prepares_files_as_its_config_says():
    config = own_data.get_config().unlock()
    config.data.window = (-1000, 400)
    assert Preparation.from_config(config.data) == Preparation(window=(-1000.0, 400.0))
    assert Preparation.from_config(None) == Preparation()
