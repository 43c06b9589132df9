"""What the checker says of volumes, intensities, spacings, descriptions and instances."""

import json

import imagecodecs
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from hpunet_jax.data.own.check import check
from hpunet_jax.io import Preparation

LUNG = Preparation(window=(-1000.0, 400.0))


def save(path, array, spacing=(0.5, 0.5, 3.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(array))
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(path))


@pytest.fixture
def scans(tmp_path):
    """Two parts of two CTs of three slices, with a mask by each of two graders."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in "ab":
            ct = rng.integers(-1024, 1500, (3, 12, 10)).astype(np.int16)
            save(tmp_path / f"{part}/images/{name}.nii.gz", ct)
            for grader in ("first", "second"):
                mask = np.zeros((3, 12, 10), np.uint8)
                mask[1, 2:6, 2:7] = 1
                save(tmp_path / f"{part}/gt/{grader}/{name}.nii.gz", mask)
    return tmp_path


def kinds(problems):
    return {problem.kind: problem.text for problem in problems}


def test_volumes_are_counted_by_slices_and_their_range_is_told(scans):
    report = check(scans, preparation=LUNG)
    assert (report.problems, report.warnings) == ([], [])
    train = report.parts["train"]
    assert (train.images, train.slices, train.sizes) == (2, 6, {"12x10": 2})
    assert train.spacings == {"0.5x0.5 mm": 2}
    assert train.graders == {"first": 2, "second": 2}
    text = report.to_text()
    assert "train: 2 images, of volumes 6 slices" in text
    assert "black to white: -1000 to 400 (data.window)" in text
    assert report.bits == 16
    shown = check(scans, preparation=Preparation(percentiles=(1.0, 99.0))).to_text()
    assert "black to white: percentiles 1 to 99 of each image: from -" in shown


def test_values_that_need_a_window_are_named(scans):
    found = [problem.text for problem in check(scans).problems]
    assert len(found) == 4
    assert list(kinds(check(scans).problems)) == ["values that need a window"]
    assert found[0].startswith("train/images/a.nii.gz has int16 values, from -10")
    assert "data.window" in found[0]


def test_a_slice_of_a_volume_in_another_part_is_named_and_so_are_examples_of_one_name(scans):
    ct = sitk.GetArrayFromImage(sitk.ReadImage(str(scans / "train/images/a.nii.gz")))
    save(scans / "test/images/b.nii.gz", np.float32(np.stack([ct[2] + 1, ct[1], ct[2]])))
    save(
        scans / "test/images/a#1.tif", ct[0].astype(np.float32)
    )  # alone, in percentiles of its own
    save(scans / "test/gt/first/a#1.tif", np.eye(12, 10, dtype=np.uint8))
    found = check(scans, preparation=Preparation(percentiles=(1.0, 99.0))).problems
    assert [problem.text for problem in found] == [
        "slice 0 of train/images/a.nii.gz and test/images/a#1.tif are the same image: its scores "
        "would be those of training.",
        "slice 1 of train/images/a.nii.gz and slice 1 of test/images/b.nii.gz are the same image "
        "(and 1 more): its scores would be those of training.",
        "test/images/a.nii.gz and test/images/a#1.tif would both give an example called a#1, as "
        "slices are called after their volume: rename one of them.",
    ]


@pytest.mark.parametrize(
    ("values", "preparation", "words"),
    [
        (np.arange(120) * 20, Preparation(), "is 3.6 % of what 16 bits can hold"),
        (np.arange(120) * 20, Preparation(window=(0.0, 1e6)), "is 0.24 % of the window"),
    ],
)
def test_images_of_nearly_one_grey_are_told(tmp_path, values, preparation, words):
    save(tmp_path / "train/images/a.png", values.reshape(12, 10).astype(np.uint16))
    save(tmp_path / "train/gt/a.png", np.tri(12, 10, dtype=np.uint8))
    report = check(tmp_path, preparation=preparation)
    assert words in kinds(report.warnings)["small part of the range used"]
    assert "values 0 to 2380; black to white: 0 to " in report.to_text()
    assert check(tmp_path, preparation=Preparation(window=(0.0, 2380.0))).warnings == []


def test_pixels_of_several_sizes_and_oblong_ones_are_told_until_they_are_resampled(scans):
    rng = np.random.default_rng(1)
    save(scans / "test/images/b.nii.gz", rng.integers(0, 9, (3, 12, 10)), (1.0, 0.5, 3.0))
    for grader in ("first", "second"):
        mask = np.ones((3, 12, 10), np.uint8)
        save(scans / f"test/gt/{grader}/b.nii.gz", mask, (1.0, 0.5, 3.0))
    report = check(scans, preparation=LUNG)
    found = kinds(report.warnings)
    assert (
        "pixels are 0.5x0.5 mm in test/images/a.nii.gz and 0.5x1 mm in test/images/b.nii.gz"
        in (found["pixels of several sizes"])
    )
    assert "data.spacing=(0.5,0.5)" in found["pixels of several sizes"]
    assert (
        "no squares in 1 of 4 images, such as 0.5x1 mm in test/images/b.nii.gz"
        in (found["pixels that are no squares"])
    )
    report = check(scans, preparation=Preparation(window=(0.0, 1.0), spacing=(0.5, 0.5)))
    assert report.parts["test"].sizes == {"12x10": 1, "12x20": 1}
    assert report.problems == []


def test_a_mask_that_does_not_lie_over_its_image_is_named(scans):
    mask = np.zeros((3, 12, 10), np.uint8)
    save(scans / "train/gt/first/a.nii.gz", mask[:2])
    save(scans / "train/gt/first/b.nii.gz", mask, (0.5, 0.5, 2.0))
    save(scans / "test/gt/first/a.nii.gz", mask + np.float32(0.5))
    found = kinds(check(scans, preparation=LUNG).problems)
    assert (
        "train/gt/first/a.nii.gz is a volume of 2 slices, but"
        in (found["mask of another depth than its image"])
    )
    assert (
        "train/gt/first/b.nii.gz lies elsewhere in space than its image train/images/b"
        in (found["mask of another geometry than its image"])
    )
    assert "test/gt/first/a.nii.gz has values that are no whole" in found["unreadable mask"]


def test_dataset_json_names_classes_and_refuses_other_values(scans):
    labels = {"background": 0, "lesion": 1, "vessel": 2}
    (scans / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    report = check(scans, preparation=LUNG)
    assert (report.problems, report.num_classes) == ([], 3)
    assert "1 (lesion): 4" in report.to_text()
    assert (
        "no mask has the class 2 (vessel), but dataset.json names"
        in (kinds(report.warnings)["gaps between the classes"])
    )
    save(scans / "train/gt/first/a.nii.gz", np.full((3, 12, 10), 7, np.uint8))
    found = kinds(check(scans, preparation=LUNG).problems)
    assert (
        "grader first of train/images/a.nii.gz has the value 7, which the labels in"
        in (found["value that dataset.json does not know"])
    )


@pytest.fixture
def cells(tmp_path):
    """Two parts of two images with four square instances of any ids."""
    rng = np.random.default_rng(0)
    ids = np.zeros((24, 20), np.int32)
    for number, (y, x) in enumerate([(1, 1), (1, 11), (12, 1), (12, 11)]):
        ids[y : y + 8, x : x + 7] = 100_000 + 7 * number
    for part in ("train", "test"):
        for name in "ab":
            save(tmp_path / f"{part}/images/{name}.png", rng.integers(0, 256, (24, 20), np.uint8))
            save(tmp_path / f"{part}/instances/{name}.tif", ids)
    return tmp_path


def test_instances_are_counted(cells):
    report = check(cells)
    assert (report.problems, report.warnings) == ([], [])
    assert report.instances
    assert report.parts["train"].instances == 8
    assert "instances          8" in report.to_text()
    assert "--config=configs/own_instances.py" in report.to_text()


def test_instances_that_are_none_are_told(cells):
    checks = np.indices((24, 20)).sum(0) % 2
    save(cells / "train/instances/a.tif", checks.astype(np.int32))
    save(cells / "test/instances/b.tif", np.zeros((24, 20), np.int32))
    report = check(cells)
    assert report.problems == []
    found = kinds(report.warnings)
    assert (
        "the 1 ids of train/images/a.png lie in 240 pieces: if they are classes, number"
        in (found["instances in many pieces"])
    )
    assert "test/images/b.png has no instance" in found["image without instances"]
    for path in cells.rglob("*.tif"):
        save(path, np.zeros((24, 20), np.int32))
    assert list(kinds(check(cells).problems)) == ["no instances"]
    save(cells / "test/instances/b.tif", np.full((24, 20), -1, np.int32))
    assert (
        "test/instances/b.tif has ids down to -1"
        in (kinds(check(cells).problems)["unreadable mask"])
    )


def test_more_instances_than_can_be_numbered_are_named(cells):
    many = np.arange(1, 65_537, dtype=np.int32).reshape(256, 256)
    save(cells / "train/images/b.png", many.astype(np.uint8))
    save(cells / "train/instances/b.tif", many)
    assert kinds(check(cells).problems) == {
        "too many instances": "train/instances/b.tif has 65,536 instances in one image or slice: "
        "expected at most 65,535. Cut the image into smaller ones, or remove stray pixels."
    }


def test_a_patient_in_two_parts_is_told(scans):
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, part in enumerate(("train", "test")):
        (scans / f"{part}/images/a.nii.gz").unlink()
        (scans / f"{part}/images/a").mkdir()
        ct = np.random.default_rng(number).integers(-1000, 1000, (3, 12, 10)).astype(np.int16)
        for z, one in enumerate(ct):
            image = sitk.GetImageFromArray(one[None])
            image.SetSpacing((0.5, 0.5, 3.0))
            tags = {"0020|000e": f"1.2.{number + 1}", "0020|0032": f"0\\0\\{3 * z}"}
            for tag, value in {**tags, "0010|0020": "P 1", "0020|0037": "1\\0\\0\\0\\1\\0"}.items():
                image.SetMetaData(tag, value)
            writer.SetFileName(str(scans / f"{part}/images/a/{z}.dcm"))
            writer.Execute(image)
    report = check(scans, preparation=LUNG)
    assert report.problems == []
    assert (
        "train/images/a and test/images/a are of one patient, 'P 1': scores of patients"
        in kinds(report.warnings)["patient in two parts"]
    )
