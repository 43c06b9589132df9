"""Own files become examples: every format, every layout, and what does not fit together."""

import h5py
import imagecodecs
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from hpunet_jax.data.own.description import Description
from hpunet_jax.data.own.examples import fit, read_examples
from hpunet_jax.data.own.folder import find_images, find_others, find_parts
from hpunet_jax.io import Preparation
from hpunet_jax.tasks.crop import centre_crop

RNG = np.random.default_rng(0)
CT = RNG.integers(0, 256, (4, 6, 8)).astype(np.uint8)
MASK = RNG.integers(0, 3, (4, 6, 8)).astype(np.uint8)
GEOMETRY = {"spacing": (0.5, 0.25, 3.0), "origin": (1.0, 2.0, 3.0)}


def save(path, array, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    """Writes a file of the format that the suffix says; a folder becomes a DICOM series."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".h5",):
        with h5py.File(path, "a") as file:
            file["raw" if array is CT else "labels"] = array
    elif path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(array))
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    elif path.suffix:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing[: array.ndim])
        image.SetOrigin(origin[: array.ndim])
        sitk.WriteImage(image, str(path))
    else:
        save_series(path, array, spacing, origin)


def save_series(folder, array, spacing, origin):
    folder.mkdir()
    for number, one in enumerate(array):
        image = sitk.JoinSeries(sitk.GetImageFromArray(one.astype(np.int16)), origin[2], spacing[2])
        image.SetSpacing(spacing)
        position = origin[0], origin[1], origin[2] + number * spacing[2]
        for key, value in (
            ("0008|0060", "CT"),
            ("0020|000e", "1.2.3.4"),
            ("0020|000d", "1.2.3"),
            ("0020|0032", "\\".join(map(str, position))),
            ("0020|0037", "1\\0\\0\\0\\1\\0"),
            ("0020|0013", str(number)),
        ):
            image.SetMetaData(key, value)
        image.SetOrigin(position)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{9 - number}.dcm"))
        writer.Execute(image)


def examples(folder, description=Description(), preparation=Preparation(), graders=None):  # noqa: B008
    """{id: (image, annotation)} of the part train, which must have no problems."""
    part = find_parts(folder)["train"]
    images, problems = find_images(part, description.file_ending)
    assert problems == []
    found = {}
    for files in images:
        names = list(files.masks) if graders is None else graders
        for name, image, masks in read_examples(part, files, names, description, preparation):
            found[name] = image, masks
    return found


def test_graders_who_did_not_annotate_are_planes_to_ignore(tmp_path):
    save(tmp_path / "train/images/p/a.png", CT[0])
    for grader in (1, 5):
        save(tmp_path / f"train/gt/p/a_l{grader}.png", np.full((6, 8), grader, np.uint8))
    ((image, masks),) = examples(tmp_path, graders=[0, 1, 5, 7]).values()
    np.testing.assert_array_equal(image[..., 0], CT[0], strict=True)
    assert [set(np.unique(masks[..., k])) for k in range(4)] == [{255}, {1}, {5}, {255}]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".mhd", ".tif", ".h5", ""])
def test_each_slice_of_a_volume_is_an_example_that_knows_it(tmp_path, suffix):
    save(tmp_path / f"train/images/p/ct{suffix}", CT, **GEOMETRY)
    save(tmp_path / f"train/gt/p/ct_l1{suffix or '.nii'}", MASK, **GEOMETRY)
    save(tmp_path / "train/gt/ann/p/ct.tif", MASK[:, ::-1])
    window = Preparation(window=(0.0, 255.0))
    found = examples(tmp_path, preparation=window)
    assert list(found) == [f"p/ct#{number}" for number in range(4)]
    for number, (image, masks) in enumerate(found.values()):
        np.testing.assert_array_equal(image[..., 0], CT[number].astype(np.uint16) * 257)
        np.testing.assert_array_equal(masks[..., 0], MASK[number], strict=True)
        np.testing.assert_array_equal(masks[..., 1], MASK[number, ::-1], strict=True)


def test_nnunets_folders_and_description_are_understood(tmp_path):
    for split in ("Tr", "Ts"):
        save(tmp_path / f"images{split}/a_0000.nii.gz", CT, **GEOMETRY)
        save(tmp_path / f"labels{split}/a.nii.gz", MASK * 3, **GEOMETRY)
    description = Description(classes={0: "background", 3: "organ"}, ignored=6)
    found = examples(tmp_path, description)
    np.testing.assert_array_equal(
        np.stack([masks[..., 0] for _, masks in found.values()]),
        np.array([0, 1, 255], np.uint8)[MASK],
        strict=True,
    )
    assert list(find_parts(tmp_path)) == ["train", "test"]
    (tmp_path / "labelsTs/a.nii.gz").rename(tmp_path / "labelsTs/b.nii.gz")
    assert find_images(find_parts(tmp_path)["test"])[1] == [
        "imagesTs/a_0000.nii.gz has no labels: expected labelsTs/a.nii.gz.",
        "labelsTs/b.nii.gz has no image: expected imagesTs/b_0000.nii.gz.",
        "test has no image with a mask.",
    ]
    (tmp_path / "labelsTs").rename(tmp_path / "labels")
    assert find_others(tmp_path)[0] == "imagesTs is not read: there is no labelsTs."
    save(tmp_path / "imagesTr/a_0001.nii.gz", CT)
    with pytest.raises(ValueError, match=r"a_0001\.nii\.gz is a further channel of a: one channel"):
        find_parts(tmp_path)


def test_images_and_masks_are_resampled_onto_the_same_pixels(tmp_path):
    save(tmp_path / "train/images/ct.nii", CT, **GEOMETRY)
    save(tmp_path / "train/gt/ct.nii", MASK, **GEOMETRY)
    found = examples(tmp_path, preparation=Preparation(spacing=(0.125, 0.25)))
    image, masks = found["ct#1"]
    assert image.shape == (12, 16, 1)
    np.testing.assert_array_equal(masks[..., 0], MASK[1].repeat(2, 0).repeat(2, 1), strict=True)


def test_instances_have_any_ids_and_are_numbered_anew(tmp_path):
    ids = np.array([[0, 70_000, 70_000], [9, 9, 0]], np.int32)
    save(tmp_path / "train/images/a.png", CT[0, :2, :3])
    save(tmp_path / "train/instances/a.tif", ids)
    ((_, found),) = examples(tmp_path).values()
    np.testing.assert_array_equal(found, np.array([[0, 2, 2], [1, 1, 0]], np.uint16), strict=True)
    assert find_parts(tmp_path)["train"].kind == "instances"


UNFIT = {
    "a volume with a mask of one image": (
        ("ct.nii", CT),
        ("ct_l0.nii", MASK[0]),
        r"gt/ct_l0\.nii is one image, but its image train/images/ct\.nii is a volume of 4 slices",
    ),
    "an image with a mask that is a volume": (
        ("ct.png", CT[0]),
        ("ct_l0.tif", MASK),
        r"ct_l0\.tif is a volume of 4 slices, but its image train/images/ct\.png is one image",
    ),
    "another size": (
        ("ct.png", CT[0]),
        ("ct_l0.png", MASK[0, :5]),
        r"ct_l0\.png has 5x8 pixels; expected 6x8, as its image",
    ),
    "labels that are no integers": (
        ("ct.nii", CT),
        ("ct_l0.nii", MASK / np.float32(2)),
        r"ct_l0\.nii has values that are no whole numbers",
    ),
    "instances given as classes": (
        ("ct.png", CT[0]),
        ("ct_l0.tif", MASK[0].astype(np.uint16) * 500),
        r"ct_l0\.tif has values from 0 to 1000: .* put them into instances in place of gt",
    ),
    "labels below 0": (
        ("ct.nii", CT),
        ("ct_l0.nii", MASK.astype(np.int16) - 1),
        r"ct_l0\.nii has values from -1 to 1",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_masks_that_do_not_fit_their_images_are_named(tmp_path, kind):
    (image, pixels), (mask, labels), message = UNFIT[kind]
    save(tmp_path / "train/images" / image, pixels)
    save(tmp_path / "train/gt" / mask, labels)
    with pytest.raises(ValueError, match=message):
        examples(tmp_path)


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ({"origin": (1.0, 2.5, 3.0)}, "origin 1 2.5 3, not 1 2 3"),
        ({"spacing": (0.5, 0.25, 2.0)}, "spacing 0.5 0.25 2, not 0.5 0.25 3"),
    ],
)
def test_a_mask_that_lies_elsewhere_in_space_is_named(tmp_path, moved, words):
    save(tmp_path / "train/images/ct.nii", CT, **GEOMETRY)
    save(tmp_path / "train/gt/ct_l0.nrrd", MASK, **(GEOMETRY | moved))
    with pytest.raises(ValueError, match=f"lies elsewhere in space than its image .*: {words}"):
        examples(tmp_path)
    save(tmp_path / "train/gt/ct_l0.nrrd", MASK, spacing=(0.501, 0.25, 3.0), origin=(1.0, 2.0, 3.0))
    assert len(examples(tmp_path)) == 4  # rounded in a file


def test_folders_that_are_not_read_are_told_with_what_they_may_be_called(tmp_path):
    for name in ("train", "validation", "notes"):
        save(tmp_path / name / "images/a.png", CT[0])
    assert find_others(tmp_path) == [
        "notes is not read: the folders are called train, val, test.",
        "validation is not read: the folders are called train, val, test. Rename it to val if that "
        "is meant.",
    ]


def test_the_voxels_of_a_metaimage_belong_to_its_files(tmp_path):
    save(tmp_path / "train/images/ct.mhd", CT)
    save(tmp_path / "train/gt/ct.mha", MASK)
    files = find_parts(tmp_path)["train"].all_files()
    assert sorted(path.name for path in files) == ["ct.mha", "ct.mhd", "ct.raw"]


def test_a_folder_without_parts_says_where_images_belong(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match="none of the folders train, val, test; expected"):
        find_parts(tmp_path)


def test_graders_masks_and_instances_in_one_data_set_are_refused(tmp_path):
    for part, kind in (("train", "instances"), ("test", "gt")):
        save(tmp_path / part / "images/a.png", CT[0])
        save(tmp_path / part / kind / "a.png", MASK[0])
    with pytest.raises(ValueError, match="graders in test/gt and instances in train/instances"):
        find_parts(tmp_path)
    save(tmp_path / "train/gt/a.png", MASK[0])
    with pytest.raises(ValueError, match="train has a folder gt of graders' masks and one instanc"):
        find_parts(tmp_path)


@pytest.mark.parametrize("size", [(4, 5), (5, 4), (7, 8), (3, 9)])
def test_fitting_crops_the_middle_and_pads_evenly(size):
    pixels = np.arange(5 * 7 * 2, dtype=np.uint8).reshape(5, 7, 2)
    fitted = fit(pixels, size, 255)
    assert fitted.shape == (*size, 2)
    kept = tuple(map(min, size, (5, 7)))
    inner = fit(fitted, kept, 0)
    np.testing.assert_array_equal(inner, centre_crop(pixels[None], kept)[0], strict=True)
    outside = size[0] * size[1] - kept[0] * kept[1]
    assert (fitted == 255).sum() == 2 * outside
