import re

import numpy as np
import pytest

from hpunet_jax.scoring.pairing import FORMS, pair

MAP = np.zeros((2, 2))
NAMES = ["slice_2", "slice_10", "patient 1/a"]


def named(form, names, members):
    """The names of files in a form."""
    patterns = {
        "one": "{name}",
        "suffix": "{name}_{member}",
        "folder": "m{member}/{name}",
        "per_image": "{name}/m{member}",
    }
    return {patterns[form].format(name=n, member=m): MAP for n in names for m in range(members)}


@pytest.mark.parametrize("truth_form", FORMS)
@pytest.mark.parametrize("samples_form", FORMS)
def test_every_form_of_graders_and_of_samples_is_told_by_its_names(
    tmp_path, write, truth_form, samples_form
):
    graders = 1 if truth_form == "one" else 3
    samples = 1 if samples_form == "one" else 4
    write(tmp_path / "truth", named(truth_form, NAMES, graders))
    write(tmp_path / "samples", named(samples_form, NAMES, samples))
    found = pair(tmp_path / "truth", tmp_path / "samples")
    assert [case.name for case in found.cases] == ["patient 1/a", "slice_2", "slice_10"]
    assert (found.truth_form, found.samples_form) == (truth_form, samples_form)
    assert len(found.graders) == graders
    assert found.num_samples == samples
    for case in found.cases:
        assert len(case.truth) == graders
        for maps in (case.truth, case.samples):
            assert all(case.name.rpartition("/")[2] in str(path) for path in maps.values())


def test_own_datas_names_are_graders_even_where_samples_have_the_same_names(tmp_path, write):
    files = {f"{name}_l{k}": MAP for name in "ab" for k in range(2)}
    write(tmp_path / "truth", files)
    write(tmp_path / "samples", files)
    found = pair(tmp_path / "truth", tmp_path / "samples")
    assert [case.name for case in found.cases] == ["a", "b"]
    assert (found.graders, found.num_samples) == (["0", "1"], 2)
    numbered = {f"slice_{k}": MAP for k in range(3)}
    write(tmp_path / "more truth", numbered)
    write(tmp_path / "more samples", numbered)
    one = pair(tmp_path / "more truth", tmp_path / "more samples")
    assert (len(one.cases), one.num_samples) == (3, 1)
    several = pair(tmp_path / "more truth", tmp_path / "more samples", "suffix", "suffix")
    assert (len(several.cases), several.num_samples) == (1, 3)


def test_samples_are_sorted_by_their_numbers_and_a_grader_may_be_missing(tmp_path, write):
    write(tmp_path / "truth", {"a_l0": MAP, "a_l1": MAP, "b_l1": MAP})
    write(tmp_path / "samples", {f"{name}_{k}": MAP for name in "ab" for k in range(12)})
    found = pair(tmp_path / "truth", tmp_path / "samples")
    assert list(found.cases[0].samples) == [str(k) for k in range(12)]
    assert [list(case.truth) for case in found.cases] == [["0", "1"], ["1"]]
    assert found.graders == ["0", "1"]


def test_two_files_are_a_pair_whatever_their_names_and_clutter_does_not_count(tmp_path, write):
    write(tmp_path / "truth", {"a": MAP, ".hidden": MAP, "__MACOSX/a": MAP})
    write(tmp_path / "samples", {"b": MAP})
    (tmp_path / "truth" / "notes.txt").touch()
    found = pair(tmp_path / "truth" / "a.png", tmp_path / "samples" / "b.png")
    assert found.cases[0].samples == {"0": tmp_path / "samples" / "b.png"}
    (tmp_path / "samples" / "b.png").rename(tmp_path / "samples" / "a.png")
    assert len(pair(tmp_path / "truth", tmp_path / "samples").cases) == 1


def test_of_what_sample_wrote_the_samples_alone_are_read(tmp_path, write):
    write(tmp_path / "truth", {"a_l0": MAP, "a_l1": MAP, "b_l0": MAP})
    files = ("sample_00", "sample_01", "probability", "std", "scales")
    write(tmp_path / "samples", {f"{name}/{file}": MAP for name in "ab" for file in files})
    found = pair(tmp_path / "truth", tmp_path / "samples")
    assert found.samples_form == "per_image"
    assert [list(case.samples) for case in found.cases] == [["sample_00", "sample_01"]] * 2


@pytest.mark.parametrize(
    ("truth", "samples", "sentence"),
    [
        (["a", "b", "c"], ["a_0", "a_1", "b_0", "b_1"], r"truth/c\.png has no samples: "),
        (["a", "b", "c", "d"], ["a", "b"], r"c\.png has no samples \(nor have 1 more\)"),
        (["a", "b"], ["a", "b", "c"], r"samples/c\.png has no truth"),
        (["a", "b"], ["a_0", "a_1", "b_0"], r"b has 1 sample\(s\) .*sample '1' is missing"),
        (["a"], ["z"], r"holds a\.png, .* holds z\.png"),
        ([], ["a"], "truth holds no label maps"),
        (["a"], [], "samples holds no label maps"),
        (["a"], ["a_1", "a_s1"], "are both number 1 of a"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, write, truth, samples, sentence):
    for name, files in (("truth", truth), ("samples", samples)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, dict.fromkeys(files, MAP))
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        pair(tmp_path / "truth", tmp_path / "samples")


def test_missing_folders_and_names_that_differ_in_their_suffix_are_named(tmp_path, write):
    write(tmp_path / "truth", {"a": MAP})
    with pytest.raises(FileNotFoundError, match=re.escape(f"--samples={tmp_path / 'none'} does")):
        pair(tmp_path / "truth", tmp_path / "none")
    (tmp_path / "truth" / "a.tif").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.tif and a\.png differ in their suffix only"):
        pair(tmp_path / "truth", tmp_path / "truth")


def test_folders_that_are_links_are_graders_too_and_links_to_nothing_are_named(tmp_path, write):
    write(tmp_path / "elsewhere", {"a": MAP})
    write(tmp_path / "truth", {"grader_0/a": MAP})
    write(tmp_path / "samples", {"a": MAP})
    (tmp_path / "truth/grader_1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "truth/grader_0/circle").symlink_to(tmp_path / "truth")
    assert pair(tmp_path / "truth", tmp_path / "samples").graders == ["grader_0", "grader_1"]
    (tmp_path / "truth/grader_0/b.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(FileNotFoundError, match=r"b\.png is a link to nothing"):
        pair(tmp_path / "truth", tmp_path / "samples")
