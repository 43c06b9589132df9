"""Results are taken for done only where they are, and nothing of the user's is removed."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from hpunet_jax.inference import outputs
from hpunet_jax.inference.outputs import settings_of
from hpunet_jax.inference.sample_files import finished_samples
from hpunet_jax.inference.segment_files import finished_instances
from hpunet_jax.io import Preparation, read_slices

PIXELS = np.random.default_rng(0).integers(0, 100, (2, 8, 8)).astype(np.int16)
WINDOW = Preparation(window=(0, 100))


def settings(path, preparation=WINDOW):
    return settings_of("sample", "weights", read_slices(path, preparation), preparation)


@pytest.fixture
def series(tmp_path):
    """A folder of two slices of a patient."""
    folder = tmp_path / "series"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, pixels in enumerate(PIXELS):
        image = sitk.JoinSeries(sitk.GetImageFromArray(pixels))
        for tag, value in (
            ("0008|0018", f"1.2.3.{number + 1}"),
            ("0008|0060", "CT"),
            ("0010|0020", "first"),
            ("0020|000d", "1.2.4"),
            ("0020|000e", "1.2.5"),
            ("0020|0032", f"0\\0\\{number}"),
        ):
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number}.dcm"))
        writer.Execute(image)
    return folder


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "second"),
        ("SeriesInstanceUID", "1.2.6"),
        ("SOPInstanceUID", "1.2.7.{number}"),
    ],
)
def test_results_of_another_series_are_no_results_of_equal_pixels(tmp_path, series, keyword, value):
    other = shutil.copytree(series, tmp_path / "other")
    assert settings(other) == settings(series)  # the same series in another place
    for number, file in enumerate(sorted(other.iterdir())):
        data = pydicom.dcmread(file)
        setattr(data, keyword, value.format(number=number))
        data.save_as(file)
    before, after = settings(series), settings(other)
    assert before["image"] == after["image"]
    record = tmp_path / "samples.json"
    outputs.finish(record, before, str(series), [])
    assert outputs.finished(record, before) is not None
    with pytest.raises(ValueError, match=r"results of something else \(dicom .*, not "):
        outputs.finished(record, after)


def test_results_in_another_format_are_no_results_of_equal_voxels(tmp_path):
    for suffix in (".nii.gz", ".nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(tmp_path / f"ct{suffix}"))
    before, after = settings(tmp_path / "ct.nii.gz"), settings(tmp_path / "ct.nrrd")
    assert before["image"] == after["image"]
    record = tmp_path / "samples.json"
    outputs.finish(record, before, "ct.nii.gz", [])
    with pytest.raises(ValueError, match=r"\(format \.nii\.gz, not \.nrrd\)"):
        outputs.finished(record, after)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Preparation(window=(0, 100), scale=2.0), r"\(scale 1\.0, not 2\.0\)"),
        (Preparation(window=(0, 90)), r"\(window \[0, 100\], not \[0, 90\]\)"),
    ],
)
def test_the_flag_that_changed_is_named_and_not_the_image_that_it_changes(tmp_path, changed, words):
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path := tmp_path / "ct.nrrd"))
    outputs.finish(tmp_path / "samples.json", settings(path), "ct.nrrd", [])
    with pytest.raises(ValueError, match=words):
        outputs.finished(tmp_path / "samples.json", settings(path, changed))


def test_only_files_that_the_program_writes_are_removed(tmp_path):
    users = ["sample_00_corrected_by_hand.png", "sample_1.png", "probability_map.tif", "std.txt"]
    ours = ["sample_00.png", "sample_123.nii.gz", "probability.tif", "std_class12.nrrd"]
    for name in (*users, *ours):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"has no record"):
        finished_samples(tmp_path, {})
    assert not finished_samples(tmp_path, {}, overwrite=True)
    assert {file.name for file in tmp_path.iterdir()} == set(users)
    assert not finished_samples(tmp_path, {})


def test_names_of_images_are_no_patterns(tmp_path):
    (tmp_path / "cell[1]_instances.png").touch()
    with pytest.raises(ValueError, match=r"cell\[1\]_instances\.png has no record"):
        finished_instances(tmp_path, "cell[1]", {})
    for name in ("ab_instances.png", "ab_overlay.png", "a*_overlay.png", "a*_instances.notes.txt"):
        (tmp_path / name).touch()
    assert finished_instances(tmp_path, "a*", {}, overwrite=True) is None
    assert {file.name for file in tmp_path.iterdir()} == {
        *("cell[1]_instances.png", "ab_instances.png", "ab_overlay.png", "a*_instances.notes.txt")
    }


def test_a_slice_that_was_cut_short_is_computed_again(tmp_path):
    with outputs.unfinished(tmp_path / "parts", {}) as parts:
        for number in range(4):
            parts.write(number, labels=PIXELS)
    whole = (tmp_path / "parts/000001.npz").read_bytes()
    (tmp_path / "parts/000001.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "parts/000002.npz").write_bytes(b"")
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(100) + whole[middle + 100 :]
    (tmp_path / "parts/000003.npz").write_bytes(damaged)
    with outputs.unfinished(tmp_path / "parts", {}) as parts:
        assert parts.missing(5) == [1, 2, 3, 4]


def test_results_of_earlier_versions_have_the_defaults_of_their_time(tmp_path):
    settings = {"program": "sample", "weights": "abc", "scale": 1.0, "format": ".nii.gz"}
    record, file = tmp_path / "sample.json", tmp_path / "sample_00.nii.gz"
    file.write_bytes(b"")
    earlier = {"program": "sample", "weights": "abc"}
    outputs.finish(record, earlier, "image.nii.gz", [file])
    assert outputs.finished(record, settings)["files"] == [file.name]
    with pytest.raises(ValueError, match=r"scale 1.0, not 2.0"):
        outputs.finished(record, {**settings, "scale": 2.0})
    with pytest.raises(ValueError, match=r"format None, not .png"):
        outputs.finished(record, {**settings, "format": ".png"})
    with pytest.raises(ValueError, match="dicom None, not def"):  # whose it was is not known
        outputs.finished(record, {**settings, "dicom": "def"})
