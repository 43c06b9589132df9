"""DICOM whose slices or frames differ: values of each in its own units, at its own place."""

import numpy as np
import pytest

from hpunet_jax.io.volumes import read_volume
from tests.io.test_volumes import CT, write_series

EVEN = [30.0, 33.0, 36.0, 39.0]


@pytest.mark.parametrize(
    ("slopes", "intercepts"),
    [([1, 0.5, 1.75, 2], [0] * 4), ([1] * 4, [0, -40000, 40000, 7]), ([0.5, 1, 2, 4], [0.25] * 4)],
)
def test_each_slice_of_a_series_has_its_own_slope_and_intercept(tmp_path, slopes, intercepts):
    write_series(
        tmp_path / "pet",
        EVEN,
        RescaleSlope=lambda n: slopes[n],
        RescaleIntercept=lambda n: intercepts[n],
    )
    values = CT * np.reshape(slopes, (4, 1, 1)) + np.reshape(intercepts, (4, 1, 1))
    np.testing.assert_array_equal(read_volume(tmp_path / "pet").array, values)


def test_slices_of_a_series_may_differ_in_sign_and_bits(tmp_path):
    stored = [CT[0].astype(np.uint16), CT[1], (CT[2] & 127).astype(np.uint8), CT[3]]
    write_series(
        tmp_path / "ct",
        EVEN,
        RescaleSlope=lambda n: 1,
        RescaleIntercept=lambda n: 0,
        PixelRepresentation=lambda n: int(stored[n].dtype.kind == "i"),
        BitsAllocated=lambda n: 8 * stored[n].itemsize,
        BitsStored=lambda n: 8 * stored[n].itemsize,
        HighBit=lambda n: 8 * stored[n].itemsize - 1,
        PixelData=lambda n: stored[n].tobytes(),
    )
    volume = read_volume(tmp_path / "ct").array
    assert volume.dtype == np.int32
    np.testing.assert_array_equal(volume, [pixels.astype(np.int32) for pixels in stored])


def test_slices_whose_white_is_0_among_others_are_refused(tmp_path):
    write_series(
        tmp_path / "ct",
        EVEN,
        PhotometricInterpretation=lambda n: f"MONOCHROME{1 if n == 2 else 2}",
    )
    with pytest.raises(ValueError, match=r"dcm and .*dcm have different photometric .*MONOCHROME1"):
        read_volume(tmp_path / "ct")
