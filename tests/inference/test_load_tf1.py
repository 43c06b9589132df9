"""A model loaded from an official checkpoint, and the directory that import_tf1 makes of it."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

import hpunet_jax
from experiments.run_config import get_config
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.objectives import lagrange_multiplier
from hpunet_jax.training import set_up
from hpunet_jax.training.resuming import resume

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prefix(golden_folder):
    return golden_folder / "tiny_ckpt" / "tf_graph_data.ckpt"


@pytest.fixture(scope="module")
def recorded(golden_folder):
    with np.load(golden_folder / "tiny.npz") as file:
        return {key: file[key] for key in ("img", "seg", "sample_mean/logits", "mean/rec_logits")}


@pytest.fixture(scope="module")
def model(prefix):
    return hpunet_jax.load_tf1(prefix)


def test_the_sample_of_the_prior_means_has_the_recorded_labels(model, recorded):
    assert (model.num_classes, model.num_latent_scales) == (3, 3)
    labels = model.sample(recorded["img"], num_samples=2, scales=[])
    expected = recorded["sample_mean/logits"].argmax(axis=-1)
    np.testing.assert_array_equal(labels, [expected, expected])


def test_the_reconstruction_has_the_recorded_probabilities(model, recorded):
    labels = recorded["seg"].argmax(axis=-1)
    probabilities = model.reconstruct(recorded["img"], labels, probabilities=True)
    exponentials = np.exp(np.float64(recorded["mean/rec_logits"]))
    expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)


def import_tf1(*arguments):
    command = [sys.executable, "-m", "experiments.import_tf1", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_imported_directory_loads_with_the_same_parameters(model, prefix, tmp_path):
    arguments = f"--checkpoint={prefix}", f"--workdir={tmp_path / 'official'}"
    done = import_tf1(*arguments)
    assert done.returncode == 0, done.stderr
    assert "4 scales of 2 blocks" in done.stdout
    imported = hpunet_jax.load(tmp_path / "official")
    assert imported.config.model.to_dict() == model.config.model.to_dict()
    assert imported.params.keys() == model.params.keys()
    for module, leaves in model.params.items():
        for leaf, value in leaves.items():
            np.testing.assert_array_equal(imported.params[module][leaf], value)

    config = get_config(str(tmp_path / "official"))  # of `train` without --config
    setup = set_up(config, jax.devices()[:1])
    with Checkpoints(tmp_path / "official") as checkpoints:
        state = resume(checkpoints, config, setup.init_state(jax.random.key(1)), 0)
    jax.tree.map(np.testing.assert_array_equal, state.params.network, imported.params)
    assert lagrange_multiplier(state.params.objective.raw_multiplier) == pytest.approx(1.0)
    assert state.step == 0

    again = import_tf1(*arguments)
    assert again.returncode == 1
    assert "holds checkpoints already" in again.stderr
