import dataclasses
import json

import numpy as np
import pytest

from hpunet_jax.evaluation.scores import Scores, load_scores, load_scores_of, summarize
from hpunet_jax.metrics.average_precision import Detections, average_precision


def scores_of(seed, images=20):
    rng = np.random.default_rng(seed)
    rows = {
        "model": {"ged2": rng.random(images), "reconstruction_iou": rng.random(images)},
        "human": {"ged2": np.where(np.arange(images) == 3, np.nan, rng.random(images))},
    }
    return Scores(rows, np.arange(images) % 4 == 0, {"num_samples": 16, "seed": seed})


def test_the_summary_has_the_rows_for_all_images_and_for_subset_b():
    scores = scores_of(0)
    summary = scores.summary()
    assert list(summary) == ["model", "human", "subset_b", "counts", "settings"]
    assert list(summary["subset_b"]) == ["model", "human"]
    ged2 = scores.rows["model"]["ged2"]
    assert summary["model"]["ged2"]["mean"] == pytest.approx(ged2.mean())
    assert summary["subset_b"]["model"]["ged2"]["mean"] == pytest.approx(ged2[::4].mean())
    assert summary["model"]["ged2"]["std"] == pytest.approx(ged2.std() / np.sqrt(20), rel=0.15)
    assert summary["counts"] == {"images": 20, "subset_b": 5, "runs": 1}
    assert summary["settings"]["bootstraps"] == 1000
    assert summary["settings"]["num_samples"] == 16


def test_images_without_a_score_are_left_out_of_the_mean():
    scores = scores_of(0)
    expected = np.nanmean(scores.rows["human"]["ged2"])
    assert scores.summary()["human"]["ged2"]["mean"] == pytest.approx(expected)


def test_an_empty_subset_is_null_in_json():
    scores = scores_of(0)
    scores = Scores(scores.rows, np.zeros(20, bool), scores.settings)
    summary = json.loads(json.dumps(scores.summary(), allow_nan=False))
    assert summary["subset_b"]["model"]["ged2"] == {"mean": None, "std": None}


def test_several_runs_share_a_mean_and_their_deviation():
    runs = [scores_of(seed) for seed in range(3)]
    summary = summarize(runs)
    mean = np.mean([run.rows["model"]["ged2"] for run in runs])
    assert summary["model"]["ged2"]["mean"] == pytest.approx(mean)
    assert summary["counts"]["runs"] == 3


def test_runs_on_other_images_are_refused():
    with pytest.raises(ValueError, match="not evaluated on the same images"):
        summarize([scores_of(0), scores_of(1, images=19)])
    with pytest.raises(ValueError, match="at least one run"):
        summarize([])


def test_the_scores_of_each_image_come_back_from_disk(tmp_path):
    scores = scores_of(0)
    scores.save(tmp_path / "runs" / "evaluation.npz")
    read = load_scores(tmp_path / "runs" / "evaluation.npz")
    assert read.summary() == scores.summary()
    np.testing.assert_array_equal(read.rows["human"]["ged2"], scores.rows["human"]["ged2"])
    np.testing.assert_array_equal(read.subset_b, scores.subset_b)


@pytest.mark.parametrize("damage", ["truncated", "text", "other arrays"])
def test_a_file_that_does_not_hold_scores_is_named(tmp_path, damage):
    path = tmp_path / "evaluation.npz"
    scores_of(0).save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "text":
        path.write_text("no archive")
    else:
        np.savez(path, values=np.ones(3))
    with pytest.raises(ValueError, match=r"evaluation\.npz does not hold the scores"):
        load_scores(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"evaluation\.npz does not exist"):
        load_scores(tmp_path / "evaluation.npz")


def instance_scores_of(seed, images=20):
    rng = np.random.default_rng(seed)
    count = 60
    detections = Detections(
        rng.integers(0, images, count),
        rng.random(count),
        rng.integers(-1, 2, (count, 10)).astype(np.int8),
        np.full(images, 5),
    )
    rows = {"model": {"rand_error": rng.random(images)}}
    return Scores(rows, None, {"seed": seed}, {"model": detections})


def test_without_graders_there_is_no_subset_b():
    summary = instance_scores_of(0).summary()
    assert list(summary) == ["model", "counts", "settings"]
    assert summary["counts"] == {"images": 20, "runs": 1}


def test_the_average_precision_is_that_of_all_images_and_runs_together():
    runs = [instance_scores_of(seed) for seed in range(3)]
    summary = summarize(runs, 50)["model"]
    assert list(summary) == ["rand_error", "average_precision", "average_precision_50"]
    of_runs = np.stack([average_precision(run.detections["model"]) for run in runs])
    assert summary["average_precision"]["mean"] == pytest.approx(of_runs.mean())
    assert summary["average_precision_50"]["mean"] == pytest.approx(of_runs[:, 0].mean())
    assert summary["average_precision"]["std"] > 0


def test_detections_come_back_from_disk(tmp_path):
    scores = instance_scores_of(0)
    scores.save(tmp_path / "evaluation.npz")
    read = load_scores(tmp_path / "evaluation.npz")
    assert read.subset_b is None
    assert read.summary(20) == scores.summary(20)
    for saved, loaded in zip(scores.detections["model"], read.detections["model"], strict=True):
        np.testing.assert_array_equal(loaded, saved)


def test_runs_of_other_protocols_are_refused():
    with pytest.raises(ValueError, match="not evaluated on the same images"):
        summarize([scores_of(0), instance_scores_of(0)])


def test_saved_scores_are_used_again_for_the_same_settings_only(tmp_path):
    path = tmp_path / "evaluation.npz"
    assert load_scores_of(path, {}) is None
    settings = {"weights": "abc", "limit": None}
    scores = dataclasses.replace(scores_of(0), settings={**scores_of(0).settings, **settings})
    scores.save(path)
    assert load_scores_of(path, settings).settings == scores.settings
    assert load_scores_of(path, {**settings, "weights": "def"}) is None
    assert load_scores_of(path, {**settings, "split": "test"}) is None
    path.write_bytes(b"damaged")
    assert load_scores_of(path, settings) is None
