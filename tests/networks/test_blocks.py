"""Blocks of columns: the same network, its parameters, results and gradients, in another layout."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.networks import HPUNetConfig, UNetConfig, build_network
from hpunet_jax.networks.blocks import (
    Blocked,
    concatenate,
    kernel_of_blocks,
    to_blocks,
    up_sample_to_blocks,
)
from hpunet_jax.networks.convolution import down_sample, unconstrained, up_sample
from hpunet_jax.training.mesh import ByLevel, build_mesh

WIDTHS = (2, 4, 8)


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def convolved(features, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        features, kernel, (1, 1), "SAME", dimension_numbers=numbers, precision="highest"
    )


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("width", WIDTHS)
def test_blocks_are_neighbouring_columns(width):
    x = jnp.asarray(draw(2, 3, 16, 5))
    blocked = to_blocks(x, width)
    (part,) = blocked.parts
    assert part.shape == (2, 3, 16 // width, width * 5)
    np.testing.assert_array_equal(part[1, 2, 1, 5:10], x[1, 2, width + 1])
    assert blocked.shape == x.shape
    for other in (1, *WIDTHS):
        np.testing.assert_array_equal(to_blocks(to_blocks(blocked, other), 1), x)


@pytest.mark.parametrize(("width", "size"), list(itertools.product(WIDTHS, (1, 3))))
def test_a_kernel_of_blocks_convolves_as_the_plain_one_does(width, size):
    """At one block, an odd number of blocks, and with features from below, latents and a skip."""
    kernel = jnp.asarray(draw(size, size, 2 + 4 + 3, 5))
    for h, w in ((2, 8), (6, 24)):
        latents, coarse, skip = (
            draw(2, h // 2, w // 2, 2),
            draw(2, h // 2, w // 2, 4),
            draw(2, h, w, 3),
        )
        plain = jnp.concatenate([up_sample(np.concatenate([latents, coarse], -1)), skip], axis=-1)
        below = concatenate([jnp.asarray(latents), to_blocks(jnp.asarray(coarse), width // 2)])
        features = concatenate([up_sample_to_blocks(below, width), to_blocks(skip, width)])
        assert features.columns[-1] == width == 2 * features.columns[0]
        close(to_blocks(features, 1), plain)
        inputs = jnp.concatenate(features.parts, axis=-1)
        out = Blocked((convolved(inputs, kernel_of_blocks(kernel, features)),), (width,), width)
        close(to_blocks(out, 1), convolved(plain, kernel))


@pytest.mark.parametrize("width", WIDTHS)
def test_down_sampling_of_blocks_takes_the_means_of_2x2_pixels(width):
    x = jnp.asarray(draw(2, 6, 24, 5))
    down = down_sample(to_blocks(x, width))
    assert getattr(down, "width", 1) == width // 2
    close(to_blocks(down, 1), down_sample(x))


# Narrow, but with what the paper's networks differ in.
NARROW = {"name": "hpunet", "base_channels": 2, "max_channels": 6, "num_scales": 4}
NARROW |= {"latent_dims": (1,), "blocks_per_scale": 1, "convs_per_block": 1}
NETWORKS = {
    "lidc, snemi3d": ({"remat": (0,)}, (8, 4, 2), (16, 48)),
    "cityscapes": ({"image_channels": 3, "convs_per_block": 2}, (2, 4), (16, 16)),
    "latents in blocks": ({"latent_dims": (1, 0, 2), "num_classes": 3}, (1, 4, 2), (8, 24)),
}


def values_and_gradients(model, size, constrain=unconstrained):
    """Outputs of a training pass of 8 images, and the gradients of the sum of their squares."""
    network = build_network(model, constrain)
    image = jax.random.uniform(jax.random.key(1), (8, *size, network.image_channels))
    label = jax.random.randint(jax.random.key(2), (8, *size), 0, network.num_classes)
    keys = jax.random.split(jax.random.key(3), 8)

    @jax.jit
    def run(params):
        def loss(params):
            outputs = network.train_outputs(params, keys, image, label)
            return sum(jnp.mean(jnp.square(x)) for x in jax.tree.leaves(outputs)), outputs

        return jax.grad(loss, has_aux=True)(params)

    params = build_network({**model, "blocks": ()}).init(jax.random.key(0))
    assert jax.tree.structure(params) == jax.tree.structure(network.param_shapes())
    gradients, outputs = run(params)
    return outputs, gradients


def assert_same(found, expected):
    for which, tolerance in ((0, 1e-6), (1, 1e-5)):
        pairs = zip(*map(jax.tree.leaves, (found[which], expected[which])), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max(), rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_blocks_give_the_plain_ones_values_and_gradients(name):
    """One of them rematerialised and split over 2x4 devices by image and row, in blocks only."""
    fields, blocks, size = NETWORKS[name]
    model = {**NARROW, **fields}
    split = ByLevel(build_mesh(2, 4), min_rows=8) if "remat" in model else unconstrained
    plain = values_and_gradients({**model, "remat": ()}, size)
    assert_same(values_and_gradients({**model, "blocks": blocks}, size, split), plain)


@pytest.mark.parametrize("blocks", [(3,), (0,), (32,), (8, 8), (1, 1, 1, 1, 2)])
def test_blocks_that_do_not_divide_every_width_are_refused(blocks):
    with pytest.raises(ValueError, match=r"model\.blocks=.* only powers of two up to"):
        build_network({**NARROW, "blocks": blocks})


def test_tpus_get_blocks_where_these_fill_the_matrix_units_and_others_none():
    paper = HPUNetConfig()
    assert paper.on("tpu").blocks == (8, 4)  # 12 and 24 feature maps in the residual branches
    assert paper.on("cpu") == paper.on("gpu") == paper
    assert HPUNetConfig(base_channels=32, num_scales=9).on("tpu").blocks == (8, 4)
    assert HPUNetConfig(base_channels=128).on("tpu").blocks == ()
    assert HPUNetConfig(num_scales=3, latent_dims=(1,)).on("tpu").blocks == (4,)
    for chosen in ((1,), (2, 2)):
        assert HPUNetConfig(blocks=chosen).on("tpu").blocks == chosen


def test_a_network_is_built_for_its_devices():
    def model(platform):
        return build_network({"name": "hpunet"}, platform=platform).config

    assert model("tpu") == HPUNetConfig(blocks=(8, 4))
    assert model("cpu") == HPUNetConfig()
    assert build_network({"name": "unet"}, platform="tpu").config == UNetConfig()
