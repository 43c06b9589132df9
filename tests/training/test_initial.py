"""Starting from other weights: what fits is taken over, what does not is drawn anew and named."""

import jax
import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import Checkpoints, write_model
from hpunet_jax.objectives import GecoParams
from hpunet_jax.training import Trainable, save, set_up
from hpunet_jax.training.initial import initialize

ONE = jax.devices()[:1]


def with_fields(config, **fields):
    copy = config.copy_and_resolve_references().unlock()
    copy.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
    return copy.lock()


@pytest.fixture(scope="module")
def run(module_config, tmp_path_factory):
    """A work directory: at step 3, with a multiplier and an average of the weights."""
    config = with_fields(
        module_config,
        training__ema_decay=0.5,
        training__validate_every=1,
        training__keep_best_by="ged2",
    )
    state = set_up(config, ONE).init_state(jax.random.key(7))
    params = Trainable(state.params.network, GecoParams(np.float32(2.0)))
    average = jax.tree.map(np.zeros_like, state.ema)
    workdir = tmp_path_factory.mktemp("source") / "run"
    with Checkpoints(workdir) as checkpoints:
        for step, ged2 in ((3, 0.2), (5, 0.3)):
            network = jax.tree.map(lambda leaf, s=step: leaf * s, params.network)
            changed = state._replace(params=params._replace(network=network), ema=average)
            save(checkpoints, step, changed, config, {"ged2": ged2})
    return workdir


@pytest.fixture
def start(tiny_config):
    def start(source, **fields):
        config = with_fields(tiny_config, training__init_from=str(source), **fields)
        setup = set_up(config, ONE)
        drawn = setup.init_state(jax.random.key(0))
        state, said = initialize(drawn, setup, config)
        return drawn, state, said

    return start


def test_all_weights_and_the_multiplier_of_the_same_network_are_taken_over(run, start):
    _, state, said = start(run)
    expected = hpunet_jax.load(run).params
    jax.tree.map(np.testing.assert_array_equal, state.params.network, expected)
    assert state.params.objective.raw_multiplier == 2.0
    assert state.step == 0
    total = len(jax.tree.leaves(expected))
    assert f"step 5: {total} of {total} parameters fit" in said
    assert "multiplier starts at 4.524, as there" in said  # softplus(2)²


def test_the_best_checkpoint_the_average_and_a_model_file_can_be_the_start(run, start, tmp_path):
    best = hpunet_jax.load(run, "best")
    _, state, said = start(run, training__init_step="best", training__ema_decay=0.9)
    jax.tree.map(np.testing.assert_array_equal, state.params.network, best.params)
    jax.tree.map(np.testing.assert_array_equal, state.ema, best.params)
    assert "step 3:" in said
    _, state, said = start(run, training__init_weights="ema")
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(state.params.network))
    assert "the average of its weights" in said
    write_model(tmp_path / "model.npz", best.params, best.config)
    _, state, said = start(tmp_path / "model.npz")
    jax.tree.map(np.testing.assert_array_equal, state.params.network, best.params)
    assert "multiplier" not in said  # the file has none


def test_other_classes_and_channels_are_drawn_anew_and_named(run, start):
    drawn, state, said = start(run, model__num_classes=3, model__image_channels=2)
    there = hpunet_jax.load(run).params
    new = set()
    for module, leaves in state.params.network.items():
        for name, leaf in leaves.items():
            fits = there[module][name].shape == leaf.shape
            new |= set() if fits else {f"{module}/{name}"}
            source = there if fits else drawn.params.network
            np.testing.assert_array_equal(leaf, source[module][name])
    assert new == {
        "output_decoder/logits/b",
        "output_decoder/logits/w",
        *(
            f"{encoder}/scale_0/block_0/{conv}/w"
            for encoder in ("prior_encoder", "posterior_encoder")
            for conv in ("conv_0", "skip")
        ),
    }
    assert all(name in said for name in new)
    (row,) = (line.split() for line in said.splitlines() if "logits/w" in line)
    assert row == ["output_decoder/logits/w", "1x1x4x2", "1x1x4x3"]
    assert state.params.objective == drawn.params.objective  # another task, another balance


def test_an_official_checkpoint_can_be_the_start(start, golden_folder):
    prefix = golden_folder / "tiny_ckpt" / "tf_graph_data.ckpt"
    model = hpunet_jax.load_tf1(prefix)
    fields = {f"model__{name}": value for name, value in model.config.model.items()}
    with pytest.raises(ValueError, match=r"holds one set of weights"):
        start(prefix, training__init_step="3")
    _, state, said = start(prefix, **{**fields, "model__num_classes": 2})
    kept = model.params["prior_encoder/scale_1/block_0/conv_0"]["w"]
    network = state.params.network
    np.testing.assert_array_equal(network["prior_encoder/scale_1/block_0/conv_0"]["w"], kept)
    assert network["output_decoder/logits"]["w"].shape[-1] == 2
    assert "official checkpoint" in said


def test_what_does_not_exist_or_fit_at_all_is_refused(start, tmp_path, run):
    with pytest.raises(ValueError, match="holds no complete checkpoint"):
        start(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"no convolution of .* fits this network"):
        start(run, model__base_channels=6, model__max_channels=6, model__latent_dims=(3, 3))
