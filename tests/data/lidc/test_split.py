import json

import pytest

from hpunet_jax.data.lidc.split import PATIENTS, draw_split, read_split, split_to_json


def count(split):
    parts = list(split.values())
    return {part: parts.count(part) for part in ("train", "val", "test")}


def test_lidc_is_split_into_the_papers_numbers_of_patients():
    split = draw_split(PATIENTS)
    assert count(split) == {"train": 722, "val": 144, "test": 144}
    assert sorted(split) == PATIENTS
    assert draw_split(PATIENTS, seed=1) != split


def test_a_patients_part_does_not_depend_on_what_has_been_downloaded():
    assert draw_split(["LIDC-IDRI-0078"]) == draw_split(PATIENTS)


def test_other_patients_are_split_in_the_same_proportion_whatever_their_order():
    names = [f"p{number}" for number in range(1010 // 10)]
    split = draw_split(names, seed=3)
    assert count(split) == {"train": 72, "val": 14, "test": 15}
    assert draw_split(names[::-1], seed=3) == split


def test_a_split_can_be_written_and_read(tmp_path):
    split = draw_split(["a", "b", "c", "d", "e", "f", "g"])
    path = tmp_path / "split.json"
    path.write_text(split_to_json(split))
    assert read_split(path) == split


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train": ["a"], "val": ["a"]}, "has the patient 'a' twice"),
        ({"train": ["a", "a"]}, "has the patient 'a' twice"),
        ({"training": ["a"]}, "is no patient split"),
        ({"train": "a"}, "is no patient split"),
        (["a"], "is no patient split"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"split\.json {words}"):
        read_split(path)
    path.write_text("train: a")
    with pytest.raises(ValueError, match=r"split\.json is no JSON file"):
        read_split(path)
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        read_split(tmp_path / "none.json")
