"""One step function for every mesh: the same results however the work is split."""

import functools

import jax
import ml_collections
import numpy as np
import optax
import pytest

from configs import cityscapes_hpunet, lidc_hpunet, snemi3d_hpunet
from hpunet_jax.networks import build_network
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training import set_up

CONFIGS = {"lidc": lidc_hpunet, "snemi3d": snemi3d_hpunet, "cityscapes": cityscapes_hpunet}
# Levels of 16 and 8 rows are split by row, the one of 4 rows by image.
TINY = {
    "data.crop": (16, 16),
    "model.num_scales": 3,
    "model.base_channels": 2,
    "model.max_channels": 4,
    "model.latent_dims": (1, 1),
    "model.blocks_per_scale": 1,
    "model.convs_per_block": 1,
    "optimizer.epsilon": 1e-3,  # Adam's default magnifies differences of vanishing gradients
    "training.batch_size": 8,
    "mesh.min_rows": 8,
}


# The network is split alike in every task: of the others, one level by row and one by image.
TINIER = {"model.num_scales": 2, "model.latent_dims": (1,), "mesh.min_rows": 16}


def tiny(task, shard_optimizer=False):
    config = CONFIGS[task].get_config().unlock()
    config.mesh.shard_optimizer = shard_optimizer
    config.update_from_flattened_dict(TINY if task == "lidc" else {**TINY, **TINIER})
    # That splitting changes no augmentation is tested beside it; here it costs compile time.
    config.data.augmentation = ml_collections.ConfigDict({"translate": 2.0})
    if task == "snemi3d":
        config.data.num_ids, config.model.num_classes = 4, 5
    if task == "cityscapes":
        config.data.crop = (16, 32)
    return config.lock()


def random_examples(task):
    rng = np.random.default_rng(0)
    height, width, channels = (20, 36, 3) if task == "cityscapes" else (20, 20, 1)

    def draw(high, *last, dtype=np.uint8):
        return rng.integers(0, high, (8, height, width, *last), dtype)

    examples = {"image": draw(256, channels)}
    if task == "lidc":
        return {**examples, "masks": draw(2, 4)}
    if task == "snemi3d":
        return {**examples, "instances": draw(9, dtype=np.uint16)}
    semantic = draw(19)
    semantic[rng.random(semantic.shape) < 0.1] = 255  # ignored
    cars = np.where(semantic == 13, draw(7, dtype=np.uint16), 0).astype(np.uint16)
    return {**examples, "semantic": semantic, "cars": cars}


@functools.cache
def first_step(task, data, space, shard_optimizer=False):
    """Metrics, gradients and parameters of the first step, and the program behind them."""
    config = tiny(task, shard_optimizer)
    config.unlock().mesh.update(data=data, space=space)
    setup = set_up(config, jax.devices()[: data * space])
    arguments = (
        setup.init_state(jax.random.key(0)),
        meshes.to_devices(setup.mesh, random_examples(task)),
    )
    step = setup.step.lower(*arguments).compile()
    state, metrics = step(*arguments)
    first_moment = optax.tree_utils.tree_get(state.optimizer, "mu")
    gradients = jax.tree.map(lambda m: m / (1 - config.optimizer.b1), first_moment)
    return jax.device_get((metrics, gradients, state.params, state.objective)), step.as_text()


def assert_same(expected, split):
    leaves = zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(split), strict=True)
    for (path, a), b in leaves:
        scale = max(np.abs(a).max(), 1e-3)
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=pytest.mark.xdist_group(f"mesh_{task}")) for task in CONFIGS]
)
@pytest.mark.parametrize(("data", "space"), [(8, 1), (4, 2), (2, 4), (1, 8)])
def test_every_split_gives_the_step_of_one_device(task, data, space):
    if jax.device_count() < 8:
        pytest.skip("needs XLA_FLAGS=--xla_force_host_platform_device_count=8")
    expected, _ = first_step(task, 1, 1)
    split, program = first_step(task, data, space)
    assert_same(expected, split)
    assert ("collective-permute" in program) == (space > 1)  # rows are exchanged at the seams


@pytest.mark.xdist_group("mesh_lidc")
def test_a_split_optimizer_gives_the_same_step_and_a_part_of_its_state_to_each_device(monkeypatch):
    monkeypatch.setattr(meshes, "MIN_SPLIT", 16)
    expected, _ = first_step("lidc", 1, 1)
    split, _ = first_step("lidc", 4, 2, shard_optimizer=True)
    assert_same(expected, split)

    mesh = meshes.build_mesh(4, 2, jax.devices()[:8])
    for shape, part in (((3, 3, 8, 4), (3, 3, 2, 4)), ((18,), (18,)), ((8,), (8,)), ((), ())):
        assert meshes.over_data(mesh, shape).shard_shape(shape) == part


def test_levels_below_min_rows_are_split_by_image_over_all_devices():
    mesh = meshes.build_mesh(2, 2, jax.devices()[:4])
    constrain = jax.jit(meshes.ByLevel(mesh, 16))
    fine, coarse = (constrain(np.zeros((4, rows, 8, 1))) for rows in (16, 8))
    assert {shard.data.shape for shard in fine.addressable_shards} == {(2, 8, 8, 1)}
    assert {shard.data.shape for shard in coarse.addressable_shards} == {(1, 8, 8, 1)}


def test_networks_built_twice_for_a_mesh_are_the_same_program(tiny_model):
    mesh = meshes.build_mesh(2, 2, jax.devices()[:4])
    first, again, other = (
        build_network(tiny_model, meshes.ByLevel(mesh, min_rows)) for min_rows in (16, 16, 8)
    )
    assert first == again
    assert hash(first) == hash(again)
    assert first != other


def test_a_level_whose_rows_do_not_divide_is_refused_unless_split_by_image():
    mesh = meshes.build_mesh(1, 8, jax.devices()[:8])
    meshes.check_rows(mesh, height=32, size_multiple=8, min_rows=8)
    with pytest.raises(ValueError, match=r"32 rows .* mesh\.space=8 .* level of 4 rows"):
        meshes.check_rows(mesh, height=32, size_multiple=8, min_rows=4)
    with pytest.raises(ValueError, match=r"level of 12 rows"):
        meshes.check_rows(mesh, height=12, size_multiple=4, min_rows=16)


def test_a_batch_that_does_not_divide_over_all_devices_is_refused():
    mesh = meshes.build_mesh(2, 2, jax.devices()[:4])
    meshes.check_batch(mesh, 8)
    with pytest.raises(ValueError, match=r"batch_size=6 .* mesh\.data=2 x mesh\.space=2"):
        meshes.check_batch(mesh, 6)
