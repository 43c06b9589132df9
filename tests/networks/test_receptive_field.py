"""The receptive field is where the gradient of a pixel's logits can be seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.networks import build_network
from hpunet_jax.networks.receptive_field import receptive_field

HPUNET = {"name": "hpunet", "num_scales": 3, "base_channels": 2, "latent_dims": (1,)}
HPUNET |= {"blocks_per_scale": 1, "convs_per_block": 1}
UNET = {"name": "unet", "num_scales": 3, "base_channels": 2, "convs_per_scale": 1}


@pytest.mark.parametrize("model", [HPUNET, UNET], ids=["hpunet", "unet"])
def test_it_is_where_an_image_moves_the_logits_of_a_pixel(model):
    network = build_network(model)
    params = jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.1, network.init(jax.random.key(0)))
    latents = [jnp.zeros((1, 16, 16, 1))] * network.num_latent_scales

    @jax.jit
    @jax.vmap
    def columns_that_matter(pixel):
        def logit(image):
            sample = network.sample(params, network.encode(params, image), None, latents=latents)
            return sample.logits[0, 32, pixel].sum()

        return jnp.abs(jax.grad(logit)(jnp.ones((1, 64, 64, 1)))[0, ..., 0]).sum(axis=0) > 0

    seen = np.asarray(columns_that_matter(jnp.arange(32, 36)))
    widths = [np.ptp(np.flatnonzero(columns)) + 1 for columns in seen]
    assert max(widths) == receptive_field(network.config)
