"""Loading a model: with nothing but its path, onto a device, in a dtype; and what is refused."""

import jax
import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import CheckpointError, Checkpoints, write_model


@pytest.fixture(scope="module")
def model(tiny_sampler):
    return tiny_sampler


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.npz"
    write_model(path, model.params, model.config)
    return path


def test_a_saved_model_loads_with_nothing_but_its_directory(tmp_path, model, images, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, model.params, {"unused": np.zeros(1)}, model.config)
    loaded = hpunet_jax.load(tmp_path)
    assert loaded.config.model.to_dict() == model.config.model.to_dict()
    np.testing.assert_array_equal(
        loaded.sample(images, num_samples=2), model.sample(images, num_samples=2)
    )
    monkeypatch.chdir(tmp_path)
    assert hpunet_jax.load(".", step=np.int64(7)).digest() == loaded.digest()
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 8, only \[7\]"):
        hpunet_jax.load(tmp_path, step=8)


def test_an_empty_directory_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        hpunet_jax.load(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_model_computes_on_the_device_it_is_loaded_to(file, model, images):
    device = jax.local_devices()[3]
    for chosen in ("cpu:3", device):
        loaded = hpunet_jax.load(file, device=chosen)
        assert {leaf.device for leaf in jax.tree.leaves(loaded.params)} == {device}
    np.testing.assert_array_equal(loaded.sample(images, 2), model.sample(images, 2))
    for bad, message in (
        ("cpu:8", "this process has 8 of kind cpu"),
        ("tpu", "JAX has no tpu here"),
        ("cuda", 'device must be "all", "cpu"'),
        ("cpu:x", 'device must be "all", "cpu"'),
        (0, 'device must be "all", "cpu".* not 0'),
    ):
        with pytest.raises(ValueError, match=message):
            hpunet_jax.load(file, device=bad)


def test_a_model_computes_in_the_dtype_it_is_loaded_with(file, model, images):
    loaded = hpunet_jax.load(file, dtype="bfloat16")
    assert loaded.config.model.dtype == "bfloat16"
    exact = model.sample(images, 1, scales=[], probabilities=True)
    rounded = loaded.sample(images, 1, scales=[], probabilities=True)
    assert 0 < np.abs(rounded - exact).max() < 0.05
    for bad in ("float16", np.float32, 32):
        with pytest.raises(ValueError, match="dtype must be one of 'float32', 'bfloat16', not"):
            hpunet_jax.load(file, dtype=bad)


def test_what_is_no_path_or_no_model_is_refused_in_a_sentence(file, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    for bad, message in (
        ("", "directory is empty"),
        (None, "directory must be a path"),
        (b"runs", "directory must be a path"),
        (3, "directory must be a path"),
        ("az://bucket/run", "has the scheme az://"),
        ("a\0b", "NUL"),
        (tmp_path / "notes.txt", "is a file, but not a model file"),
        (tmp_path, "no complete checkpoint"),
        (tmp_path / "pretrained" / "other", "no complete checkpoint"),
        (tmp_path / "none.npz", "there is no model"),
    ):
        with pytest.raises(ValueError, match=message):
            hpunet_jax.load(bad)
        if not isinstance(bad, type(tmp_path)):
            with pytest.raises(ValueError, match=message.replace("directory", "prefix")):
                hpunet_jax.load_tf1(bad)
    with pytest.raises(ValueError, match=r"step=5 is given, but the model file .* leave step out"):
        hpunet_jax.load(file, step=5)
    for bad in (-1, 2.0, "7", True):
        with pytest.raises(ValueError, match="step must be an integer"):
            hpunet_jax.load(tmp_path, step=bad)
