import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hpunet_jax.data.crop_layout import Crop, decode_image, find_crops

PUBLISHED = range(4)


def names_of(stem, graders=PUBLISHED, root=""):
    return [f"{root}images/{stem}.png", *(f"{root}gt/{stem}_l{g}.png" for g in graders)]


def test_images_are_found_with_the_masks_of_their_graders():
    names = names_of("LIDC-IDRI-0002/z--7.5_c1") + names_of("LIDC-IDRI-0001/z-105.0_c0")
    crops, problems = find_crops(reversed(names), PUBLISHED)
    assert problems == []
    assert [crop.id for crop in crops] == ["LIDC-IDRI-0001/z-105.0_c0", "LIDC-IDRI-0002/z--7.5_c1"]
    assert crops[0] == Crop(
        "LIDC-IDRI-0001/z-105.0_c0",
        "images/LIDC-IDRI-0001/z-105.0_c0.png",
        {g: f"gt/LIDC-IDRI-0001/z-105.0_c0_l{g}.png" for g in range(4)},
    )


def test_folders_in_front_hidden_and_other_files_do_not_matter():
    names = [*names_of("p/a", root="set/train/"), "README.md", "set/train/images/p/._a.png"]
    crops, problems = find_crops(names, PUBLISHED)
    assert problems == []
    assert [crop.id for crop in crops] == ["p/a"]
    assert crops[0].masks[2] == "set/train/gt/p/a_l2.png"


def test_own_data_may_have_any_graders_and_no_patient_folders():
    names = names_of("a", [0, 10, 2]) + names_of("b_l1", [7])
    crops, problems = find_crops(names)
    assert problems == []
    assert {crop.id: list(crop.masks) for crop in crops} == {"a": [0, 2, 10], "b_l1": [7]}


def test_every_missing_file_is_named():
    names = names_of("p/a", [0, 2]) + names_of("p/b") + names_of("p/c")
    names.remove("images/p/b.png")
    names = [name for name in names if not name.startswith("gt/p/c")]
    crops, problems = find_crops(names, PUBLISHED)
    assert [crop.id for crop in crops] == ["p/a"]
    missing = ["images/p/b.png", "gt/p/a_l1.png", "gt/p/a_l3.png"]
    missing += [f"gt/p/c_l{g}.png" for g in range(4)]
    assert sorted(text.split(" is missing")[0] for text in problems) == sorted(missing)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("images/p/a.jpg", "expected a .png file"),
        ("gt/p/a.png", "ends in _l<number>.png"),
        ("gt/p/a_l4.png", "no such grader"),
        ("other/images/p/b.png", "more than one folder: '', 'other'"),
    ],
)
def test_misplaced_files_are_named(extra, words):
    _, problems = find_crops([*names_of("p/a"), extra], PUBLISHED)
    assert any(words in problem for problem in problems)


def test_an_image_that_nobody_annotated_is_a_problem():
    _, problems = find_crops([*names_of("a"), "images/b.png"])
    assert problems == ["images/b.png has no masks: expected gt/b_l<number>.png."]


def png(pixels, **kwargs):
    buffer = io.BytesIO()
    Image.fromarray(pixels, **kwargs).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).integers(0, 256, (7, 5), np.uint8),
        np.random.default_rng(0).integers(0, 2**16, (7, 5), np.uint16),
        np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8),
    ],
)
def test_pixels_are_decoded_unchanged(pixels):
    np.testing.assert_array_equal(decode_image(png(pixels)), pixels, strict=True)


def test_black_and_white_becomes_0_and_255():
    pixels = np.random.default_rng(0).random((6, 9)) < 0.5
    np.testing.assert_array_equal(
        decode_image(png(pixels)), np.where(pixels, 255, 0).astype(np.uint8), strict=True
    )


def test_any_damage_is_an_error():
    data = png(np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8))
    for size in range(len(data) - 12):  # the last twelve bytes only mark the end
        with pytest.raises(ValueError, match="damaged"):
            decode_image(data[:size])
    for position in range(len(data) - 12):
        changed = bytearray(data)
        changed[position] ^= 4
        with pytest.raises(ValueError, match="damaged"):
            decode_image(bytes(changed))


def test_palettes_and_transparency_are_refused():
    colours = np.zeros((4, 4, 3), np.uint8)
    for image in (Image.fromarray(colours).quantize(4), Image.fromarray(colours).convert("RGBA")):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        with pytest.raises(ValueError, match="without palette or transparency"):
            decode_image(buffer.getvalue())


def test_the_layout_is_read_without_tensorflow():
    code = (
        "import sys; import hpunet_jax.data.crop_layout, hpunet_jax.data.crop_archives; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
