"""The sPU-Net: one global latent vector, final 1x1 convolutions, and what depends on what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.networks import build_network
from hpunet_jax.networks.convolution import up_sample_bilinear

MODEL = {
    "name": "spunet",
    "image_channels": 1,
    "num_classes": 3,
    "num_scales": 3,
    "base_channels": 4,
    "max_channels": 8,
    "convs_per_scale": 1,
    "latent_dim": 2,
}


@pytest.fixture(scope="module")
def network():
    return build_network(MODEL)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(1), (2, 8, 12, 1))


@pytest.fixture(scope="module")
def label():
    return jax.random.randint(jax.random.key(2), (2, 8, 12), 0, 3)


def keys(seed, batch=2):
    return jax.random.split(jax.random.key(seed), batch)


def test_the_papers_model_has_its_layers():
    """Three 3x3 convolutions on 5 scales, 32 to 192 feature maps, 6 latents, three final 1x1."""
    shapes = build_network({"name": "spunet"}).param_shapes()
    convs = {module: parameters["w"].shape for module, parameters in shapes.items()}
    for net in ("unet/encoder", "prior_encoder", "posterior_encoder"):
        widths = [
            [convs[f"{net}/scale_{scale}/conv_{i}"][-1] for i in range(3)] for scale in range(5)
        ]
        assert widths == [[c] * 3 for c in (32, 64, 128, 192, 192)]
    decoder = [convs[f"unet/scale_{scale}/conv_0"][2:] for scale in range(4)]
    assert decoder == [(64 + 32, 32), (128 + 64, 64), (192 + 128, 128), (192 + 192, 192)]
    assert convs["posterior_encoder/scale_0/conv_0"] == (3, 3, 1 + 2, 32)
    assert convs["prior_latents"] == convs["posterior_latents"] == (1, 1, 192, 12)
    final = [convs[name] for name in ("combine_0", "combine_1", "logits")]
    assert final == [(1, 1, 32 + 6, 32), (1, 1, 32, 32), (1, 1, 32, 2)]
    assert len(convs) == 3 * 15 + 12 + 2 + 3


def test_bilinear_up_sampling_is_that_of_jax_image():
    x = np.random.default_rng(0).standard_normal((2, 3, 1, 2)).astype(np.float32)
    expected = jax.image.resize(x, (2, 6, 2, 2), "bilinear")
    np.testing.assert_allclose(up_sample_bilinear(x), expected, atol=1e-6)


def test_the_latents_are_one_global_vector(network, params, image, label):
    outputs = network.train_outputs(params, keys(0), image, label)
    assert outputs.logits.shape == (2, 8, 12, 3)
    for scales in (outputs.latents, *zip(*outputs.posteriors, *outputs.priors, strict=True)):
        assert {array.shape for array in scales} == {(2, 1, 1, 2)}
    assert network.num_latent_scales == len(outputs.latents) == 1


def test_training_decodes_the_posteriors_latents_and_sampling_the_priors(
    network, params, image, label
):
    outputs = network.train_outputs(params, keys(0), image, label)
    features = network.encode(params, image)
    fed_back = network.sample(params, features, None, latents=outputs.latents)
    np.testing.assert_allclose(fed_back.logits, outputs.logits, atol=1e-6)
    means = network.train_outputs(params, None, image, label, mean=True)
    np.testing.assert_array_equal(means.latents[0], means.posteriors[0].mean)
    np.testing.assert_array_equal(network.reconstruct(params, image, label), means.logits)
    first, second = (network.sample(params, features, keys(seed)) for seed in (0, 1))
    assert (first.latents[0] != second.latents[0]).all()
    fixed = network.sample(params, features, keys(0), mean=(True,))
    np.testing.assert_array_equal(fixed.latents[0], features.prior.mean)


def test_a_further_sample_runs_the_final_convolutions_alone(network, params, image):
    """Zeroing all other weights leaves a sample of encoded features as it was."""
    features = network.encode(params, image)
    final = ("combine_0", "combine_1", "logits")
    only_final = {
        name: module if name in final else jax.tree.map(np.zeros_like, module)
        for name, module in params.items()
    }
    expected = network.sample(params, features, keys(0)).logits
    np.testing.assert_array_equal(network.sample(only_final, features, keys(0)).logits, expected)


def test_the_latents_change_all_pixels_alike_where_the_features_are_alike(network, params):
    features = network.encode(params, jnp.zeros((1, 32, 32, 1)))
    a, b = (
        network.sample(params, features, None, latents=[jnp.full((1, 1, 1, 2), z)]).logits
        for z in (0.0, 5.0)
    )
    change = (b - a)[0, 12:20, 12:20]  # far from the border's padding
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(change, np.broadcast_to(change[:1, :1], change.shape), atol=1e-5)


def test_the_prior_never_sees_the_segmentation_but_the_posterior_does(
    network, params, image, label
):
    a, b = (network.train_outputs(params, keys(0), image, y) for y in (label, 2 - label))
    np.testing.assert_array_equal(a.priors[0].mean, b.priors[0].mean)
    assert not np.allclose(a.posteriors[0].mean, b.posteriors[0].mean)


def test_bfloat16_computes_gaussians_and_logits_in_float32(params, image, label):
    network = build_network({**MODEL, "dtype": "bfloat16"})
    outputs = network.train_outputs(params, keys(0), image, label)
    assert outputs.logits.dtype == outputs.posteriors[0].mean.dtype == jnp.float32
    assert network.encode(params, image).unet.dtype == jnp.bfloat16


def test_bfloat16_sums_the_gradients_of_latents_over_all_pixels_in_float32(params):
    image, latents = jnp.ones((1, 64, 64, 1)) / 2, jnp.ones((1, 1, 1, 2))

    def gradient(dtype):
        network = build_network({**MODEL, "dtype": dtype})

        def total(z):
            return network.sample(params, network.encode(params, image), None, latents=[z])[0].sum()

        return jax.jit(jax.grad(total))(latents)

    np.testing.assert_allclose(gradient("bfloat16"), gradient("float32"), rtol=0.05)


@pytest.mark.parametrize("field", ["num_scales", "latent_dim", "final_convs"])
def test_a_config_that_does_not_fit_is_refused_by_name(field):
    with pytest.raises(ValueError, match=f"model.{field} must be 1 or more"):
        build_network({**MODEL, field: 0})
    with pytest.raises(ValueError, match="latent_dims"):
        build_network({**MODEL, "latent_dims": (1, 1)})
