import json
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


BAD = {
    "unreadable image": ("train/images/b.png", b"nothing"),
    "unreadable mask": ("train/gt/a_l3.png", b"\x89PNG\r\n\x1a\n"),
    "mask of another size than its image": ("train/gt/b_l0.png", np.zeros((12, 11), np.uint8)),
    "image of another size": ("test/images/c.png", np.zeros((10, 12, 3), np.uint8)),
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
    if kind == "image of another size":
        save(folder / "test/gt/c_l0.png", np.zeros((10, 12), np.uint8))
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


def test_other_sizes_are_no_problem_once_a_size_is_given(folder):
    save(folder / "test/images/c.png", np.zeros((10, 12, 3), np.uint8))
    save(folder / "test/gt/c_l0.png", np.ones((10, 12), np.uint8))
    assert "--size" in kinds(check(folder))["image of another size"]
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


def test_masks_of_0_and_255_are_told_to_have_no_class(folder):
    for path in folder.rglob("*_l*.png"):
        save(path, np.eye(12, 10, dtype=np.uint8) * 255)
    (text,) = [problem.text for problem in check(folder).problems]
    assert "all masks have only the values 0, 255" in text
    assert "write 1 in its place" in text


def test_an_empty_part_is_a_problem(folder):
    (folder / "val").mkdir()
    assert kinds(check(folder)) == {"file missing or out of place": "val has no image with a mask."}


def test_the_program_ends_with_1_if_there_are_problems_and_writes_json(folder, tmp_path):
    command = [sys.executable, "-m", "experiments.check_data", f"--dir={folder}"]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert "train: 3 images" in good.stdout
    (folder / "train/images/b.png").write_bytes(b"")
    command += [f"--json={tmp_path / 'report.json'}", "--size=8,8"]
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "1 x unreadable image" in bad.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["problems_by_kind"] == {"unreadable image": 1}
    assert "train/images/b.png" in report["problems"][0]["text"]
    assert report["parts"]["train"]["graders"] == {"0": 2, "3": 1}
