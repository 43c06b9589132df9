"""A tiny model whose samples differ, and images for it."""

import jax
import ml_collections
import numpy as np
import pytest

from hpunet_jax.inference import Model
from hpunet_jax.networks import build_network


@pytest.fixture(scope="session")
def tiny_sampler(tiny_model):
    """An untrained model of 3 classes and 2 latent scales."""
    network = build_network(tiny_model)
    params = network.init(jax.random.key(0))
    # Large latent weights, so that samples differ although the network is untrained.
    for name, module in params.items():
        if name.startswith("prior/latent"):
            module["w"] = 3 * module["w"]
    return Model(network, params, ml_collections.ConfigDict({"model": tiny_model}))


@pytest.fixture(scope="session")
def images():
    """Three images of 16x24 pixels."""
    return np.random.default_rng(0).integers(0, 256, (3, 16, 24, 1)).astype(np.uint8)
