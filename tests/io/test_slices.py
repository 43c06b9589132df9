"""One door: whatever the format, a file is its slices, with the same values."""

import h5py
import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile

from hpunet_jax.io import Preparation, read_image, read_label_slices, read_labels, read_slices

RNG = np.random.default_rng(0)
BLOCK = RNG.integers(0, 2**12, (5, 6, 7)).astype(np.uint16)
CT = (BLOCK.astype(np.int16) - 1024) * 2
LUNG = Preparation(window=(-1000.0, 400.0))


def write(path, array):
    """A file of a format that its suffix says; 2-D arrays are single images."""
    if path.suffix in (".h5", ".hdf5"):
        with h5py.File(path, "w") as file:
            file["raw"] = array
    elif path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(array))
    elif path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, array)
    else:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.5, 0.25, 3.0)[: array.ndim])
        sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".h5"])
def test_a_volume_is_its_slices_in_every_format(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", BLOCK)
    found = read_slices(path)
    np.testing.assert_array_equal(found.array, BLOCK[..., None], strict=True)
    assert (found.size, found.values) == ((6, 7), (BLOCK.min(), BLOCK.max()))
    assert found.volume.array.shape == (5, 6, 7)
    assert found.spacing == (None if suffix in (".tif", ".h5") else (0.25, 0.5))
    np.testing.assert_array_equal(read_label_slices(path).array, BLOCK, strict=True)
    with pytest.raises(ValueError, match=rf"a{suffix} is a volume of 5 slices: expected one image"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".png"])
def test_a_single_image_is_one_slice_in_every_format(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", BLOCK[0])
    np.testing.assert_array_equal(read_image(path).array, BLOCK[0, ..., None], strict=True)
    np.testing.assert_array_equal(read_labels(path).array, BLOCK[0])
    assert (read_slices(path).volume is None) == (suffix in (".tif", ".png"))


def test_a_dicom_file_is_one_slice_in_hounsfield_units(tmp_path):
    image = sitk.JoinSeries(sitk.GetImageFromArray(CT[0]))
    for key, value in (("0028|1052", "-1024"), ("0028|1053", "2"), ("0008|0060", "CT")):
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "a.dcm"))
    found = read_slices(tmp_path / "a.dcm", LUNG)
    assert found.values == (CT[0].min(), CT[0].max())
    np.testing.assert_array_equal(found.array, LUNG.images(CT[:1, ..., None], None, "ct"))


def write_dicom(path, **changes):
    """A slice of stored values below 4096, with other attributes."""
    sitk.WriteImage(sitk.JoinSeries(sitk.GetImageFromArray(BLOCK[0])), str(path))
    file = pydicom.dcmread(path)
    for name in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"):
        if name in file:
            delattr(file, name)
    for name, value in changes.items():
        setattr(file, name, value)
    file.save_as(path)
    return path


TWELVE, WHITE_IS_0 = {"BitsStored": 12, "HighBit": 11}, {"PhotometricInterpretation": "MONOCHROME1"}


@pytest.mark.parametrize(
    ("changes", "bits"),
    [({}, 16), (TWELVE, 12), (WHITE_IS_0, 16), ({**TWELVE, **WHITE_IS_0}, 12)],
)
def test_white_is_the_greatest_value_that_the_bits_of_a_dicom_file_hold(tmp_path, changes, bits):
    path, greatest = write_dicom(tmp_path / "a.dcm", **changes), 2**bits - 1
    shown = greatest - BLOCK[0] if "PhotometricInterpretation" in changes else BLOCK[0]
    stretched = shown.astype(np.uint32) * 65535 // greatest
    np.testing.assert_array_equal(read_image(path).array[..., 0], stretched)
    np.testing.assert_array_equal(read_labels(path).array, shown)


@pytest.mark.parametrize("bits", [TWELVE, {}])
def test_values_are_rescaled_and_windowed_before_what_is_white_at_0_is_inverted(tmp_path, bits):
    rescaled = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    plain = read_slices(write_dicom(tmp_path / "a.dcm", **bits, **rescaled), LUNG)
    white = read_slices(write_dicom(tmp_path / "b.dcm", **bits, **rescaled, **WHITE_IS_0), LUNG)
    assert (
        plain.values
        == white.values
        == tuple(2 * int(end) - 1024 for end in (BLOCK[0].min(), BLOCK[0].max()))
    )
    np.testing.assert_array_equal(white.array, 65535 - plain.array)
    assert (plain.ends, white.ends) == ((-1000, 400), (400, -1000))
    tifffile.imwrite(tmp_path / "c.tif", BLOCK[0], photometric="miniswhite")
    expected = 65535 - LUNG.images(BLOCK[:1, ..., None], None, "c")
    np.testing.assert_array_equal(read_slices(tmp_path / "c.tif", LUNG).array, expected)


def test_rescaled_values_need_a_window_though_they_would_fit_into_unsigned_ones(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=0, **TWELVE)
    with pytest.raises(ValueError, match=r"int32 values, from .* --window=low,high"):
        read_slices(path)


RADIOGRAPH = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.mark.parametrize(
    ("changes", "spacing"),
    [
        ({"PixelSpacing": [0.5, 0.25]}, (0.5, 0.25)),
        ({"PixelSpacing": [0.5, 0.25], "SOPClassUID": RADIOGRAPH}, (0.5, 0.25)),
        ({"ImagerPixelSpacing": [0.5, 0.25]}, (0.5, 0.25)),
        ({"ImagerPixelSpacing": [9, 9], "PixelSpacing": [0.5, 0.25]}, (0.5, 0.25)),
        ({"NominalScannedPixelSpacing": [0.5, 0.25]}, (0.5, 0.25)),
        ({}, None),
    ],
)
def test_dicom_files_say_where_they_can_how_large_pixels_are(tmp_path, changes, spacing):
    path = write_dicom(tmp_path / "a.dcm", **changes)
    assert read_slices(path).spacing == spacing
    if spacing is None:
        with pytest.raises(ValueError, match=r"a\.dcm does not say how large its pixels are"):
            read_slices(path, Preparation(spacing=(0.5, 0.5)))


@pytest.mark.parametrize(("suffix", "array"), [(".nrrd", CT), (".tif", CT), (".h5", CT / 7)])
def test_a_window_is_in_the_units_of_the_file(tmp_path, suffix, array):
    found = read_slices(write(tmp_path / f"a{suffix}", array), LUNG)
    assert (found.array.dtype, found.ends) == (np.uint16, (-1000, 400))
    share = np.clip((array + 1000.0) / 1400, 0, 1)[..., None]
    np.testing.assert_allclose(found.array / 65535, share, atol=1e-5)


def test_few_bits_are_stretched_unless_a_window_says_what_is_white(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BLOCK, bitspersample=12)
    np.testing.assert_array_equal(
        read_slices(tmp_path / "a.tif").array[..., 0], BLOCK.astype(np.uint32) * 65535 // 4095
    )
    found = read_slices(tmp_path / "a.tif", Preparation(window=(0.0, 4095.0)))
    np.testing.assert_allclose(found.array[..., 0] / 65535, BLOCK / 4095, atol=1e-5)


def test_the_data_set_in_an_hdf5_file_is_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["labels"] = BLOCK, BLOCK > 99
    found = read_slices(tmp_path / "a.h5", Preparation(hdf5=("raw", "labels")))
    np.testing.assert_array_equal(found.array[..., 0], BLOCK)
    assert read_label_slices(tmp_path / "a.h5", "labels").array.max() == 1


def test_slices_are_resampled_by_the_files_own_spacing(tmp_path):
    path = write(tmp_path / "a.nii.gz", CT)
    found = read_slices(path, Preparation(window=(-2048.0, 6000.0), spacing=(0.5, 0.5)))
    assert found.array.shape == (5, 3, 7, 1)
    means = CT.reshape(5, 3, 2, 7).mean(2)  # halfway between two rows
    np.testing.assert_allclose(found.array[..., 0] / 65535 * 8048 - 2048, means, atol=0.1)
    with pytest.raises(ValueError, match=r"a\.tif does not say how large its pixels are"):
        read_slices(write(tmp_path / "a.tif", BLOCK), Preparation(spacing=(0.5, 0.5)))


def test_labels_that_are_no_integers_are_named(tmp_path):
    path = write(tmp_path / "a.nii", CT * np.float64(0.25))
    with pytest.raises(ValueError, match=r"a\.nii has values that are no whole numbers"):
        read_label_slices(path)
    whole = write(tmp_path / "b.nii", CT.astype(np.float64))
    np.testing.assert_array_equal(read_label_slices(whole).array, CT)


def test_pages_of_colours_and_white_as_0_follow_the_rules_of_single_images(tmp_path):
    colours = RNG.integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif").array, colours, strict=True)
    tifffile.imwrite(tmp_path / "b.tif", BLOCK, photometric="miniswhite")
    np.testing.assert_array_equal(read_slices(tmp_path / "b.tif").array[..., 0], 65535 - BLOCK)
    data = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(data[:-50])
    with pytest.raises(ValueError, match=r"b\.tif is damaged"):
        read_slices(tmp_path / "b.tif")
