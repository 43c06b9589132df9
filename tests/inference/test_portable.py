"""A model exported as StableHLO: its two functions, run from their bytes alone, are the model."""

import zipfile

import jax
import ml_collections
import numpy as np
import pytest
from jax import export

from hpunet_jax.inference import Model
from hpunet_jax.inference.inputs import as_unit_images
from hpunet_jax.inference.portable import export_stablehlo, write_stablehlo
from hpunet_jax.networks import build_network


@pytest.fixture(scope="module")
def spunet():
    section = {"name": "spunet", "num_scales": 2, "base_channels": 4, "convs_per_scale": 1}
    network = build_network(section)
    config = ml_collections.ConfigDict({"model": section})
    return Model(network, network.init(jax.random.key(0)), config)


@pytest.mark.parametrize("which", ["hpunet", "spunet"])
def test_the_written_functions_sample_as_the_model_for_any_batch(
    which, tiny_sampler, spunet, images, tmp_path
):
    model = tiny_sampler if which == "hpunet" else spunet
    write_stablehlo(tmp_path / "model.zip", export_stablehlo(model, (16, 24)))
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        encode, decode = (
            export.deserialize(bytearray(archive.read(f"{name}.stablehlo")))
            for name in ("encode", "decode")
        )
    assert encode.platforms == ("cpu", "cuda", "tpu")
    for number in (3, 1):
        expected, latents = model.sample(
            images[:number], 1, probabilities=True, return_latents=True
        )
        priors = model.prior(images[:number], [z[0] for z in latents])
        noise = tuple(
            (z[0] - prior.mean) / np.exp(prior.log_std)
            for z, prior in zip(latents, priors, strict=True)
        )
        features = encode.call(as_unit_images(images[:number]))
        np.testing.assert_allclose(decode.call(features, noise), expected[0], atol=1e-4)


def test_sizes_that_make_no_sense_are_refused(tiny_sampler):
    for size, message in (
        ((16, 20), "multiples of 8"),
        (16, "size must be height and width"),
        ((16.0, 24), "size must be an integer"),
        ((0, 24), "size must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            export_stablehlo(tiny_sampler, size)
