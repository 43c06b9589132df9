"""NIfTI: what SimpleITK does not tell of its files."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from hpunet_jax.io.volumes import read_volume
from tests.io.test_volumes import CT, itk_image


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_that_are_no_numbers_are_refused(tmp_path, suffix, value, kind):
    values = CT.astype(kind)
    sitk.WriteImage(itk_image(values), str(path := tmp_path / f"ct{suffix}"))
    np.testing.assert_array_equal(read_volume(path).array, values, strict=True)
    values[-1, -1, -1] = value
    sitk.WriteImage(itk_image(values), str(path))
    with pytest.raises(ValueError, match=rf"ct{suffix} has values that are no finite numbers"):
        read_volume(path)


@pytest.mark.parametrize("order", "<>")
def test_nifti_2_is_named(tmp_path, order):
    header = struct.pack(f"{order}i", 540) + b"n+2\0\r\n\032\n" + bytes(532)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(header))
    with pytest.raises(ValueError, match=r"ct\.nii\.gz is NIfTI-2, .* convert it to NIfTI-1"):
        read_volume(tmp_path / "ct.nii.gz")
