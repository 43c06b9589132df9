"""Micro-batches: the same step as the whole batch, and as little memory as one of them needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.augmentation import Batch
from hpunet_jax.config import check_config
from hpunet_jax.networks import build_network
from hpunet_jax.objectives import GecoState, geco
from hpunet_jax.training import Trainable, batch_loss
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.accumulation import accumulated_gradients

MODEL = {
    "name": "hpunet",
    "num_scales": 3,
    "base_channels": 4,
    "latent_dims": (1, 1),
    "blocks_per_scale": 1,
    "convs_per_block": 1,
}


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return Batch(
        image=jnp.asarray(rng.uniform(size=(8, 16, 16, 1)), jnp.float32),
        label=jnp.asarray(rng.integers(0, 2, (8, 16, 16)), jnp.int32),
        mask=jnp.asarray(rng.random((8, 16, 16)) > 0.3, jnp.float32),
    )


def test_micro_batches_give_the_gradients_terms_and_multiplier_of_the_whole_batch(batch):
    """With one choice of worst pixels for all: those of each micro-batch alone would be others."""
    network, objective = build_network(MODEL), geco(kappa=0.1)
    params = Trainable(network.init(jax.random.key(0)), objective.init()[0])
    state = GecoState(jnp.float32(3.0), jnp.bool_(True))
    arguments = {"network": network, "objective": objective, "top_k": 0.02, "weight_decay": 1e-3}

    @jax.jit
    def all_three(params, key):
        given = (params, state, batch, key)
        whole = jax.grad(batch_loss, has_aux=True)(*given, **arguments)
        parts = accumulated_gradients(*given, **arguments, parts=4)
        of_two_devices = accumulated_gradients(*given, **arguments, parts=2, devices=2)
        return whole, parts, of_two_devices

    whole, *others = all_three(params, jax.random.key(1))
    for scale in ("kl_0", "kl_1"):
        assert whole[1][1][scale] > 0
    for other in others:
        for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(whole), strict=True):
            scale = float(np.abs(b).max())
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale)


def test_micro_batches_that_do_not_divide_are_refused(tiny_config):
    mesh = meshes.build_mesh(devices=jax.devices()[:4])
    meshes.check_batch(mesh, 16, parts=4)
    with pytest.raises(ValueError, match=r"micro-batches of 2 images.* multiple of 16"):
        meshes.check_batch(mesh, 8, parts=4)
    with tiny_config.unlocked():
        tiny_config.training.accumulate = 3
    with pytest.raises(ValueError, match=r"accumulate=3 does not divide training\.batch_size=4"):
        check_config(tiny_config)
