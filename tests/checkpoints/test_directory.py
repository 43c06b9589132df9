"""Checkpoint directories: whole or refused, never half."""

import jax
import ml_collections
import numpy as np
import pytest

from hpunet_jax.checkpoints import CheckpointError, Checkpoints

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
