"""Checkpoint directories: whole or refused, never half."""

import shutil

import jax
import ml_collections
import numpy as np
import pytest

from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.checkpoints.digests import seal
from hpunet_jax.checkpoints.storage import Storage

CONFIG = ml_collections.ConfigDict({"model": {"name": "hpunet", "latent_dims": (1, 1)}}).lock()
PARAMS = {"prior/latent_0": {"w": np.arange(4000, dtype=np.float32), "b": np.ones(3, np.float32)}}


def save(workdir, *steps, keep=None):
    with Checkpoints(workdir, keep=keep) as checkpoints:
        for step in steps:
            scaled = jax.tree.map(lambda leaf, s=step: leaf * s, PARAMS)
            checkpoints.save(step, scaled, {"step": np.array(step)}, CONFIG)


def test_what_is_saved_comes_back(tmp_path):
    save(tmp_path, 1, 2)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [1, 2]
        restored = checkpoints.params(PARAMS)
        np.testing.assert_array_equal(
            restored["prior/latent_0"]["w"], 2 * PARAMS["prior/latent_0"]["w"]
        )
        assert checkpoints.training({"step": np.array(0)}, step=1)["step"] == 1
        assert checkpoints.config() == CONFIG
        assert isinstance(checkpoints.config().model.latent_dims, tuple)


def test_only_the_newest_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, keep=2)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2, 3]


@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_can_be_read(tmp_path, how):
    save(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints" / "2" / "params"
    files = [path for path in folder.rglob("*") if path.is_file() and "/d/" in str(path)]
    assert files
    for path in files:
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(CheckpointError, match=r"checkpoints/2 cannot be read: its 'params'"):
            checkpoints.params(PARAMS)
        restored = checkpoints.params(PARAMS, step=1)
    np.testing.assert_array_equal(restored["prior/latent_0"]["b"], np.ones(3))


def test_parameters_of_another_shape_are_refused(tmp_path):
    save(tmp_path, 1)
    like = {"prior/latent_0": {"w": np.zeros(5, np.float32), "b": np.zeros(3, np.float32)}}
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(CheckpointError, match="shape"):
        checkpoints.params(like)


def files_of(workdir, step):
    folder = workdir / "checkpoints" / str(step)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_all(workdir, step=None):
    with Checkpoints(workdir) as checkpoints:
        checkpoints.config(step)
        checkpoints.training({"step": np.array(0)}, step)
        return checkpoints.params(PARAMS, step)


def test_no_flipped_bit_of_any_file_is_accepted(tmp_path):
    save(tmp_path, 1, 2)
    rng = np.random.default_rng(0)
    for path in files_of(tmp_path, 2):
        whole = path.read_bytes()
        if not whole:
            continue
        place = int(rng.integers(len(whole)))
        flipped = whole[place] ^ (1 << int(rng.integers(8)))
        path.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"checkpoints/2 cannot be read.*--step=1"):
            read_all(tmp_path)
        path.write_bytes(whole)
    read_all(tmp_path)
    read_all(tmp_path, step=1)


def test_files_of_another_step_are_refused(tmp_path):
    save(tmp_path, 5, 10)
    folder = tmp_path / "checkpoints"
    shutil.move(folder / "10" / "params", tmp_path / "params")
    shutil.copytree(folder / "5" / "params", folder / "10" / "params")
    with pytest.raises(CheckpointError, match=r"checkpoints/10 cannot be read: its 'params'"):
        read_all(tmp_path)
    shutil.rmtree(folder / "10")
    shutil.copytree(folder / "5", folder / "10")
    with pytest.raises(CheckpointError, match="holds step 5, copied or renamed to 10"):
        read_all(tmp_path)


def test_a_checkpoint_counts_only_with_its_digests_unless_it_is_older_than_they_are(tmp_path):
    save(tmp_path, 1, 2)
    (tmp_path / "checkpoints" / "2" / "digests.json").unlink()  # killed before it was written
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [1]
    save(tmp_path, 2)  # the run goes on and comes there again
    np.testing.assert_array_equal(read_all(tmp_path)["prior/latent_0"]["b"], 2 * np.ones(3))
    for path in (tmp_path / "checkpoints").rglob("digests.json"):
        path.unlink()
    (tmp_path / "checkpoints" / "sealed.txt").unlink()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [1, 2]
    read_all(tmp_path)


def test_an_undamaged_checkpoint_that_cannot_be_read_is_not_called_damaged(tmp_path):
    save(tmp_path, 1)
    other = {"something": {"else": np.zeros(3, np.float32)}}
    undamaged = pytest.raises(CheckpointError, match="Its files are undamaged")
    with Checkpoints(tmp_path) as checkpoints, undamaged:
        checkpoints.params(other)


def test_keeping_0_keeps_all_and_a_negative_number_is_refused(tmp_path):
    save(tmp_path, 1, 2, 3, keep=0)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [1, 2, 3]
    with pytest.raises(ValueError, match="keep_checkpoints is -1"):
        Checkpoints(tmp_path, keep=-1)


@pytest.mark.parametrize("name", ["a b", "ü日本", "x#1", "50%", "{x}", "a'b\"c", "a,b;c&d", "-x$y"])
def test_checkpoints_come_back_from_folders_of_all_names(tmp_path, name):
    save(tmp_path / name, 1)
    read_all(tmp_path / name)


@pytest.mark.parametrize("name", ["a[1]", "a*", "q?", "a\\b"])
def test_folders_that_the_library_would_take_for_patterns_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="takes for a pattern"):
        save(tmp_path / name / "run", 1)
    assert not (tmp_path / name).exists()


def save_validated(workdir, scores, keep=1, **training):
    """One checkpoint for each score, at steps 1, 2, ...; None is a step without validation."""
    fields = {"keep_best_by": "ged2", **training}
    config = ml_collections.ConfigDict({**CONFIG.to_dict(), "training": fields}).lock()
    with Checkpoints(workdir, keep=keep) as checkpoints:
        for step, score in enumerate(scores, start=1):
            validation = None if score is None else {"ged2": score, "hungarian_iou": score}
            params = jax.tree.map(lambda leaf, s=step: leaf * s, PARAMS)
            ema = jax.tree.map(np.negative, params) if training.get("ema_decay") else None
            checkpoints.save(step, params, {"step": step}, config, ema, validation)


def test_the_best_checkpoint_stays_beside_the_newest(tmp_path):
    save_validated(tmp_path, [0.5, 0.3, None, 0.3, float("nan"), 0.4])
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2, 6]
        assert checkpoints.best("ged2") == (2, 0.3)
        assert checkpoints.best("hungarian_iou") == (6, 0.4)  # of those that are left
        assert checkpoints.best("rand_error") is None
        assert checkpoints.step("best") == 2
        bias = checkpoints.params(PARAMS, "best")["prior/latent_0"]["b"]
        np.testing.assert_array_equal(bias, 2 * np.ones(3))


def test_a_process_goes_on_once_process_0_has_added_the_digests(tmp_path, monkeypatch):
    """Before, it would not see the newest as the best, and delete others than process 0 does."""
    monkeypatch.setattr(Storage, "_seal", lambda *_: None)  # process 0 does it, as this one waits
    folder = tmp_path / "checkpoints"

    def wait(name, **_):
        for step in folder.glob("[0-9]") if "sealed" in name else ():
            seal(step, int(step.name))

    monkeypatch.setattr("orbax.checkpoint.multihost.sync_global_processes", wait)
    save_validated(tmp_path, [0.3, 0.5])
    assert sorted(step.name for step in folder.glob("[0-9]")) == ["1", "2"]


def test_without_a_best_checkpoint_the_steps_that_there_are_are_named(tmp_path):
    save_validated(tmp_path / "none", [None, None], keep=0)
    save_validated(tmp_path / "off", [0.5], keep_best_by="")
    for folder, message in (("none", r"no best checkpoint yet.*of \[1, 2\]"), ("off", "best_by=")):
        refused = pytest.raises(CheckpointError, match=message)
        with Checkpoints(tmp_path / folder) as checkpoints, refused:
            checkpoints.step("best")


def test_a_damaged_validation_is_not_the_best_and_does_not_end_a_run(tmp_path):
    save_validated(tmp_path, [0.1, 0.3], keep=2)
    (file,) = (tmp_path / "checkpoints" / "1" / "validation").glob("*metadata*")
    file.write_bytes(file.read_bytes()[:-3])
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.step("best") == 2


def test_the_average_of_the_weights_is_read_by_its_name_and_missed_in_a_sentence(tmp_path):
    save_validated(tmp_path / "with", [0.5], ema_decay=0.9)
    save_validated(tmp_path / "without", [0.5])
    with Checkpoints(tmp_path / "with") as checkpoints:
        bias = checkpoints.ema(PARAMS)["prior/latent_0"]["b"]
        np.testing.assert_array_equal(bias, -np.ones(3))
    refused = pytest.raises(CheckpointError, match=r"trained with training\.ema_decay=0")
    with Checkpoints(tmp_path / "without") as checkpoints, refused:
        checkpoints.ema(PARAMS)
