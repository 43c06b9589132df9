"""Volumes keep their geometry: what is written for a volume opens in place over it."""

import h5py
import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hpunet_jax.io import check_writable, read_slices
from hpunet_jax.io.volumes import read_volume
from hpunet_jax.io.write_volumes import result_suffix, write_volume

RNG = np.random.default_rng(0)
CT = RNG.integers(-1000, 2000, (4, 6, 5)).astype(np.int16)
TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def itk_image(array=CT):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((-10.0, 20.5, 30.25))
    image.SetDirection(TURNED)
    return image


def write_series(folder, positions, **changes):
    """A series of CT slices; `changes` are DICOM attributes, each a function of the number."""
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
        for name, change in changes.items():
            setattr(data, name, change(number))
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
    with pytest.raises(ValueError, match=r"two has 2 DICOM series: CT \(2 files, .*\.dcm\); CT "):
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
    with pytest.raises(ValueError, match=r"2 data sets .* one, .*volumes/labels \(4x6x5 bool\), v"):
        read_volume(tmp_path / "block.h5")
    for name in ("volumes/raw", "/volumes/raw"):
        np.testing.assert_array_equal(read_volume(tmp_path / "block.h5", name).array, CT)
    for name in ("raw", "volumes", "note"):
        with pytest.raises(ValueError, match=rf"no data set '{name}' of .* are volumes/labels"):
            read_volume(tmp_path / "block.h5", name)
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["slice"] = CT[0]
    with pytest.raises(ValueError, match=r"no data set of three .* there is slice \(6x5 int16\)"):
        read_volume(tmp_path / "none.h5")


@pytest.mark.parametrize("dtype", [">u2", ">i2", ">f4", "u1", "i4", "f2"])
def test_numbers_of_any_order_of_bytes_are_read_from_hdf5_and_tiff(tmp_path, dtype):
    stored = np.abs(CT).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=stored, chunks=(1, 3, 5), compression="lzf", shuffle=True)
    tifffile.imwrite(tmp_path / "a.tif", stored, byteorder=">", photometric="minisblack")
    for path in (tmp_path / "a.h5", tmp_path / "a.tif"):
        native = stored.astype(stored.dtype.newbyteorder("="))
        np.testing.assert_array_equal(read_volume(path).array, native, strict=True)


def test_a_header_whose_values_are_missing_is_not_called_damaged(tmp_path):
    sitk.WriteImage(itk_image(), str(tmp_path / "ct.mhd"))
    (tmp_path / "ct.raw").rename(tmp_path / "moved.raw")
    with pytest.raises(ValueError, match=r"ct\.mhd is a header .* ct\.raw, which is missing"):
        read_volume(tmp_path / "ct.mhd")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".tif", ".h5"])
def test_damaged_volumes_are_named(tmp_path, suffix):
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(ValueError, match=rf"empty{suffix} is empty: it has 0 bytes"):
        read_volume(tmp_path / f"empty{suffix}")
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


def test_a_stack_of_tiff_pages_cut_short_between_two_is_damaged(tmp_path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, CT, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        begin = file.pages[2].offset
    path.write_bytes(path.read_bytes()[: begin - 2])
    with pytest.raises(ValueError, match=rf"its page 2, counted from 0, should begin at {begin}"):
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


def test_numbers_are_written_in_place_too_and_into_hdf5(tmp_path):
    sitk.WriteImage(itk_image(), str(tmp_path / "ct.nii.gz"))
    volume = read_volume(tmp_path / "ct.nii.gz")
    chances = RNG.uniform(size=CT.shape).astype(np.float32)
    for suffix in (".nii.gz", ".nrrd", ".mha", ".tif", ".h5"):
        write_volume(tmp_path / f"chance{suffix}", chances, volume)
        again = read_volume(tmp_path / f"chance{suffix}")
        np.testing.assert_array_equal(again.array, chances, strict=True)
        if again.located:
            np.testing.assert_allclose(again.spacing, volume.spacing, atol=1e-6)
            np.testing.assert_allclose(again.origin, volume.origin, atol=1e-5)
            np.testing.assert_allclose(again.direction, volume.direction, atol=1e-6)


def test_an_image_of_two_axes_is_written_with_two(tmp_path):
    sitk.WriteImage(itk_image()[..., 2], str(tmp_path / "slice.mha"))
    volume = read_volume(tmp_path / "slice.mha")
    assert volume.array.shape == (1, 6, 5)
    write_volume(tmp_path / "labels.mha", (volume.array > 0).astype(np.uint8), volume)
    assert sitk.ReadImage(str(tmp_path / "labels.mha")).GetSize() == (5, 6)


@pytest.mark.parametrize("instances", [False, True])
def test_labels_of_a_dicom_series_are_a_segmentation_in_its_place(tmp_path, instances):
    write_series(tmp_path / "ct", [30.0, 33.0, 36.0, 39.0])
    volume = read_volume(tmp_path / "ct")
    assert result_suffix(volume) == ".dcm"
    assert result_suffix(volume, floats=True) == ".nii.gz"
    labels = RNG.integers(0, 3, CT.shape)
    write_volume(tmp_path / "sample_00.dcm", labels, volume, instances)
    found = highdicom.seg.segread(tmp_path / "sample_00.dcm")
    referenced = {str(uid) for _, series, uid in found.get_source_image_uids() if str(series)}
    sources = {str(pydicom.dcmread(file).SOPInstanceUID) for file in volume.files}
    assert referenced == sources
    assert found.SeriesDescription == "sample_00"
    written = found.get_volume(combine_segments=True)
    # Where the centres of voxels lie in the patient, by highdicom and by SimpleITK.
    places = np.argwhere(written.array > 0)
    positions = places @ written.affine[:3, :3].T + written.affine[:3, 3]
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    for place, position in zip(places, positions, strict=True):
        index = image.TransformPhysicalPointToIndex(position.tolist())
        assert image[index] == written.array[tuple(place)]
    assert len(places) == (labels > 0).sum()

    read = read_volume(tmp_path / "sample_00.dcm")
    np.testing.assert_array_equal(read.array, labels)
    for name in ("spacing", "origin", "direction"):
        np.testing.assert_allclose(getattr(read, name), getattr(volume, name), atol=1e-6)
    with pytest.raises(ValueError, match=r"is a DICOM segmentation: expected an image"):
        read_slices(tmp_path / "sample_00.dcm")

    again = tmp_path / "again" / "sample_00.dcm"
    write_volume(again, labels, volume, instances)
    assert pydicom.dcmread(again).SOPInstanceUID == found.SOPInstanceUID
    write_volume(tmp_path / "none.dcm", 0 * labels, volume, instances)
    nothing = highdicom.seg.segread(tmp_path / "none.dcm")
    assert nothing.get_volume(combine_segments=True).array.sum() == 0
    with pytest.raises(ValueError, match="hold labels of a DICOM series only"):
        write_volume(tmp_path / "a.dcm", labels.astype(np.float32), volume)


def test_what_a_series_lacks_for_its_segmentation_is_known_before_there_are_labels(tmp_path):
    write_series(tmp_path / "ct", [30.0, 33.0, 36.0, 39.0])
    check_writable(read_volume(tmp_path / "ct"))
    file = pydicom.dcmread(tmp_path / "ct/0.dcm")
    del file.StudyInstanceUID
    file.save_as(tmp_path / "ct/0.dcm")
    with pytest.raises(ValueError, match=r"no DICOM .* \(it has no StudyInstanceUID\): convert"):
        check_writable(read_volume(tmp_path / "ct"))


def test_series_whose_slices_do_not_belong_together_are_refused(tmp_path):
    even = [30.0, 33.0, 36.0, 39.0]
    cases = {
        "tilted": ({"ImagePositionPatient": lambda n: [1, 2 + n, 30 + 3 * n]}, "is no grid"),
        "turned": (
            {"ImageOrientationPatient": lambda n: [1, 0, 0, 0, 0, 1] if n else [1, 0, 0, 0, 1, 0]},
            r"are no volume: .*\.dcm and .*\.dcm have different directions",
        ),
        "scaled": (
            {"PixelSpacing": lambda n: [0.75, 0.5 + 0.1 * (n == 2)]},
            r"different mm of spacing \(0\.75, 0\.5 and 0\.75, 0\.6\)",
        ),
        "twice": ({"ImagePositionPatient": lambda n: [1, 2, 30]}, "slices at one place"),
    }
    for name, (changes, words) in cases.items():
        write_series(tmp_path / name, even, **changes)
        with pytest.raises(ValueError, match=words):
            read_volume(tmp_path / name)
    write_series(tmp_path / "cut", even)
    file = next((tmp_path / "cut").iterdir())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{file.name} is damaged"):
        read_volume(tmp_path / "cut")


def test_geometries_that_are_no_grid_and_colours_are_refused(tmp_path):
    sitk.WriteImage(itk_image(), str(tmp_path / "ct.nrrd"))
    header, pixels = (tmp_path / "ct.nrrd").read_bytes().split(b"\n\n", 1)
    lines = [
        b"space directions: (0,0.5,0) (-0.75,0.3,0) (0,0,3)" if b"directions" in line else line
        for line in header.splitlines()
    ]
    (tmp_path / "ct.nrrd").write_bytes(b"\n".join(lines) + b"\n\n" + pixels)
    with pytest.raises(ValueError, match=r"ct\.nrrd has a geometry that is no grid: its axes"):
        read_volume(tmp_path / "ct.nrrd")
    colours = sitk.GetImageFromArray(np.zeros((4, 6, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(colours, str(tmp_path / "colours.mha"))
    with pytest.raises(ValueError, match=r"colours\.mha has 3 axes and 3 values a voxel \(colours"):
        read_volume(tmp_path / "colours.mha")
