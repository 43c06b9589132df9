"""Official checkpoints: the model behind the shapes, and every misfit named."""

import numpy as np
import pytest

from hpunet_jax.checkpoints import CheckpointError, params_from_tf1, read_tf1
from hpunet_jax.networks import build_network

MODELS = {
    "tiny": {
        "num_classes": 3,
        "num_scales": 4,
        "channels": (4, 8, 8, 8),
        "block_channels": (2, 4, 4, 4),
        "latent_dims": (1, 2, 1),
        "blocks_per_scale": 2,
    },
    "stitched": {
        "num_classes": 2,
        "num_scales": 5,
        "channels": (4, 6, 8, 8, 8),
        "block_channels": (2, 3, 4, 4, 4),
        "latent_dims": (1, 1),
        "blocks_per_scale": 2,
    },
    "lidc_thin": {
        "num_classes": 2,
        "num_scales": 8,
        "channels": (4, 8, 16, 32, 32, 32, 32, 32),
        "block_channels": (2, 4, 8, 16, 16, 16, 16, 16),
        "latent_dims": (1, 1, 1, 1),
        "blocks_per_scale": 3,
    },
}
COMMON = {"name": "hpunet", "image_channels": 1, "convs_per_block": 3, "posterior_tail": True}


@pytest.fixture
def prefix(golden_folder):
    return lambda name: golden_folder / f"{name}_ckpt" / "tf_graph_data.ckpt"


@pytest.fixture
def tiny(prefix):
    checkpoint = read_tf1(prefix("tiny"))
    return dict(checkpoint.variables), build_network(checkpoint.model).param_shapes()


@pytest.mark.parametrize("name", MODELS)
def test_hyperparameters_are_inferred_from_the_variables_shapes(prefix, name):
    assert read_tf1(prefix(name)).model == {**COMMON, **MODELS[name]}


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_finds_its_place_once(prefix, golden_folder, name):
    checkpoint = read_tf1(prefix(name))
    params = params_from_tf1(checkpoint.variables, build_network(checkpoint.model).param_shapes())
    count = sum(leaf.size for leaves in params.values() for leaf in leaves.values())
    with np.load(golden_folder / f"{name}.npz") as recorded:
        assert count + 1 == recorded["ckpt/size"].sum()  # 1: the multiplier
        assert sum(map(len, params.values())) + 1 == len(recorded["ckpt/names"])
    assert checkpoint.raw_multiplier == pytest.approx(np.log(np.e - 1), rel=1e-6)


def test_a_network_without_the_posterior_tail_names_what_it_would_not_hold(prefix):
    checkpoint = read_tf1(prefix("tiny"))
    shapes = build_network({**checkpoint.model, "posterior_tail": False}).param_shapes()
    with pytest.raises(CheckpointError, match=r"posterior/conv_2d_\d+/w is not part of the model"):
        params_from_tf1(checkpoint.variables, shapes)


def test_all_missing_extra_and_misshapen_variables_are_named(tiny):
    variables, shapes = tiny
    del variables["prior/conv_2d_3/w"], variables["posterior/conv_2d/b"]
    variables["prior/conv_2d_4/b"] = np.zeros(7, np.float32)
    variables["prior/batch_norm/gamma"] = np.zeros(2, np.float32)
    with pytest.raises(CheckpointError) as error:
        params_from_tf1(variables, shapes)
    for text in (
        "4 place(s)",
        "prior/conv_2d_3/w is missing",
        "posterior/conv_2d/b is missing",
        "prior/conv_2d_4/b has shape (7,) instead of (4,)",
        "prior/batch_norm/gamma is not part of the model",
    ):
        assert text in str(error.value)


def write(monkeypatch, variables):
    """Lets `read_tf1` find these variables, whatever the file."""
    monkeypatch.setattr("hpunet_jax.checkpoints.tf1.read_tensor_bundle", lambda _: variables)


def test_a_checkpoint_of_another_model_is_refused_by_name(monkeypatch):
    write(monkeypatch, {"dense/kernel": np.zeros((3, 3), np.float32)})
    with pytest.raises(CheckpointError, match=r"other\.ckpt is no checkpoint of an HPU-Net"):
        read_tf1("other.ckpt")


def test_a_missing_multiplier_is_named(monkeypatch, tiny):
    write(monkeypatch, tiny[0])
    with pytest.raises(CheckpointError, match="lagrange_multiplier/w is missing"):
        read_tf1("weights.ckpt")


@pytest.mark.parametrize("missing", ["prior/conv_2d", "prior/conv_2d_1", "prior/conv_2d_16"])
def test_a_missing_kernel_of_the_prior_is_named_though_the_model_is_inferred_from_it(
    monkeypatch, tiny, missing
):
    variables, _ = tiny
    del variables[f"{missing}/w"]
    variables["snt_lagrange_multiplier/lagrange_multiplier/w"] = np.float32(0.5)
    write(monkeypatch, {f"model/HPUNet/{name}": value for name, value in variables.items()})
    with pytest.raises(CheckpointError, match=f"{missing}/w is missing"):
        read_tf1("weights.ckpt")


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.ckpt"):
        read_tf1(tmp_path / "nothing.ckpt")
