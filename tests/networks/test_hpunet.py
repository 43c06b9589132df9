"""The HPU-Net's structure: resolutions, latents, what depends on what, bad input."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.networks import build_network, check_image_shape, check_unit_interval
from hpunet_jax.networks.convolution import Conv2D, down_sample, up_sample


@pytest.fixture(scope="module")
def network(tiny_model):
    return build_network(tiny_model)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(1), (2, 16, 24, 1))


@pytest.fixture(scope="module")
def label():
    return jax.random.randint(jax.random.key(2), (2, 16, 24), 0, 3)


def keys(seed, batch=2):
    return jax.random.split(jax.random.key(seed), batch)


def test_down_sampling_averages_blocks_and_up_sampling_repeats():
    x = np.random.default_rng(0).standard_normal((1, 4, 6, 2)).astype(np.float32)
    blocks = x[:, 0::2, 0::2] + x[:, 1::2, 0::2] + x[:, 0::2, 1::2] + x[:, 1::2, 1::2]
    np.testing.assert_allclose(down_sample(x), blocks / 4, rtol=1e-6)
    np.testing.assert_array_equal(up_sample(x), x.repeat(2, axis=1).repeat(2, axis=2))


def test_every_latent_scale_lies_on_its_own_grid(network, params, image, label):
    outputs = network.train_outputs(params, keys(0), image, label)
    assert outputs.logits.shape == (2, 16, 24, 3)
    expected = [(2, 2, 3, 1), (2, 4, 6, 2)]
    for gaussians in (outputs.posteriors, outputs.priors):
        assert [g.mean.shape for g in gaussians] == expected
        assert [g.log_std.shape for g in gaussians] == expected
    assert [z.shape for z in outputs.latents] == expected


def test_any_size_that_the_scales_divide_can_be_sampled(network, params):
    def sample(image):
        return network.sample(params, network.encode(params, image), keys(0, 1))

    for size in ((8, 8), (8, 40), (32, 16)):
        outputs = jax.eval_shape(sample, jnp.zeros((1, *size, 1)))
        assert outputs.logits.shape == (1, *size, 3)


def test_training_decodes_the_posteriors_latents_and_sampling_the_priors(
    network, params, image, label
):
    outputs = network.train_outputs(params, keys(0), image, label)
    features = network.encode(params, image)
    fed_back = network.sample(params, features, None, latents=outputs.latents)
    np.testing.assert_allclose(fed_back.logits, outputs.logits, atol=1e-6)
    for a, b in zip(fed_back.priors, outputs.priors, strict=True):
        np.testing.assert_allclose(a.mean, b.mean, atol=1e-6)
    noise = (outputs.latents[0] - outputs.posteriors[0].mean) / jnp.exp(
        outputs.posteriors[0].log_std
    )
    assert np.std(noise) > 0.3


def test_fixed_scales_stay_at_their_means_and_coarse_latents_move_finer_priors(
    network, params, image
):
    features = network.encode(params, image)
    mixed = network.sample(params, features, keys(0), mean=(False, True))
    other = network.sample(params, features, keys(1), mean=(False, True))
    assert not np.allclose(mixed.latents[0], mixed.priors[0].mean)
    np.testing.assert_array_equal(mixed.latents[1], mixed.priors[1].mean)
    np.testing.assert_array_equal(mixed.priors[0].mean, other.priors[0].mean)
    assert not np.allclose(mixed.priors[1].mean, other.priors[1].mean)


def test_the_prior_never_sees_the_segmentation(network, params, image, label):
    def finest_prior(label_map):
        latents = [jnp.ones((2, 2, 3, 1)), jnp.ones((2, 4, 6, 2))]
        return network.train_outputs(params, None, image, label_map, latents=latents)

    a, b = finest_prior(label), finest_prior(2 - label)
    np.testing.assert_array_equal(a.priors[1].mean, b.priors[1].mean)
    np.testing.assert_array_equal(a.logits, b.logits)
    assert not np.allclose(a.posteriors[1].mean, b.posteriors[1].mean)


def test_an_images_noise_does_not_depend_on_its_neighbours(network, params, image):
    both = network.sample(params, network.encode(params, image), keys(0))
    alone = network.sample(params, network.encode(params, image[1:]), keys(0)[1:])
    np.testing.assert_allclose(both.latents[1][1:], alone.latents[1], atol=1e-6)


def test_latents_reach_only_so_far_but_the_coarsest_reach_everywhere(network, params):
    """A fine latent changes its surroundings; that is what makes variations local."""
    image = jnp.zeros((1, 64, 64, 1))
    features = network.encode(params, image)
    latents = [jnp.zeros((1, 8, 8, 1)), jnp.zeros((1, 16, 16, 2))]
    base = network.sample(params, features, None, latents=latents).logits
    latents[1] = latents[1].at[0, 0, 0, 0].set(1.0)
    changed = network.sample(params, features, None, latents=latents).logits != base
    assert changed[0, 0, 0].any()
    assert not changed[0, 40:, 40:].any()


def test_scales_without_latents_decode_but_are_not_counted(tiny_model, image, label):
    """Appendix F: only the local latents, in the same topology."""
    network = build_network({**tiny_model, "latent_dims": (0, 2)})
    params = network.init(jax.random.key(0))
    assert network.num_latent_scales == 1
    outputs = network.train_outputs(params, keys(0), image, label)
    assert [z.shape for z in outputs.latents] == [(2, 4, 6, 2)]
    assert [q.mean.shape for q in outputs.posteriors] == [(2, 4, 6, 2)]
    fed_back = network.sample(params, network.encode(params, image), None, latents=outputs.latents)
    np.testing.assert_allclose(fed_back.logits, outputs.logits, atol=1e-6)
    fixed = network.sample(params, network.encode(params, image), keys(0), mean=(True,))
    np.testing.assert_array_equal(fixed.latents[0], fixed.priors[0].mean)

    hierarchy = build_network(tiny_model).param_shapes()
    missing = {"prior/latent_0", "posterior/latent_0"}
    assert set(hierarchy) - set(params) == missing


def test_absurd_images_leave_the_kl_inputs_finite(network, params, label):
    image = jnp.full((2, 16, 24, 1), 1e8)
    outputs = network.train_outputs(params, keys(0), image, label)
    for gaussian in (*outputs.posteriors, *outputs.priors):
        assert np.abs(gaussian.log_std).max() <= 10.0


def test_bfloat16_computes_gaussians_and_logits_in_float32(tiny_model, params, image, label):
    network = build_network({**tiny_model, "dtype": "bfloat16"})
    outputs = jax.jit(network.train_outputs)(params, keys(0), image, label)
    reference = build_network(tiny_model).train_outputs(params, keys(0), image, label)
    assert outputs.logits.dtype == outputs.posteriors[0].mean.dtype == jnp.float32
    error = jnp.linalg.norm(outputs.logits - reference.logits)
    assert 1e-5 < error / jnp.linalg.norm(reference.logits) < 0.1


@pytest.fixture(scope="module")
def shallow(tiny_model):
    """A network whose gradient compiles faster."""
    return {**tiny_model, "num_scales": 3, "convs_per_block": 1}


def loss_of(model, image, label):
    """The reconstruction's squares, of parameters."""
    network = build_network(model)
    return lambda params: jnp.mean(
        jnp.square(network.train_outputs(params, keys(0), image, label).logits)
    )


def gradients(model, image, label):
    loss = loss_of(model, image, label)
    return jax.jit(jax.grad(loss))(build_network(model).init(jax.random.key(0)))


def kept_numbers(model, image, label):
    """How many bytes the forward pass keeps for the gradients."""
    loss, params = loss_of(model, image, label), build_network(model).param_shapes()
    pullback = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], params)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pullback))


@pytest.fixture(scope="module")
def plain_gradients(shallow, image, label):
    return gradients(shallow, image, label)


def test_rematerialisation_keeps_less_and_gives_the_same_gradients(
    shallow, plain_gradients, image, label
):
    everywhere = {**shallow, "remat": (0, 1, 2)}
    least, less, kept = (
        kept_numbers(model, image, label)
        for model in (everywhere, {**shallow, "remat": (0,)}, shallow)
    )
    assert least < less < 0.9 * kept
    found = gradients(everywhere, image, label)
    for a, b in zip(jax.tree.leaves(plain_gradients), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * np.abs(a).max())


def test_a_level_that_does_not_exist_cannot_be_rematerialised(tiny_model):
    with pytest.raises(ValueError, match=r"model\.remat names the scale 4, .* 0 \(finest\) to 3"):
        build_network({**tiny_model, "remat": (0, 4)})


def test_bfloat16_gradients_are_float32_and_as_near_as_8_bits_allow(
    shallow, plain_gradients, image, label
):
    bfloat16 = {**shallow, "dtype": "bfloat16"}
    assert kept_numbers(bfloat16, image, label) < kept_numbers(shallow, image, label)
    a, b = (
        np.concatenate([x.ravel() for x in jax.tree.leaves(tree)])
        for tree in (plain_gradients, gradients(bfloat16, image, label))
    )
    assert b.dtype == np.float32
    assert 1e-5 < np.linalg.norm(b - a) / np.linalg.norm(a) < 0.05


def test_bfloat16_sums_the_gradients_of_biases_over_all_positions_in_float32():
    features = jnp.ones((4, 64, 64, 2), jnp.bfloat16)
    conv = hk.without_apply_rng(hk.transform(lambda x: Conv2D(3, 1, name="conv")(x)))
    params = conv.init(None, features)
    total = jax.jit(lambda params: conv.apply(params, features).astype(jnp.float32).sum())
    np.testing.assert_allclose(jax.grad(total)(params)["conv"]["b"], 4 * 64 * 64, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "unet++"}, "model.name"),
        ({"num_scalse": 4}, "num_scalse"),
        ({"latent_dims": ()}, "latent_dims"),
        ({"latent_dims": (1, 1, 1, 1)}, "latent_dims"),
        ({"latent_dims": (1, 0)}, "must end with the finest scale that carries latents"),
        ({"channels": (4, 8)}, "model.channels"),
        ({"dtype": "float16"}, "float16"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_by_name(tiny_model, change, message):
    with pytest.raises(ValueError, match=message):
        build_network({**tiny_model, **change})


def test_wrong_image_sizes_and_scales_are_refused_with_advice(network, params, image):
    with pytest.raises(ValueError, match="multiples of 8"):
        check_image_shape(network, (2, 20, 16, 1))
    with pytest.raises(ValueError, match="image_channels=1"):
        check_image_shape(network, (2, 16, 16, 3))
    with pytest.raises(ValueError, match="255"):
        check_unit_interval(np.full((2, 2), 255.0))
    with pytest.raises(ValueError, match=r"in \[1.0000001.*\], but .*np\.clip"):
        check_unit_interval(np.nextafter(np.array([0, 1], np.float32), np.float32(2))[1:])
    check_unit_interval(np.full((2, 2), 255, np.uint8))
    with pytest.raises(ValueError, match="hold NaN"):
        check_unit_interval(np.array([0.5, np.nan]))
    with pytest.raises(ValueError, match="2 latent scales"):
        network.sample(params, network.encode(params, image), keys(0), mean=(True,))
