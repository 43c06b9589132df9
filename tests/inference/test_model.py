"""A loaded model: its samples, its reconstructions, and what it refuses."""

import jax
import ml_collections
import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.inference.model import Model, as_unit_images
from hpunet_jax.networks import build_network


@pytest.fixture(scope="module")
def model(tiny_model):
    network = build_network(tiny_model)
    params = network.init(jax.random.key(0))
    # Large latent weights, so that samples differ although the network is untrained.
    for name, module in params.items():
        if name.startswith("prior/latent"):
            module["w"] = 3 * module["w"]
    return Model(network, params, ml_collections.ConfigDict({"model": tiny_model}))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 24, 1)).astype(np.uint8)


def test_samples_differ_and_more_of_them_keep_the_first(model, images):
    four = model.sample(images, num_samples=4)
    assert four.shape == (4, 3, 16, 24)
    assert four.dtype == np.uint8
    assert (four[0] != four[1]).any()
    np.testing.assert_array_equal(model.sample(images, num_samples=2), four[:2])
    np.testing.assert_array_equal(model.sample(images[:1], num_samples=2), four[:2, :1])
    assert (model.sample(images, num_samples=2, seed=1) != four[:2]).any()


def test_labels_are_the_most_probable_classes(model, images):
    probabilities = model.sample(images, num_samples=2, probabilities=True)
    assert probabilities.shape == (2, 3, 16, 24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.sample(images, num_samples=2), probabilities.argmax(-1))


def test_without_sampled_scales_all_samples_are_the_prior_mean(model, images):
    samples = model.sample(images, num_samples=3, scales=[], probabilities=True)
    np.testing.assert_array_equal(samples[0], samples[1])
    network, params = model.network, model.params
    features = network.encode(params, as_unit_images(images))
    expected = jax.nn.softmax(network.sample(params, features, None, mean=True).logits)
    np.testing.assert_allclose(samples[0], expected, atol=1e-6)


def test_each_scale_alone_moves_the_samples_and_all_are_the_default(model, images):
    everything = model.sample(images, num_samples=2, probabilities=True)
    both = model.sample(images, num_samples=2, scales=[0, 1], probabilities=True)
    np.testing.assert_array_equal(everything, both)
    for scale in (0, 1):
        alone = model.sample(images, num_samples=2, scales=[scale], probabilities=True)
        assert (alone[0] != alone[1]).any()
        assert (alone != everything).any()


def test_reconstructions_go_through_the_posterior_means(model, images):
    labels = np.random.default_rng(1).integers(0, 3, images.shape[:3])
    rebuilt = model.reconstruct(images, labels, probabilities=True)
    network, params = model.network, model.params
    outputs = network.train_outputs(params, None, as_unit_images(images), labels, mean=True)
    np.testing.assert_allclose(rebuilt, jax.nn.softmax(outputs.logits), atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(images, labels), rebuilt.argmax(-1))


def test_integer_images_are_scaled_by_their_type(images):
    np.testing.assert_array_equal(as_unit_images(images), images / np.float32(255))
    sixteen = images.astype(np.uint16) * 257
    np.testing.assert_allclose(as_unit_images(sixteen), images / 255, atol=1e-7)


def test_bad_images_labels_and_scales_are_refused_in_a_sentence(model, images):
    for bad, message in (
        (images[0], r"\[B, H, W, channels\]"),
        (images.astype(np.float32), r"must lie in \[0, 1\]"),
        (images.astype(np.int64), "int64"),
        (images[:, :15], "multiples of 8"),
        (images.repeat(3, axis=-1), "image_channels=1"),
        (np.full((1, 8, 8, 1), np.nan), r"must lie in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(bad)
    labels = np.zeros(images.shape[:3], int)
    with pytest.raises(ValueError, match="latent scale 2"):
        model.sample(images, scales=[2])
    with pytest.raises(ValueError, match="num_samples"):
        model.sample(images, num_samples=0)
    with pytest.raises(ValueError, match="classes 0 to 2"):
        model.reconstruct(images, labels + 3)
    with pytest.raises(ValueError, match="labels have shape"):
        model.reconstruct(images, labels[:2])


def test_a_saved_model_loads_with_nothing_but_its_directory(tmp_path, model, images):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, model.params, {"unused": np.zeros(1)}, model.config)
    loaded = hpunet_jax.load(tmp_path)
    assert loaded.config.model.to_dict() == model.config.model.to_dict()
    np.testing.assert_array_equal(
        loaded.sample(images, num_samples=2), model.sample(images, num_samples=2)
    )
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 8, only \[7\]"):
        hpunet_jax.load(tmp_path, step=8)


def test_an_empty_directory_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        hpunet_jax.load(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
