import pickle

import numpy as np
import pydicom
import pytest

from hpunet_jax.data.lidc.dicom import (
    BadScanError,
    read_hounsfield,
    read_identity,
    read_series,
    resample_crop,
    to_grey,
)


def test_a_series_is_read_in_the_order_of_its_instance_numbers(tmp_path, lidc_files):
    lidc_files.series(tmp_path, positions=(5.0, 2.5, 0.0), PixelSpacing=[0.7, 0.7])
    (tmp_path / "069.xml").touch()
    series = read_series(tmp_path)
    assert series.uid == f"{lidc_files.PREFIX}1"
    assert (series.patient, series.pixel_spacing) == ("LIDC-IDRI-0001", 0.7)
    assert [s.z for s in series.slices] == [5.0, 2.5, 0.0]
    assert [s.path.name for s in series.slices] == ["1-001.dcm", "1-002.dcm", "1-003.dcm"]
    assert read_identity(tmp_path) == (series.uid, series.patient, "CT")


def test_slices_are_found_by_uid_and_else_by_position(tmp_path, lidc_files):
    lidc_files.series(tmp_path)
    series = read_series(tmp_path)
    uid = series.slices[2].uid
    assert series.find(2.5, uid).z == 5.0
    assert series.find(2.501, None).z == 2.5
    assert series.find(2.5, "unknown").z == 2.5
    assert series.find(3.0, None) is None


def test_slices_with_another_slice_location_are_dropped(tmp_path, lidc_files):
    stored = lidc_files.series(tmp_path, positions=(-5.0, -2.5, 0.0, 2.5))
    lidc_files.slice(tmp_path / "1-001.dcm", stored[0], -5.0, 1, 1, SliceLocation=5.0)
    lidc_files.slice(tmp_path / "1-002.dcm", stored[1], -2.5, 1, 2, SliceLocation=2.4)
    lidc_files.slice(tmp_path / "1-003.dcm", stored[2], 0.0, 1, 3, SliceLocation=None)
    series = read_series(tmp_path)
    assert [s.z for s in series.slices] == [-5.0, 0.0, 2.5]
    assert series.dropped == [f"{lidc_files.PREFIX}1.2"]
    assert series.find(-2.5, series.dropped[0]) is None


def test_stored_values_become_hounsfield_units(tmp_path, lidc_files):
    pixels = np.array([[-2000, 0], [1024, 3000]], np.int16)
    path = tmp_path / "a.dcm"
    lidc_files.slice(path, pixels, 0.0, 1, 1, RescaleSlope=2, RescaleIntercept=-1000)
    assert read_hounsfield(path).tolist() == [[-5000, -1000], [1048, 5000]]
    unsigned = pixels.astype(np.uint16)
    lidc_files.slice(path, unsigned, 0.0, 1, 1, PixelRepresentation=0, syntax=lidc_files.explicit)
    assert read_hounsfield(path).tolist() == [[63_536 - 1024, -1024], [0, 1976]]


def test_a_crop_at_half_a_millimetre_is_cut_out_as_it_is(tmp_path):
    hounsfield = np.random.default_rng(0).normal(size=(200, 220)).astype(np.float32)
    crop = resample_crop(hounsfield, (109.5, 99.5), 0.5, outside=-1000.0)
    np.testing.assert_array_equal(crop, hounsfield[10:190, 20:200])
    crop = resample_crop(hounsfield, (0.5, 99.5), 0.5, outside=-1000.0)
    np.testing.assert_array_equal(crop[:, 89:], hounsfield[10:190, :91])
    assert (crop[:, :88] == -1000).all()


def test_other_spacings_are_resampled_bilinearly_about_the_centre():
    y, x = np.mgrid[:300, :300].astype(np.float32)
    crop = resample_crop(2 * y - 3 * x, (120.25, 160.5), 0.8, outside=0.0)
    offset = (np.arange(180) - 89.5) * 0.5 / 0.8
    expected = 2 * (160.5 + offset[:, None]) - 3 * (120.25 + offset)
    np.testing.assert_allclose(crop, expected, atol=1e-2)


def test_the_window_is_shown_from_0_to_255():
    values = np.array([-3000, -1000, -300, 400, 3000], np.float32)
    assert to_grey(values, (-1000, 400)).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
    ("number", "kind", "fields", "words"),
    [
        (2, "mixed pixel spacing", {"PixelSpacing": [0.6, 0.6]}, r"1-002\.dcm has PixelSpacing"),
        (2, "mixed pixel spacing", {"PixelSpacing": [0.5, 0.6]}, r"1-002\.dcm has PixelSpacing"),
        (3, "several series in a folder", {"SeriesInstanceUID": "1.2.3"}, r"1-003\.dcm has Ser"),
        (1, "not 16 bits", {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "has 8 bits"),
        (1, "damaged DICOM", {"RescaleSlope": None}, r"1-001\.dcm .* has no RescaleSlope"),
        (1, "damaged DICOM", {"InstanceNumber": None}, "has no InstanceNumber"),
        (2, "slices out of order", {"InstanceNumber": 9}, r"1-002\.dcm at 2\.5 mm comes after"),
        (
            3,
            "slices out of order",
            {"ImagePositionPatient": [0, 0, 2.5], "SliceLocation": 2.5},
            r"1-003\.dcm at 2\.5 mm comes after 1-002\.dcm at 2\.5 mm",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path, lidc_files, number, kind, fields, words
):
    stored = lidc_files.series(tmp_path, positions=(0.0, 2.5, 5.0, 7.5, 10.0))
    path = tmp_path / f"1-{number:03d}.dcm"
    z = 2.5 * (number - 1)
    lidc_files.slice(path, stored[number - 1], z, 1, number, **fields)
    with pytest.raises(BadScanError, match=words) as error:
        read_series(tmp_path)
    assert error.value.kind == kind


def test_another_image_size_and_rectangular_pixels_are_refused(tmp_path, lidc_files):
    lidc_files.series(tmp_path)
    lidc_files.slice(tmp_path / "1-003.dcm", np.zeros((64, 32), np.int16), 5.0, 1, 3)
    with pytest.raises(BadScanError, match="Columns 32, but") as error:
        read_series(tmp_path)
    assert error.value.kind == "mixed image size"
    lidc_files.series(tmp_path, PixelSpacing=[0.5, 0.6])
    with pytest.raises(BadScanError, match=r"pixels of \[0\.5, 0\.6\] mm"):
        read_series(tmp_path)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.5, 0.999])
def test_truncated_files_are_named_from_their_headers_alone(tmp_path, lidc_files, keep, explicit):
    fields = {"syntax": lidc_files.explicit} if explicit else {}
    lidc_files.series(tmp_path, **fields)
    path = tmp_path / "1-002.dcm"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BadScanError, match=r"1-002\.dcm is (damaged|cut short)") as error:
        read_series(tmp_path)
    assert error.value.kind == "damaged DICOM"
    with pytest.raises(BadScanError, match=r"1-002\.dcm cannot be read"):
        read_hounsfield(path)


def test_a_folder_of_damaged_files_or_dropped_slices_is_named(tmp_path, lidc_files):
    (tmp_path / "1-001.dcm").write_bytes(b"nothing")
    with pytest.raises(BadScanError, match="none of its"):
        read_identity(tmp_path)
    lidc_files.series(tmp_path, SliceLocation=77.0)
    with pytest.raises(BadScanError, match=r"differs .* in all files"):
        read_series(tmp_path)


def test_the_error_comes_back_whole_from_another_process():
    error = pickle.loads(pickle.dumps(BadScanError("kind", "a sentence")))
    assert (error.kind, str(error)) == ("kind", "a sentence")


def test_the_test_files_are_standard_dicom(tmp_path, lidc_files):
    lidc_files.series(tmp_path)
    data = pydicom.dcmread(tmp_path / "1-001.dcm")
    assert data.preamble is not None
    assert data.pixel_array.shape == (64, 64)
