import subprocess
import sys

import pytest

from hpunet_jax.data.crop_layout import GradedImage, find_graded_images

PUBLISHED = range(4)


def names_of(stem, graders=PUBLISHED, root=""):
    return [f"{root}images/{stem}.png", *(f"{root}gt/{stem}_l{g}.png" for g in graders)]


def test_images_are_found_with_the_masks_of_their_graders():
    names = names_of("LIDC-IDRI-0002/z--7.5_c1") + names_of("LIDC-IDRI-0001/z-105.0_c0")
    crops, problems = find_graded_images(reversed(names), PUBLISHED)
    assert problems == []
    assert [crop.id for crop in crops] == ["LIDC-IDRI-0001/z-105.0_c0", "LIDC-IDRI-0002/z--7.5_c1"]
    assert crops[0] == GradedImage(
        "LIDC-IDRI-0001/z-105.0_c0",
        "images/LIDC-IDRI-0001/z-105.0_c0.png",
        {g: f"gt/LIDC-IDRI-0001/z-105.0_c0_l{g}.png" for g in range(4)},
    )


def test_an_umlaut_may_be_written_in_two_ways():
    names = ["images/Gr\u00f6\u00dfe.png", "gt/Gro\u0308\u00dfe_l0.png"]
    crops, problems = find_graded_images(names)
    assert problems == []
    assert crops == [GradedImage("Gr\u00f6\u00dfe", names[0], {0: names[1]})]


def test_folders_in_front_hidden_and_other_files_do_not_matter():
    names = [*names_of("p/a", root="set/train/"), "README.md", "set/train/images/p/._a.png"]
    crops, problems = find_graded_images(names, PUBLISHED)
    assert problems == []
    assert [crop.id for crop in crops] == ["p/a"]
    assert crops[0].masks[2] == "set/train/gt/p/a_l2.png"


def test_own_data_may_have_any_graders_and_no_patient_folders():
    names = names_of("a", [0, 10, 2]) + names_of("b_l1", [7])
    crops, problems = find_graded_images(names)
    assert problems == []
    assert {crop.id: list(crop.masks) for crop in crops} == {"a": [0, 2, 10], "b_l1": [7]}


def test_every_missing_file_is_named():
    names = names_of("p/a", [0, 2]) + names_of("p/b") + names_of("p/c")
    names.remove("images/p/b.png")
    names = [name for name in names if not name.startswith("gt/p/c")]
    crops, problems = find_graded_images(names, PUBLISHED)
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
    _, problems = find_graded_images([*names_of("p/a"), extra], PUBLISHED)
    assert any(words in problem for problem in problems)


def test_a_grader_may_be_absent_from_a_folder_but_not_from_some_of_its_images():
    names = [*names_of("p/a", [0, 1, 3]), *names_of("p/b", [0, 1, 3]), *names_of("q/a")]
    crops, problems = find_graded_images(names, PUBLISHED, absent_graders=True)
    assert problems == []
    assert [list(crop.masks) for crop in crops] == [[0, 1, 3], [0, 1, 3], [0, 1, 2, 3]]
    names.remove("gt/p/b_l3.png")
    assert find_graded_images(names, PUBLISHED, absent_graders=True).problems == [
        "gt/p/b_l3.png is missing."
    ]
    assert len(find_graded_images(names, PUBLISHED).problems) == 3
    _, problems = find_graded_images(["images/p/a.png"], PUBLISHED, absent_graders=True)
    assert "images/p/a.png has no masks" in problems[0]


def test_an_image_that_nobody_annotated_is_a_problem():
    _, problems = find_graded_images([*names_of("a"), "images/b.png"])
    assert problems == ["images/b.png has no masks: expected gt/b_l<number>.png."]


def test_own_data_may_have_any_suffix_in_capitals_or_not_but_each_name_once():
    names = ["images/a.TIF", "images/b.jpg", "gt/a_l0.PNG", "gt/b_l0.tiff", "gt/b_l1.png"]
    crops, problems = find_graded_images(names, suffixes=(".png", ".jpg", ".tif", ".tiff"))
    assert problems == []
    assert [crop.image for crop in crops] == ["images/a.TIF", "images/b.jpg"]
    assert crops[1].masks == {0: "gt/b_l0.tiff", 1: "gt/b_l1.png"}
    twice = [*names_of("a", [0]), "images/a.PNG", "gt/a_l00.png"]
    _, problems = find_graded_images(twice)
    assert problems == [
        "images/a.png and images/a.PNG differ in their suffix only.",
        "gt/a_l00.png and gt/a_l0.png are of the same grader.",
    ]


@pytest.mark.parametrize(
    "name", ["images/Thumbs.db", "gt/desktop.ini", "images/.DS_Store", "__MACOSX/images/a.png"]
)
def test_what_systems_leave_in_folders_does_not_matter(name):
    crops, problems = find_graded_images([*names_of("a"), name], PUBLISHED)
    assert ([crop.id for crop in crops], problems) == (["a"], [])


def test_the_layout_is_read_without_tensorflow():
    code = (
        "import sys; import hpunet_jax.data.crop_layout, hpunet_jax.data.crop_archives; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_graders_may_be_folders_or_nobody_be_named():
    names = ["images/p/a.png", "images/b.nii.gz", "gt/p/a_l1.png", "gt/ann/p/a.png", "gt/2/p/a.png"]
    suffixes = (".png", ".nii.gz")
    crops, problems = find_graded_images([*names, "gt/b.nii.gz"], suffixes=suffixes)
    assert problems == []
    assert crops == [
        GradedImage("b", "images/b.nii.gz", {0: "gt/b.nii.gz"}),
        GradedImage(
            "p/a",
            "images/p/a.png",
            {1: "gt/p/a_l1.png", 2: "gt/2/p/a.png", "ann": "gt/ann/p/a.png"},
        ),
    ]
    _, problems = find_graded_images([*names, "gt/1/p/a.png", "gt/b/b.png"], suffixes=suffixes)
    assert problems == ["gt/p/a_l1.png and gt/1/p/a.png are of the same grader."]


def test_a_folder_may_be_an_image_and_maps_lie_in_another_folder():
    names = ["images/p/ct/", "instances/p/ct.png", "gt/p/ct_l0.png"]
    crops, problems = find_graded_images(names, suffixes=("/", ".png"), folder="instances")
    assert (crops, problems) == (
        [GradedImage("p/ct", "images/p/ct/", {0: "instances/p/ct.png"})],
        [],
    )
