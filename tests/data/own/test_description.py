"""dataset.json: nnU-Net's form, in both of its versions, and what cannot be meant."""

import json

import numpy as np
import pytest

from hpunet_jax.data.own.description import Description, read_description


def describe(folder, **fields):
    (folder / "dataset.json").write_text(json.dumps(fields), encoding="utf-8")
    return read_description(folder)


def test_classes_are_numbered_by_their_values(tmp_path):
    found = describe(
        tmp_path,
        labels={"background": 0, "vessel": 255, "ignore": 128, "disc": 30},
        channel_names={"0": "CT"},
        file_ending=".NII.gz",
        numTraining=3,
    )
    assert list(found.classes.values()) == ["background", "disc", "vessel"]
    assert (found.channels, found.file_ending, found.ignored) == (("CT",), ".nii.gz", 128)
    values = np.array([0, 30, 255, 128, 7], np.uint8)
    np.testing.assert_array_equal(
        found.classes_of(values), np.array([0, 1, 2, 255, 255], np.uint8), strict=True
    )
    assert found.unknown(frozenset(values.tolist())) == [7]


def test_the_first_version_has_names_by_values(tmp_path):
    found = describe(tmp_path, labels={"0": "background", "2": "tumor"}, modality={"0": "MRI"})
    assert dict(found.classes) == {0: "background", 2: "tumor"}
    assert found.channels == ("MRI",)
    assert found.ignored == 255  # unless the file says otherwise, as everywhere here


def test_without_the_file_the_value_is_the_class_or_255_the_foreground(tmp_path):
    mask = np.array([0, 3, 255], np.uint8)
    assert read_description(tmp_path) == Description()
    np.testing.assert_array_equal(read_description(tmp_path).classes_of(mask), mask)
    foreground = read_description(tmp_path, 255)
    np.testing.assert_array_equal(foreground.classes_of(mask), [0, 3, 1])
    assert foreground.says
    assert not Description().says


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": {"whole": [1, 2]}}, r"label 'whole' is a region of several values, \[1, 2\]"),
        ({"labels": {"a": 256}}, "label 'a' is 256: expected an integer from 0 to 255"),
        ({"labels": {"a": 1, "b": 1}}, "'a' and 'b' have the same value 1"),
        (
            {"labels": {"0": ["a"], "1": "b"}},
            "labels must be numbers by names, or names by numbers",
        ),
        ({"labels": {"0": "a", "1": "a"}}, "labels must have names of their own"),
        ({"labels": ["a"]}, "labels must be an object"),
        ({"channel_names": ["CT"]}, "channel_names must be an object"),
        ({"file_ending": "nii"}, "file_ending must be a suffix such as .nii.gz, not 'nii'"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path, fields, message):
    with pytest.raises(ValueError, match=message) as error:
        describe(tmp_path, **fields)
    assert "dataset.json" in str(error.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_what_is_no_description_is_named(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"dataset\.json (is no JSON file|must hold an object)"):
        read_description(tmp_path)
