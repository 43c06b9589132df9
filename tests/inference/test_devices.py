"""The same samples on any number of devices, whether images or the samples of one are split."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from hpunet_jax.checkpoints import write_model
from hpunet_jax.inference import devices, load
from hpunet_jax.inference.marginal import draw_with_marginal
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.segment import Segmenter, SegmentOptions
from hpunet_jax.inference.whole import draw_whole, sample_whole
from hpunet_jax.networks import build_network

pytestmark = pytest.mark.xdist_group("devices")


@pytest.fixture(scope="module")
def one_device(tiny_model):
    """A model that compiles in no time, whose samples differ."""
    section = {**tiny_model, "num_scales": 3, "base_channels": 2, "convs_per_block": 1}
    network = build_network(section)
    params = network.init(jax.random.key(0))
    for name, module in params.items():
        if name.startswith("prior/latent"):
            module["w"] = 3 * module["w"]
    config = ml_collections.ConfigDict({"model": section, "data": {"num_ids": 2}})
    return Model(network, params, config)


@pytest.fixture(scope="module")
def everywhere(one_device):
    """The same model on eight devices."""
    params = jax.device_put(one_device.params, devices.on_all(jax.devices()[:8]))
    return Model(one_device.network, params, one_device.config)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)


def test_eight_devices_draw_the_samples_of_one(one_device, everywhere, images):
    """Of three images, each of which is there eight times; and of eight, which are split."""
    for some in (images, np.concatenate([images] * 3)[:8]):
        ids = np.arange(len(some))
        one = draw_with_marginal(one_device, some, 5, 0, ids)
        eight = draw_with_marginal(everywhere, some, 5, 0, ids)
        np.testing.assert_array_equal(eight.labels, one.labels)
        np.testing.assert_allclose(eight.marginal, one.marginal, atol=1e-5)
        np.testing.assert_allclose(eight.first, one.first, atol=1e-5)


def test_eight_devices_sample_and_reconstruct_as_one(one_device, everywhere, images):
    """A single image, whose samples are split; more of them than one run of the program draws."""
    image = images[0]
    labels, latents = one_device.sample(image, 35, return_latents=True)
    split, as_well = everywhere.sample(image, 35, return_latents=True)
    np.testing.assert_array_equal(split, labels)
    for a, b in zip(as_well, latents, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    again = everywhere.sample(image, 35, latents=[latents[0], None])
    np.testing.assert_array_equal(again, labels)
    eight = np.concatenate([images] * 3)[:8]
    truth = np.random.default_rng(1).integers(0, 3, eight.shape[:3])
    np.testing.assert_array_equal(
        everywhere.reconstruct(eight, truth), one_device.reconstruct(eight, truth)
    )


def test_eight_devices_segment_as_one(one_device, everywhere, images):
    options = SegmentOptions(num_samples=5, threshold=5, erosion=1)
    results = []
    for model in (one_device, everywhere):
        segmenter = Segmenter(model, options)
        results.append(segmenter(images[0]))
    np.testing.assert_array_equal(results[0].labels, results[1].labels)
    np.testing.assert_array_equal(results[0].instances, results[1].instances)


@pytest.mark.parametrize("num_samples", [16, 5])
def test_eight_devices_sample_a_whole_image_in_tiles_as_one(one_device, everywhere, num_samples):
    image = np.random.default_rng(1).integers(0, 256, (24, 40, 1)).astype(np.uint8)
    for function in (draw_whole, sample_whole):
        one, eight = (
            function(model, image, num_samples, tile=(16, 32)) for model in (one_device, everywhere)
        )
        np.testing.assert_array_equal(eight[0], one[0])
        for whole, split in zip(one[1:], eight[1:], strict=True):
            np.testing.assert_allclose(split, whole, atol=1e-5)


def test_a_model_is_loaded_onto_all_devices(tmp_path, one_device, everywhere):
    write_model(tmp_path / "model.npz", one_device.params, one_device.config)
    model = load(tmp_path / "model.npz", device="all")
    assert devices.mesh_of(model.params) == devices.mesh_of(everywhere.params)
    assert devices.mesh_of(load(tmp_path / "model.npz").params) is None
    assert model.digest() == one_device.digest()
    assert devices.mesh_of({}) is None


def test_images_are_repeated_until_the_devices_divide_them(everywhere):
    mesh = devices.mesh_of(everywhere.params)
    assert [devices.copies(mesh, number) for number in (1, 2, 3, 4, 6, 8, 16)] == [
        8,
        4,
        8,
        2,
        4,
        1,
        1,
    ]
    assert devices.copies(None, 3) == 1
    drawn = np.arange(4)[:, None] * 2 + np.tile(np.arange(2), 3)[None]  # 4 steps, 3 images twice
    np.testing.assert_array_equal(devices.numbers(jnp.int32(3), 3, 2), drawn[3])
    np.testing.assert_array_equal(
        devices.in_order(jnp.asarray(drawn), 2), np.repeat(np.arange(8)[:, None], 3, axis=1)
    )
