"""Initial weights against their definition."""

import jax
import numpy as np
import pytest

from hpunet_jax.networks import HPUNetConfig, hpunet
from hpunet_jax.networks.initializers import BIAS_STDDEV, orthogonal


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 16, 4), (1, 1, 4, 16), (3, 3, 2, 64)])
def test_kernels_are_orthogonal_with_gain_one(shape):
    normal = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    matrix = orthogonal(normal).reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-6)


def test_orthogonal_kernels_are_uniform_over_signs():
    rng = np.random.default_rng(0)
    diagonal = [orthogonal(rng.standard_normal((2, 2)))[0, 0] for _ in range(400)]
    assert abs(np.mean(np.sign(diagonal))) < 0.15  # LAPACK's own QR would give one sign only


def test_biases_are_truncated_normal_and_the_key_decides(tiny_model):
    fields = {name: value for name, value in tiny_model.items() if name != "name"}
    network = hpunet(HPUNetConfig(**fields))
    params = network.init(jax.random.key(0))
    biases = np.concatenate([module["b"] for module in params.values()])
    assert np.abs(biases).max() <= 2 * BIAS_STDDEV
    assert 0.8 < biases.std() / (0.8796 * BIAS_STDDEV) < 1.2  # std of N(0, 1) cut at two
    again, other = network.init(jax.random.key(0)), network.init(jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, params, again)
    assert not np.array_equal(params["prior/latent_0"]["w"], other["prior/latent_0"]["w"])
    shapes = jax.tree.map(lambda leaf: leaf.shape, network.param_shapes())
    assert jax.tree.map(np.shape, params) == shapes


def test_gain_multiplies_kernels_and_nothing_else(tiny_model):
    fields = {name: value for name, value in tiny_model.items() if name != "name"}
    plain = hpunet(HPUNetConfig(**fields)).init(jax.random.key(0))
    scaled = hpunet(HPUNetConfig(**fields, init_gain=2.0)).init(jax.random.key(0))
    jax.tree.map(
        np.testing.assert_array_equal,
        scaled,
        {module: {"w": 2 * leaves["w"], "b": leaves["b"]} for module, leaves in plain.items()},
    )


def test_the_full_lidc_network_has_the_official_number_of_parameters():
    shapes = hpunet(HPUNetConfig(posterior_tail=True)).param_shapes()
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert count == 21_877_231 - 1  # the multiplier belongs to the objective
