"""DICOM whose slices or frames differ: values of each in its own units, at its own place."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

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


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("slices", [1, 4])
def test_values_that_would_be_made_up_are_refused(tmp_path, syntax, slices):
    def write(name, change, **changes):
        write_series(tmp_path / name, EVEN[:slices], **changes)
        for file in (tmp_path / name).iterdir():
            data = pydicom.dcmread(file)
            change(data)
            data.file_meta.TransferSyntaxUID = syntax
            data.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=True)
        return tmp_path / name

    large = {"Rows": lambda n: 60, "Columns": lambda n: 50}
    whole = write("whole", lambda data: None, **large, PixelData=lambda n: bytes(6000))
    assert read_volume(whole).array.shape == (slices, 60, 50)
    short = write("short", lambda data: None, **large, PixelData=lambda n: bytes(3000))
    with pytest.raises(ValueError, match=r"dcm is damaged: its image has 6,000 bytes, .* export"):
        read_volume(short)

    def tabled(data):
        table = pydicom.Dataset()
        table.LUTDescriptor, table.ModalityLUTType = [4, 0, 16], "US"
        table.LUTData = np.arange(4, dtype=np.uint16).tobytes()
        data.ModalityLUTSequence = [table]
        del data.RescaleSlope, data.RescaleIntercept

    with pytest.raises(ValueError, match=r"dcm gives its values by a table .*rescale slope"):
        read_volume(write("tabled", tabled))


def write_frames(file, positions, rescale=((1, 0),) * 4):
    """An enhanced CT, one file of all slices, with a position, slope and intercept a frame."""
    write_series(file.parent, EVEN[:1])
    data = pydicom.dcmread(made := next(file.parent.iterdir()))
    made.unlink()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedCTImageStorage
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, name)
    del data.RescaleSlope, data.RescaleIntercept
    data.NumberOfFrames, data.PixelData = 4, CT.tobytes()
    shared, measures, orientation = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 3
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for z, (slope, intercept) in zip(positions, rescale, strict=True):
        frame, place, units = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        units.RescaleSlope, units.RescaleIntercept, units.RescaleType = slope, intercept, "HU"
        frame.PixelValueTransformationSequence = [units]
        if z is not None:
            place.ImagePositionPatient = [1, 2, z]
            frame.PlanePositionSequence = [place]
        data.PerFrameFunctionalGroupsSequence.append(frame)
    data.save_as(file, enforce_file_format=True)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    "positions", [EVEN, EVEN[::-1], [30, 33.01, 36.01, 39]], ids=["up", "down", "rounded"]
)
def test_frames_of_a_file_lie_where_it_says(tmp_path, positions, single):
    write_frames(tmp_path / "ct/a.dcm", positions, ((2, -1024),) * 4)
    volume = read_volume(tmp_path / "ct/a.dcm" if single else tmp_path / "ct")
    np.testing.assert_array_equal(volume.array, 2.0 * CT - 1024)
    np.testing.assert_allclose(volume.spacing, (0.5, 0.75, 3.0))
    places = volume.origin[2] + volume.direction[8] * volume.spacing[2] * np.arange(4)
    np.testing.assert_allclose(places, positions, atol=0.02)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("positions", "rescale", "words"),
    [
        ([30, 36, 33, 39], ((1, 0),) * 4, "frames out of order"),
        ([30, 33, 39, 42], ((1, 0),) * 4, "frame 2 and frame 3 are 6.000 mm apart"),
        ([30, None, 36, 39], ((1, 0),) * 4, "frames without a position"),
        (EVEN, ((1, 0), (1, 0), (2, 0), (1, 0)), r"1 and frame 3 .* RescaleSlope \(1 and 2\)"),
    ],
)
def test_frames_that_are_no_volume_are_refused(tmp_path, positions, rescale, words, single):
    write_frames(tmp_path / "ct/a.dcm", positions, rescale)
    with pytest.raises(ValueError, match=words):
        read_volume(tmp_path / "ct/a.dcm" if single else tmp_path / "ct")
