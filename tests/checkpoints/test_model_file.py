"""A model as one file: it samples as before, and a damaged or foreign file is refused by name."""

import jax
import ml_collections
import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import CheckpointError, read_model, write_model
from hpunet_jax.inference import Model, shipped
from hpunet_jax.networks import build_network

SECTION = {"name": "spunet", "num_scales": 2, "base_channels": 4, "convs_per_scale": 1}


@pytest.fixture(scope="module")
def model():
    network = build_network(SECTION)
    config = ml_collections.ConfigDict({"model": SECTION, "data": {"crop": (8, 8)}}).lock()
    return Model(network, network.init(jax.random.key(0)), config)


@pytest.fixture
def path(tmp_path, model):
    write_model(tmp_path / "model.npz", model.params, model.config)
    return tmp_path / "model.npz"


def test_a_model_file_loads_like_a_work_directory(path, model):
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    loaded = hpunet_jax.load(path)
    np.testing.assert_array_equal(loaded.sample(images, 3), model.sample(images, 3))
    assert loaded.config == model.config
    assert loaded.config.data.crop == (8, 8)


def test_a_pretrained_model_is_found_in_the_package_unless_there_is_such_a_folder(
    path, model, monkeypatch, tmp_path
):
    folder = tmp_path / "package" / "pretrained"
    monkeypatch.setattr(shipped, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    write_model(folder / "small.npz", model.params, model.config)
    (folder / "small.md").write_text("# small: a card")
    assert hpunet_jax.load("pretrained/small").config == model.config
    with pytest.raises(CheckpointError, match="pretrained/large/checkpoints holds no complete"):
        hpunet_jax.load("pretrained/large")
    (tmp_path / "pretrained" / "small").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="pretrained/small/checkpoints holds no complete"):
        hpunet_jax.load("pretrained/small")


@pytest.mark.parametrize(
    "damage",
    ["truncated", "text", "other arrays", "missing", "no bytes", "one array", "words", "nan"],
)
def test_a_file_that_is_no_model_is_named(path, model, damage):
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "text":
        path.write_text("no archive")
    elif damage == "other arrays":
        np.savez(path, values=np.ones(3))
    elif damage == "no bytes":
        path.write_bytes(b"")
    elif damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif damage in ("words", "nan"):
        weights = {name: dict(module) for name, module in model.params.items()}
        weights["logits"]["b"] = np.full(2, np.nan)
        write_model(path, weights, model.config)
        if damage == "words":
            with np.load(path) as arrays:
                whole = {**arrays, "logits/b": np.array(["one", "two"])}
            np.savez(path, **whole)
    else:
        path.unlink()
    with pytest.raises(
        CheckpointError, match=r"model\.npz does not hold|there is no model .*model\.npz"
    ):
        hpunet_jax.load(path)


def test_a_file_with_objects_in_it_is_not_unpickled(path):
    np.savez(path, config=np.array([{"a": 1}], object))
    with pytest.raises(CheckpointError, match="allow_pickle"):
        read_model(path)


def test_parameters_that_do_not_fit_the_config_are_named(path, model):
    params = {name: dict(module) for name, module in model.params.items()}
    params["logits"]["b"] = np.zeros(5)
    write_model(path, params, model.config)
    with pytest.raises(CheckpointError, match=r"logits/b has shape \(5,\), but \(2,\)"):
        hpunet_jax.load(path)
    del params["logits"]
    write_model(path, params, model.config)
    with pytest.raises(CheckpointError, match="logits/b has shape None"):
        hpunet_jax.load(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "Expecting value"),
        ("[]", "must be a JSON object"),
        ("{}", "must have a section `model`"),
        ('{"model": 3}', "must have a section `model`, not 3"),
        ('{"model": {"name": "vnet"}}', "model.name must be"),
        ('{"model": {"name": "unet", "num_classes": 1}}', "model.num_classes must be an integer"),
        ('{"model": {"name": "unet", "num_scales": {}}}', "model.num_scales"),
        ('{"model": {"name": "unet", "colour": 1}}', "unknown field model.colour"),
    ],
)
def test_a_config_of_no_model_is_refused_with_the_field(path, config, message):
    np.savez(path, config=np.array(config))
    with pytest.raises(CheckpointError, match=r"model\.npz does not hold the config") as refused:
        hpunet_jax.load(path)
    assert message in str(refused.value)
