"""Volumes keep their geometry: what is written for a volume opens in place over it."""

import h5py
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hpunet_jax.io.volumes import read_volume, write_volume

RNG = np.random.default_rng(0)
CT = RNG.integers(-1000, 2000, (4, 6, 5)).astype(np.int16)
TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def itk_image(array=CT):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((-10.0, 20.5, 30.25))
    image.SetDirection(TURNED)
    return image


def write_series(folder, positions):
    folder.mkdir()
    series = pydicom.uid.generate_uid()
    for number, (z, pixels) in enumerate(zip(positions, CT, strict=False)):
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        data.SeriesInstanceUID, data.StudyInstanceUID, data.Modality = series, series, "CT"
        data.ImagePositionPatient, data.ImageOrientationPatient = [1, 2, z], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.InstanceNumber = [0.75, 0.5], 99 - number
        data.Rows, data.Columns, data.SamplesPerPixel = 6, 5, 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelRepresentation, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.RescaleSlope, data.RescaleIntercept = 2, -1024
        data.PixelData = pixels.tobytes()
        data.save_as(folder / f"{7 * number % 5}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NRRD", ".mha", ".mhd"])
def test_labels_of_a_volume_open_in_place_over_it(tmp_path, suffix):
    sitk.WriteImage(itk_image(), str(tmp_path / f"ct{suffix.lower()}"))
    if suffix.isupper():
        (tmp_path / "ct.nrrd").rename(tmp_path / "ct.NRRD")
    volume = read_volume(tmp_path / f"ct{suffix}")
    np.testing.assert_array_equal(volume.array, CT, strict=True)
    np.testing.assert_allclose(volume.spacing, (0.5, 0.75, 3.0))
    np.testing.assert_allclose(volume.origin, (-10.0, 20.5, 30.25))
    np.testing.assert_allclose(volume.direction, TURNED, atol=1e-6)
    labels = (CT > 0).astype(np.int64)
    name = f"labels{'.mha' if suffix == '.mhd' else suffix.lower()}"
    write_volume(tmp_path / "out" / name, labels, volume)
    written = sitk.ReadImage(str(tmp_path / "out" / name))
    original = sitk.ReadImage(volume.source)
    assert written.GetPixelID() == sitk.sitkUInt8
    for voxel in ((0, 0, 0), (4, 5, 3), (2, 1, 2)):
        np.testing.assert_allclose(
            written.TransformIndexToPhysicalPoint(voxel),
            original.TransformIndexToPhysicalPoint(voxel),
            atol=1e-4,
        )
        assert written[voxel] == (original[voxel] > 0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_dicom_series_is_read_in_the_order_of_its_positions_in_its_own_units(tmp_path):
    write_series(tmp_path / "ct", [30.0, 33.0, 36.0, 39.0])
    (tmp_path / "ct/._0.dcm").write_bytes(b"a Mac's")
    volume = read_volume(tmp_path / "ct")
    np.testing.assert_array_equal(volume.array, 2.0 * CT - 1024)
    np.testing.assert_allclose(volume.spacing, (0.5, 0.75, 3.0))
    np.testing.assert_allclose(volume.origin, (1, 2, 30))
    write_volume(tmp_path / "labels.nii.gz", (CT > 0).astype(np.uint8), volume)
    again = read_volume(tmp_path / "labels.nii.gz")
    np.testing.assert_allclose(again.spacing, volume.spacing)
    np.testing.assert_allclose(again.origin, volume.origin)


def test_a_missing_slice_and_several_series_are_named(tmp_path):
    write_series(tmp_path / "gap", [30.0, 33.0, 39.0, 42.0])
    with pytest.raises(ValueError, match=r"gap has slices at uneven .* 6\.000 mm apart, others 3"):
        read_volume(tmp_path / "gap")
    write_series(tmp_path / "two", [30.0, 33.0])
    write_series(tmp_path / "other", [36.0, 39.0])
    for path in (tmp_path / "other").iterdir():
        path.rename(tmp_path / "two" / f"b{path.name}")
    with pytest.raises(ValueError, match="two has 2 DICOM series: expected one"):
        read_volume(tmp_path / "two")
    with pytest.raises(ValueError, match="other has no DICOM series"):
        read_volume(tmp_path / "other")


def test_stacks_of_tiff_pages_and_hdf5_are_volumes_without_geometry(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", CT, compression="lzw", photometric="minisblack")
    volume = read_volume(tmp_path / "stack.tif")
    np.testing.assert_array_equal(volume.array, CT, strict=True)
    assert volume.spacing == (1.0, 1.0, 1.0)
    labels = np.abs(CT).astype(np.uint16)
    write_volume(tmp_path / "labels.tif", labels, volume)
    np.testing.assert_array_equal(read_volume(tmp_path / "labels.tif").array, labels, strict=True)
    with h5py.File(tmp_path / "block.h5", "w") as file:
        file["volumes/raw"], file["note"] = CT, np.zeros(3)
    np.testing.assert_array_equal(read_volume(tmp_path / "block.h5").array, CT, strict=True)
    with h5py.File(tmp_path / "block.h5", "a") as file:
        file["volumes/labels"] = CT > 0
    with pytest.raises(ValueError, match=r"not one data set: name one .*volumes/labels, volumes/r"):
        read_volume(tmp_path / "block.h5")
    assert read_volume(tmp_path / "block.h5", "volumes/raw").array.dtype == np.int16
    with pytest.raises(ValueError, match=r"no data set 'raw' of three axes"):
        read_volume(tmp_path / "block.h5", "raw")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".h5"])
def test_damaged_volumes_are_named(tmp_path, suffix):
    (tmp_path / f"bad{suffix}").write_bytes(b"nothing" * 100)
    with pytest.raises(ValueError, match=rf"bad{suffix} is damaged or no"):
        read_volume(tmp_path / f"bad{suffix}")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_volumes_cut_short_are_damaged(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    sitk.WriteImage(itk_image(RNG.integers(0, 999, (20, 30, 40)).astype(np.int16)), str(path))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="is damaged"):
        read_volume(path)


def test_what_is_no_volume_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii does not exist"):
        read_volume(tmp_path / "none.nii")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt is no volume: expected \.nii"):
        read_volume(tmp_path / "notes.txt")
    sitk.WriteImage(sitk.GetImageFromArray(CT, isVector=True), str(tmp_path / "colours.mha"))
    with pytest.raises(ValueError, match=r"colours\.mha has 2 axes and 5 values a voxel"):
        read_volume(tmp_path / "colours.mha")
    sitk.WriteImage(itk_image(), str(tmp_path / "ct.mha"))
    volume = read_volume(tmp_path / "ct.mha")
    for name, labels, words in (
        ("a.png", np.zeros((4, 6, 5), int), r"a\.png cannot be written: expected one of \.nii"),
        ("a.nii", np.zeros((4, 6, 6), int), "labels of 4x6x6 voxels do not fit .* 4x6x5"),
        ("a.nii", np.full((4, 6, 5), -1), "labels go down to -1"),
    ):
        with pytest.raises(ValueError, match=words):
            write_volume(tmp_path / "out" / name, labels, volume)
    assert not (tmp_path / "out").exists()
