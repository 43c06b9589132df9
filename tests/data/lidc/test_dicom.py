import pickle

import numpy as np
import pydicom
import pytest

from hpunet_jax.data.lidc.dicom import (
    AmbiguousSliceError,
    BadScanError,
    read_hounsfield,
    read_identity,
    read_series,
)


def test_a_series_is_read_whatever_its_instance_numbers(tmp_path, lidc_files):
    lidc_files.series(
        tmp_path, positions=(5.0, 2.5, 0.0), PixelSpacing=[0.7, 0.7], InstanceNumber=9
    )
    (tmp_path / "069.xml").touch()
    series = read_series(tmp_path)
    assert series.uid == f"{lidc_files.PREFIX}1"
    assert (series.patient, series.pixel_spacing) == ("LIDC-IDRI-0001", 0.7)
    assert [s.z for s in series.slices] == [0.0, 2.5, 5.0]
    assert [s.path.name for s in series.slices] == ["1-003.dcm", "1-002.dcm", "1-001.dcm"]
    assert read_identity(tmp_path) == (series.uid, series.patient, "CT")


def test_slices_are_found_by_uid_and_else_by_position(tmp_path, lidc_files):
    lidc_files.series(tmp_path)
    series = read_series(tmp_path)
    uid = series.slices[2].uid
    assert series.find(2.5, [uid]).z == 5.0
    assert series.find(2.5, ["unknown", uid]).z == 5.0
    assert series.find(2.501).z == 2.5
    assert series.find(2.5, ["unknown"]).z == 2.5
    assert series.find(3.0) is None


def test_slices_with_another_slice_location_are_dropped(tmp_path, lidc_files):
    stored = lidc_files.series(tmp_path, positions=(-5.0, -2.5, 0.0, 2.5))
    lidc_files.slice(tmp_path / "1-001.dcm", stored[0], -5.0, 1, 1, SliceLocation=5.0)
    lidc_files.slice(tmp_path / "1-002.dcm", stored[1], -2.5, 1, 2, SliceLocation=2.4)
    lidc_files.slice(tmp_path / "1-003.dcm", stored[2], 0.0, 1, 3, SliceLocation=None)
    series = read_series(tmp_path)
    assert [s.z for s in series.slices] == [-5.0, 0.0, 2.5]
    assert series.dropped == [f"{lidc_files.PREFIX}1.2"]
    assert series.find(-2.5, series.dropped) is None


def test_a_slice_location_rounded_otherwise_drops_no_slice(tmp_path, lidc_files):
    stored = lidc_files.series(tmp_path, positions=(-285.7, 0.0))
    lidc_files.slice(tmp_path / "1-001.dcm", stored[0], -285.7, 1, 1, SliceLocation=285.700001)
    assert [s.z for s in read_series(tmp_path).slices] == [-285.7, 0.0]


def test_of_two_images_at_a_position_the_uid_decides(tmp_path, lidc_files):
    lidc_files.series(tmp_path, positions=(0.0, 2.5, 2.5))
    series = read_series(tmp_path)
    for number in (2, 3):
        found = series.find(2.5, [f"{lidc_files.PREFIX}1.{number}"])
        assert found.path.name == f"1-00{number}.dcm"
    assert series.find(0.0).z == 0.0
    with pytest.raises(AmbiguousSliceError, match=r"1-002\.dcm and .*1-003\.dcm are two images at"):
        series.find(2.5)


def test_a_copied_file_is_a_copy_and_another_image_of_its_uid_is_ambiguous(tmp_path, lidc_files):
    stored = lidc_files.series(tmp_path)
    (tmp_path / "1-003(1).dcm").write_bytes((tmp_path / "1-003.dcm").read_bytes())
    uid = f"{lidc_files.PREFIX}1.3"
    assert read_series(tmp_path).find(5.0, [uid]).path.name == "1-003(1).dcm"
    assert read_series(tmp_path).find(5.0).z == 5.0
    lidc_files.slice(tmp_path / "1-003(1).dcm", stored[0], 5.0, 1, 3)
    with pytest.raises(AmbiguousSliceError, match="are two images of the UID"):
        read_series(tmp_path).find(5.0, [uid])


def test_parts_of_a_scan_may_lie_in_several_folders(tmp_path, lidc_files):
    lidc_files.series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "a/1-002.dcm").rename(tmp_path / "b/1-002.dcm")
    assert [s.z for s in read_series(tmp_path / "a", tmp_path / "b").slices] == [0.0, 2.5, 5.0]


def test_files_are_known_by_their_content_not_their_name(tmp_path, lidc_files):
    lidc_files.series(tmp_path)
    (tmp_path / "1-001.dcm").rename(tmp_path / "IM000001")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "readme").write_text("not a slice")
    assert len(read_series(tmp_path).slices) == 3


def test_a_decimal_comma_is_read(tmp_path, lidc_files):
    lidc_files.series(tmp_path, positions=(-285.75,), PixelSpacing=[0.75, 0.75])
    path = tmp_path / "1-001.dcm"
    data = path.read_bytes().replace(b"285.75", b"285,75").replace(b"\x080.75\\0.75", b"")
    path.write_bytes(data.replace(b"0.75\\0.75", b"0,75\\0,75"))
    series = read_series(tmp_path)
    assert (series.slices[0].z, series.pixel_spacing) == (-285.75, 0.75)


def test_stored_values_become_hounsfield_units(tmp_path, lidc_files):
    pixels = np.array([[-2000, 0], [1024, 3000]], np.int16)
    path = tmp_path / "a.dcm"
    lidc_files.slice(path, pixels, 0.0, 1, 1, RescaleSlope=2, RescaleIntercept=-1000)
    assert read_hounsfield(path).tolist() == [[-5000, -1000], [1048, 5000]]
    unsigned = pixels.astype(np.uint16)
    lidc_files.slice(path, unsigned, 0.0, 1, 1, PixelRepresentation=0, syntax=lidc_files.explicit)
    assert read_hounsfield(path).tolist() == [[63_536 - 1024, -1024], [0, 1976]]


@pytest.mark.parametrize(
    ("number", "kind", "fields", "words"),
    [
        (2, "mixed pixel spacing", {"PixelSpacing": [0.6, 0.6]}, r"1-002\.dcm has PixelSpacing"),
        (2, "mixed pixel spacing", {"PixelSpacing": [0.5, 0.6]}, r"1-002\.dcm has PixelSpacing"),
        (3, "several series in a folder", {"SeriesInstanceUID": "1.2.3"}, r"1-003\.dcm has Ser"),
        (1, "not 16 bits", {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "has 8 bits"),
        (1, "damaged DICOM", {"RescaleSlope": None}, r"1-001\.dcm .* has no RescaleSlope"),
        (2, "damaged DICOM", {"RescaleSlope": "nan"}, r"1-002\.dcm is damaged .*RescaleSlope"),
        (2, "damaged DICOM", {"RescaleSlope": 0}, r"1-002\.dcm is damaged: its RescaleSlope is 0"),
        (2, "damaged DICOM", {"RescaleIntercept": "inf"}, r"1-002\.dcm .*its RescaleIntercept is"),
        (3, "damaged DICOM", {"PixelSpacing": [0, 0]}, r"1-003\.dcm .*its PixelSpacing is 0"),
        (3, "damaged DICOM", {"PixelSpacing": 0.5}, r"1-003\.dcm .*expected 2 finite numbers"),
        (
            2,
            "damaged DICOM",
            {"ImagePositionPatient": [0, 0, "nan"]},
            r"1-002\.dcm is damaged .*ImagePositionPatient is \[0.0, 0.0, nan\]",
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


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLosslessSV1", "JPEGLSLossless"])
def test_compressed_slices_are_read_like_others(tmp_path, lidc_files, syntax):
    stored = lidc_files.series(tmp_path, positions=(0.0,), syntax=lidc_files.explicit)[0]
    lidc_files.compress(tmp_path / "1-001.dcm", syntax)
    data = pydicom.dcmread(tmp_path / "1-001.dcm")
    assert data.file_meta.TransferSyntaxUID.keyword == syntax
    (one,) = read_series(tmp_path).slices
    np.testing.assert_array_equal(read_hounsfield(one.path), stored - 1024.0)
    one.path.write_bytes(one.path.read_bytes()[:2000])
    with pytest.raises(BadScanError, match=r"1-001\.dcm is damaged"):
        read_hounsfield(one.path)


def test_a_missing_decoder_is_not_called_damage(tmp_path, lidc_files):
    lidc_files.series(tmp_path, positions=(0.0,), syntax=lidc_files.explicit)
    lidc_files.compress(tmp_path / "1-001.dcm", "JPEG2000Lossless")
    path = tmp_path / "1-001.dcm"
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.HTJ2KLossless
    data.save_as(path)
    with pytest.raises(BadScanError, match="for which no decoder is installed") as error:
        read_hounsfield(path)
    assert error.value.kind == "no decoder"


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, lidc_files, monkeypatch):
    lidc_files.series(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pydicom, "dcmread", refuse)
    with pytest.raises(BadScanError, match=r"1-001\.dcm cannot be read: Permission denied"):
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
    with pytest.raises(BadScanError, match=r"1-002\.dcm is damaged or no DICOM file"):
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
