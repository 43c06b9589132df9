import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hpunet_jax.data.own.check import check


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two parts of three images; grader 0 drew classes 0-2, grader 3 only the first image."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in "abc":
            image = rng.integers(0, 256, (12, 10, 3), np.uint8)
            save(tmp_path / f"{part}/images/{name}.png", image)
            mask = np.zeros((12, 10), np.uint8)
            mask[:3], mask[3:5], mask[11] = 1, 2, 255
            save(tmp_path / f"{part}/gt/{name}_l0.png", mask)
        save(tmp_path / f"{part}/gt/a_l3.png", np.zeros((12, 10), np.uint8))
    return tmp_path


def kinds(report):
    return {problem.kind: problem.text for problem in report.problems}


def test_a_good_data_set_is_described(folder):
    report = check(folder)
    assert report.problems == []
    assert (report.size, report.channels, report.bits) == ((12, 10), 3, 8)
    assert (report.graders, report.num_classes) == ([0, 3], 3)
    train = report.parts["train"]
    assert list(report.parts) == ["train", "test"]
    assert train.images == 3
    assert train.sizes == {"12x10": 3}
    assert train.kinds == {"RGB 8 bit": 3}
    assert train.graders == {0: 3, 3: 1}
    assert train.graders_per_image == {1: 2, 2: 1}
    assert train.classes == {0: 4, 1: 3, 2: 3, 255: 3}
    assert (train.empty_masks, train.ignored_masks) == (1, 0)
    assert "Ready for training: images of 12x10, --config.model.num_classes=3" in report.to_text()


def test_folders_that_are_links_are_read_like_others(folder):
    expected = check(folder)
    for place in ("train/gt", "test/images", "test"):
        target = folder / ".elsewhere" / place.replace("/", "_")
        target.parent.mkdir(exist_ok=True)
        (folder / place).rename(target)
        (folder / place).symlink_to(target)
    assert check(folder) == expected


BAD = {
    "unreadable image": ("train/images/b.png", b"nothing"),
    "unreadable mask": ("train/gt/a_l3.png", b"\x89PNG\r\n\x1a\n"),
    "mask of another size than its image": ("train/gt/b_l0.png", np.zeros((12, 11), np.uint8)),
    "image of another kind": ("test/images/b.png", np.zeros((12, 10), np.uint16)),
    "image to be ignored altogether": ("test/gt/b_l0.png", np.full((12, 10), 255, np.uint8)),
    "file missing or out of place": ("train/gt/d_l0.png", np.zeros((12, 10), np.uint8)),
    "class that the model does not know": ("train/gt/c_l0.png", np.full((12, 10), 7, np.uint8)),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_bad_file_is_named(folder, kind):
    name, content = BAD[kind]
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        save(folder / name, content)
    found = kinds(check(folder, num_classes=3))
    assert list(found) == [kind]
    named = {
        "file missing or out of place": "train/images/d.png is missing; it has masks",
        "image to be ignored altogether": "test/images/b.png",
        "class that the model does not know": "grader 0 of train/images/c.png has the class 7",
    }
    assert named.get(kind, name) in found[kind]


def test_8_bits_where_16_were_promised_are_named(folder):
    found = [problem.text for problem in check(folder, bits=16).problems]
    assert len(found) == 6
    assert found[0] == (
        "train/images/a.png is RGB 8 bit; expected RGB 16 bit, one kind in the whole data set."
    )
    with pytest.raises(ValueError, match="bits is 12; expected 8 or 16"):
        check(folder, bits=12)


def test_images_of_several_sizes_are_no_problem(folder):
    save(folder / "test/images/c.png", np.zeros((10, 12, 3), np.uint8))
    save(folder / "test/gt/c_l0.png", np.ones((10, 12), np.uint8))
    report = check(folder)
    assert (report.problems, report.size) == ([], None)
    assert "Ready for training: images of several sizes" in report.to_text()
    report = check(folder, size=(8, 8))
    assert report.problems == []
    assert report.size == (8, 8)
    assert report.parts["test"].sizes == {"10x12": 1, "12x10": 2}


def test_an_image_of_which_a_crop_leaves_only_ignored_pixels_is_named(folder):
    mask = np.full((12, 10), 255, np.uint8)
    mask[0] = 1
    save(folder / "test/gt/c_l0.png", mask)
    assert check(folder).problems == []
    assert (
        "test/images/c.png has no pixel"
        in (kinds(check(folder, size=(8, 8)))["image to be ignored altogether"])
    )


def disc(radius, inside, outside=0):
    """A disc with a smooth border, as drawing programs export it."""
    y, x = np.mgrid[:12, :10]
    share = np.clip(radius - np.hypot(y - 6, x - 5) + 0.5, 0, 1)
    return np.round(outside + share * (inside - outside)).astype(np.uint8)


def test_masks_of_0_and_255_are_a_problem_until_somebody_says_what_255_means(folder):
    for path in folder.rglob("*_l*.png"):
        save(path, np.eye(12, 10, dtype=np.uint8) * 255)
    found = check(folder).problems
    assert [problem.kind for problem in found] == ["masks of 0 and 255"] * 2  # graders
    assert "6 masks of grader 0 have only the values 0 and 255" in found[0].text
    assert "set data.foreground=255" in found[0].text
    report = check(folder, foreground=255)
    assert (report.problems, report.num_classes) == ([], 2)
    assert report.parts["train"].classes == {0: 4, 1: 4}
    assert kinds(check(folder, foreground=1)) == {
        "no classes": "no mask marks anything: there is no class but 0 anywhere."
    }


def test_masks_of_0_and_255_by_one_grader_beside_0_and_1_by_another_are_named(folder):
    for part in ("train", "test"):
        for name in "abc":
            marked = np.zeros((12, 10), np.uint8)
            marked[4:9, 2:7] = 255
            save(folder / f"{part}/gt/{name}_l3.png", marked)
    (problem,) = check(folder).problems
    assert problem.kind == "masks of 0 and 255"
    assert "6 masks of grader 3" in problem.text


def test_a_stray_value_does_not_hide_masks_of_0_and_255(folder):
    for path in folder.rglob("*_l*.png"):
        save(path, np.eye(12, 10, dtype=np.uint8) * 255)
    stray = np.eye(12, 10, dtype=np.uint8) * 255
    stray[0, 0] = 24
    save(folder / "train/gt/b_l0.png", stray)
    report = check(folder)
    assert kinds(report).keys() == {"masks of 0 and 255"}
    assert "5 masks of grader 0 have only the values 0 and 255, 1 other values besides" in (
        report.problems[0].text
    )
    warnings = {warning.kind: warning.text for warning in report.warnings}
    assert (
        "class 24 has 1 pixel in 1 mask, the first by grader 0 of train/images/b.png"
        in (warnings["class of few pixels"])
    )
    assert "the classes 1 to 23, but some have 24" in warnings["gaps between the classes"]


@pytest.mark.parametrize("inside", [255, 200, 64])
def test_smoothed_masks_are_named_and_sharp_ones_of_any_shape_are_not(folder, inside):
    save(folder / "train/gt/b_l0.png", disc(3.3, inside))
    (problem,) = check(folder, foreground=1).problems
    assert problem.kind == "smoothed mask"
    assert "grader 0 of train/images/b.png has" in problem.text
    assert "occur in scattered pixels only" in problem.text
    rng = np.random.default_rng(0)
    lines = np.zeros((12, 10), np.uint8)
    lines[::3], lines[:, 4] = 1, 2
    for sharp in (disc(3.3, 2) // 2 * 2, rng.choice([0, 1, 2, 255], (12, 10)), lines):
        save(folder / "train/gt/b_l0.png", sharp.astype(np.uint8))
        assert check(folder).problems == []


def test_the_same_image_in_two_parts_is_named_even_as_another_file(folder):
    with Image.open(folder / "train/images/b.png") as image:
        image.save(folder / "test/images/c.tif", compression="tiff_lzw")
    (folder / "test/images/c.png").unlink()
    assert kinds(check(folder)) == {
        "image in two parts": "train/images/b.png and test/images/c.tif are the same image: its "
        "scores would be those of training."
    }


def test_without_training_images_nothing_is_ready(folder):
    (folder / "train").rename(folder / "training")
    report = check(folder)
    assert report.problems == []
    assert not report.ready
    assert "Not ready for training: there is no folder train with images" in report.to_text()
    assert "training is not read: the folders are called train, val, test." in report.to_text()
    (folder / "test/Images of today").mkdir()
    (folder / "test/set").mkdir()
    for name in ("images", "gt"):
        (folder / f"test/{name}").rename(folder / f"test/set/{name}")
    report = check(folder)
    assert report.problems == []
    assert (
        "test/Images of today is not read: the folders are called images, gt, instances. Rename "
        "it to images if that is meant." in report.to_text()
    )


def test_what_is_suspicious_is_told_without_refusing_it(folder):
    ignored = np.full((12, 10), 255, np.uint8)
    ignored[0] = 1
    for name in "abc":
        save(folder / f"test/gt/{name}_l3.png", np.zeros((12, 10), np.uint8))
    (folder / "test/gt/b_l3.png").unlink()
    save(folder / "test/gt/b_l0.png", ignored)
    new = np.zeros((12, 10), np.uint8)
    new[2:9] = 4
    save(folder / "test/gt/c_l0.png", new)
    turned = Image.Exif()
    turned[0x0112] = 3
    image = Image.open(folder / "train/images/a.png")
    image.load()
    image.save(folder / "train/images/a.png", exif=turned)
    report = check(folder, crop=(4, 4))
    assert report.problems == []
    warnings = {warning.kind: warning.text for warning in report.warnings}
    assert "grader 3 marks nothing in any of 3 masks" in warnings["grader who never marks anything"]
    assert "no mask in train has the class 4" in warnings["classes that are never trained"]
    assert "no mask has the class 3, but some have 4" in warnings["gaps between the classes"]
    assert "the centre of 4x4 of test/images/b.png" in warnings["centre crop that is ignored"]
    assert warnings["turned image, masks not turned"].startswith("train/images/a.png is turned")
    assert f"{len(report.warnings)} warnings" in report.to_text()
    assert json.loads(report.to_json())["warnings_by_kind"]["centre crop that is ignored"] == 1


def test_what_systems_leave_in_folders_and_capitals_in_suffixes_do_not_matter(folder):
    for name in ("Thumbs.db", "._a.png", ".DS_Store", "desktop.ini"):
        (folder / "train/images" / name).write_bytes(b"nothing")
        (folder / "test/gt" / name).write_bytes(b"nothing")
    (folder / "train/images/b.png").rename(folder / "train/images/b.PNG")
    report = check(folder)
    assert (report.problems, report.warnings[:-1]) == ([], [])
    assert report.parts["train"].images == 3


def test_files_that_may_not_be_read_are_named(folder, monkeypatch):
    real = pathlib.Path.read_bytes

    def read(path):
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", read)
    found = [problem.text for problem in check(folder).problems]
    assert len(found) == 2
    assert found[0].endswith("train/images/b.png may not be read by this user: change its rights.")


def test_an_empty_part_is_a_problem(folder):
    (folder / "val").mkdir()
    assert kinds(check(folder)) == {"file missing or out of place": "val has no image with a mask."}


def test_programs_do_not_write_over_the_files_of_a_data_set(folder):
    kept = folder / "dataset.json", folder / "train/images/a.png"
    kept[0].write_text("{}")
    before = [path.read_bytes() for path in kept]
    for flags in (
        ["experiments.check_data", f"--dir={folder}", f"--json={kept[0]}"],
        [
            *("experiments.show_batch", "--config=configs/demo.py"),
            *(f"--config.data.dir={folder}", f"--out={kept[1]}"),
        ],
    ):
        command = [sys.executable, "-m", *flags]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "is read from" in refused.stderr
    assert [path.read_bytes() for path in kept] == before


def test_the_program_ends_with_1_if_there_are_problems_and_writes_json(folder, tmp_path):
    command = [sys.executable, "-m", "experiments.check_data", f"--dir={folder}"]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert "train: 3 images" in good.stdout
    shown = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.show_data", "--name=own_data"),
            *(f"--data_dir={folder}", f"--out={folder.parent / 'shown.png'}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    with Image.open(folder.parent / "shown.png") as picture:
        assert picture.width > 100
    (folder / "train/images/b.png").write_bytes(b"")
    refused = subprocess.run(
        [*command, f"--json={folder / 'train/images/a.png'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "train is read from" in refused.stderr
    with Image.open(folder / "train/images/a.png") as image:
        assert image.size == (10, 12)
    command += [f"--json={tmp_path / 'report.json'}", "--size=8,8"]
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "1 x unreadable image" in bad.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["problems_by_kind"] == {"unreadable image": 1}
    assert "train/images/b.png" in report["problems"][0]["text"]
    assert report["parts"]["train"]["graders"] == {"0": 2, "3": 1}
