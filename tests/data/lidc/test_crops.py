import contextlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

tfds = pytest.importorskip("tensorflow_datasets")

from hpunet_jax.data import catalogue, pipeline  # noqa: E402
from hpunet_jax.data.crop_archives import Archive, Folder  # noqa: E402
from hpunet_jax.data.lidc import crops as lidc_crops  # noqa: E402

COUNTS = {"train": 3, "val": 2, "test": 2}


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_part(folder, part):
    """Writes one part as the published ones are; returns images and masks by id."""
    rng = np.random.default_rng(["train", "val", "test"].index(part))
    contents = {}
    for i in range(COUNTS[part]):
        patient, stem = f"LIDC-IDRI-{i // 2:04d}", f"z--{10.5 * i}_c{i}"
        image = rng.integers(0, 256, (180, 180), np.uint8)
        masks = rng.random((180, 180, 4)) < 0.5
        masks[..., i % 4] = False  # this grader saw no lesion
        contents[f"{patient}/{stem}"] = image, masks.astype(np.uint8)
        files = {f"images/{patient}/{stem}.png": image}
        for grader in range(4):
            pixels = masks[..., grader].astype(np.uint8) * 255
            files[f"gt/{patient}/{stem}_l{grader}.png"] = pixels
        for name, pixels in files.items():
            (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / part / name).write_bytes(png(pixels))
    return contents


def pack(folder, part, root):
    """Turns an unpacked part into its archive."""
    with tarfile.open(folder / f"{part}.tar.gz", "w:gz") as archive:
        archive.add(folder / part, root)
    (folder / part).rename(folder.parent / f"{folder.name}-{part}-unpacked")


@pytest.fixture
def crops(tmp_path):
    """An unpacked small set in a manual directory: the directory, and what is in it."""
    folder = tmp_path / "manual"
    return folder, {part: write_part(folder, part) for part in COUNTS}


@pytest.fixture
def small_counts(monkeypatch):
    monkeypatch.setattr(lidc_crops, "NUM_IMAGES", COUNTS)


def build(tmp_path, manual_dir, config="published"):
    builder = lidc_crops.LidcCrops(data_dir=tmp_path / "tfds", config=config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return builder


def assert_built(builder, contents):
    names = {"train": "train", "val": "validation", "test": "test"}
    assert set(builder.info.splits) == {names[part] for part in contents}
    for part, expected in contents.items():
        examples = list(tfds.as_numpy(builder.as_dataset(split=names[part])))
        assert sorted(example["id"].decode() for example in examples) == sorted(expected)
        for example in examples:
            image, masks = expected[example["id"].decode()]
            np.testing.assert_array_equal(example["image"], image[..., None], strict=True)
            np.testing.assert_array_equal(example["masks"], masks, strict=True)


@pytest.mark.parametrize("packed", ["folders", "archives", "mixed"])
def test_folders_and_archives_give_the_published_images_and_masks(
    tmp_path, crops, small_counts, packed
):
    folder, contents = crops
    for part, root in {"train": "train", "val": ".", "test": "lidc_crops/test"}.items():
        if packed == "archives" or (packed == "mixed" and part == "train"):
            pack(folder, part, root)
    builder = build(tmp_path, folder)
    assert_built(builder, contents)
    leftovers = [path for path in (tmp_path / "tfds").iterdir() if path.is_file()]
    assert not leftovers


def test_a_subfolder_of_the_manual_directory_serves_too(tmp_path, crops, small_counts):
    folder, contents = crops
    outer = tmp_path / "outer"
    outer.mkdir()
    folder.rename(outer / "lidc_crops")
    assert_built(build(tmp_path, outer), contents)


def test_the_built_set_feeds_training(tmp_path, crops, small_counts):
    build(tmp_path, crops[0])
    builder = catalogue.load_builder("lidc_crops", tmp_path / "tfds")
    batch = next(pipeline.train_batches(builder, batch_size=2, seed=0))
    assert batch["image"].shape == (2, 180, 180, 1)
    assert batch["masks"].shape == (2, 180, 180, 4)
    assert set(np.unique(batch["masks"])) == {0, 1}


def test_other_numbers_of_images_are_refused_naming_expected_and_found(tmp_path, crops):
    with pytest.raises(ValueError, match="3 problems") as error:
        build(tmp_path, crops[0])
    for part, found, expected in (("train", 3, 8843), ("val", 2, 1993), ("test", 2, 1980)):
        assert f"{part}: It has {found} images with masks, expected {expected}." in str(error.value)


def test_any_count_accepts_other_numbers_and_missing_parts(tmp_path, crops):
    folder, contents = crops
    for part in ("train", "val"):
        (folder / part).rename(tmp_path / part)
    assert_built(build(tmp_path, folder, "any_count"), {"test": contents["test"]})


def test_the_advice_to_take_any_count_is_not_given_where_it_does_not_help(tmp_path, crops):
    folder, contents = crops
    extra = folder / "val" / f"gt/{min(contents['val'])}_l4.png"
    extra.write_bytes(png(np.zeros((180, 180), np.uint8)))
    with pytest.raises(ValueError, match=r"no such grader, only 0, 1, 2, 3\. Own data") as error:
        build(tmp_path, folder, "any_count")
    assert "'lidc_crops/any_count' accepts" not in str(error.value)
    with pytest.raises(ValueError, match="'lidc_crops/any_count' accepts any number"):
        build(tmp_path, folder)


def test_missing_parts_are_named(tmp_path, crops, small_counts):
    (crops[0] / "val").rename(tmp_path / "val")
    with pytest.raises(FileNotFoundError, match=r"for val in .*train\.tar\.gz"):
        build(tmp_path, crops[0])
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "README.md").touch()
    with pytest.raises(FileNotFoundError, match="for train, val, test in"):
        build(tmp_path, empty, "any_count")


@pytest.mark.parametrize("packed", [False, True])
def test_every_missing_and_damaged_file_is_reported_at_once(tmp_path, crops, small_counts, packed):
    folder, contents = crops
    first, second, third = sorted(contents["train"])
    train, test = folder / "train", folder / "test"
    (train / f"gt/{first}_l2.png").unlink()
    cut = train / f"images/{second}.png"
    cut.write_bytes(cut.read_bytes()[:5000])
    flipped = train / f"gt/{second}_l1.png"
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    (train / f"gt/{third}_l0.png").write_bytes(png(np.full((180, 180), 7, np.uint8)))
    (train / f"images/{third}.png").write_bytes(png(np.zeros((128, 128), np.uint8)))
    gone = test / f"images/{min(contents['test'])}.png"
    gone.unlink()
    if packed:
        for part in COUNTS:
            pack(folder, part, ".")
    with pytest.raises(ValueError, match="7 problems") as error:
        build(tmp_path, folder)
    text = str(error.value)
    for words in (
        f"gt/{first}_l2.png is missing",
        f"images/{second}.png is damaged",
        f"gt/{second}_l1.png is damaged",
        f"gt/{third}_l0.png is no mask: expected only the values 0 and 255",
        f"images/{third}.png is of the wrong kind: expected 180x180",
        f"images/{min(contents['test'])}.png is missing; it has masks",
        "It has 1 images with masks, expected 2",
    ):
        assert words in text


def test_damaged_and_dangerous_archives_are_reported_together(tmp_path, crops, small_counts):
    folder, _ = crops
    for part in COUNTS:
        pack(folder, part, ".")
    cut = folder / "train.tar.gz"
    cut.write_bytes(cut.read_bytes()[:9000])
    with tarfile.open(folder / "test.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../outside.png"))
    with pytest.raises(ValueError, match="2 problems") as error:
        build(tmp_path, folder)
    assert "train.tar.gz is damaged, cut short" in str(error.value)
    assert "../outside.png: it would be written outside" in str(error.value)


def test_checking_names_the_same_problems_for_folder_and_archive(tmp_path, crops):
    folder, contents = crops
    (folder / "val" / f"gt/{min(contents['val'])}_l3.png").unlink()
    from_folder = lidc_crops.check_crops(Folder(folder / "val"), 5)
    pack(folder, "val", ".")
    with contextlib.closing(Archive(folder / "val.tar.gz")) as archive:
        assert lidc_crops.check_crops(archive, 5) == from_folder
    assert len(from_folder[1]) == 2
