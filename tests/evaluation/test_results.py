"""Evaluations are named by what they are of, and found again for that only."""

import json
import pathlib
import subprocess
import sys

import pytest

from configs import own_data
from hpunet_jax.config import differences
from hpunet_jax.evaluation.results import is_of, result_name, scored_config
from hpunet_jax.training.resuming import MAY_CHANGE

ROOT = pathlib.Path(__file__).parents[2]


def test_every_split_limit_step_and_model_file_has_a_name_of_its_own():
    names = [
        result_name(split, limit, step, "abc")
        for split in ("test", "test[:10]", "test[10:]", "validation")
        for limit in (None, 5, 50)
        for step in (None, 1, 10)
    ]
    assert len(set(names)) == len(names)
    assert names[1] == "evaluation_test_step1"
    assert result_name("test", 5, None, "abc") == "evaluation_test_weights-abc_first5"
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-=") for name in names)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("evaluate")
    run = subprocess.run(
        [sys.executable, "-m", "tests.evaluation.evaluate_program", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def files(stem):
    suffixes = (".csv", ".json", ".md", ".npz", "_reliability.png")
    return [f"{stem}{suffix}" for suffix in suffixes]


@pytest.mark.xdist_group("evaluate_program")
def test_evaluations_of_other_splits_and_limits_lie_beside_one_another(runs):
    assert runs["first"] == {"error": None, "new": files("evaluation_test_step1"), "computed": 1}
    assert runs["limit"]["new"] == files("evaluation_test_step1_first1")
    assert runs["validation"]["new"] == files("evaluation_validation_step1")
    assert runs["numbers"]["new"] == files("evaluation_test_step1_samples1-3")
    assert "--num_samples=many is no number" in runs["wrong number"]["error"]
    assert {name: counts["images"] for name, counts in runs["tables"].items()} == {
        "evaluation_test_step1": 4,
        "evaluation_test_step1_first1": 1,
        "evaluation_test_step1_samples1-3": 4,
        "evaluation_validation_step1": 3,
    }


@pytest.mark.xdist_group("evaluate_program")
def test_scores_are_used_again_for_the_same_data_only(runs):
    assert runs["again"] == {"error": None, "new": [], "computed": 0}
    assert runs["other data"] == {"error": None, "new": [], "computed": 1}
    assert runs["built again"] == {"error": None, "new": [], "computed": 0}
    assert "is incomplete" in runs["incomplete"]["error"]
    assert runs["incomplete"]["computed"] == 0


@pytest.mark.xdist_group("evaluate_program")
def test_a_model_file_is_evaluated_into_another_folder_or_refused_before(runs):
    assert "give a folder as --out" in runs["no place"]["error"]
    assert "has the model's own name" in runs["shadow"]["error"]
    assert runs["no place"]["computed"] == runs["shadow"]["computed"] == 0
    assert runs["on own data"]["error"] is None
    assert all(
        "evaluation_test_on-own_data_weights-" in name for name in runs["on own data"]["new"]
    )
    assert "did you mean 'own_data'" in runs["on no data"]["error"]
    assert runs["file"]["error"] is None
    assert len(runs["file"]["new"]) == 5
    assert all("weights-" in name for name in runs["file"]["new"])


def test_where_the_data_lie_changes_neither_a_training_nor_its_scores():
    config = own_data.get_config()
    moved = config.copy_and_resolve_references().unlock()
    moved.data.dir, moved.data.cache_dir = "elsewhere", "cache"
    moved.model.blocks, moved.mesh.space = (4,), 2
    assert not differences(config, moved, MAY_CHANGE)
    assert scored_config(config) == scored_config(moved)


def test_scores_are_of_a_config_whatever_fields_were_known_when_they_were_written():
    asked = {"split": "test", "config": scored_config(own_data.get_config())}
    written = json.loads(json.dumps({**asked, "data_digest": "abc"}))
    written["config"]["mesh"] = {"data": 8}  # which was kept once
    del written["config"]["model"]["init_gain"]
    assert is_of(written, asked)
    assert not is_of({**written, "split": "validation"}, asked)
    assert not is_of({"split": "test"}, asked)
    written["config"]["model"]["init_gain"] = 1.5
    assert not is_of(written, asked)
