"""The model that ships with the package."""

import pathlib

import numpy as np

import hpunet_jax

FILE = pathlib.Path(hpunet_jax.__file__).parent / "pretrained" / "lidc_phantom.npz"


def test_the_pretrained_model_is_small_and_samples_several_hypotheses_of_a_bright_spot():
    assert FILE.stat().st_size < 5e6
    model = hpunet_jax.load("pretrained/lidc_phantom")
    assert model.config.data.name == "lidc_phantom"
    y, x = np.mgrid[:64, :64] - 31.5
    spot = np.hypot(y, x) < 7
    noise = np.random.default_rng(0).normal(0, 8, (64, 64))
    image = np.clip(np.where(spot, 170, 45) + noise, 0, 255).astype(np.uint8)[None, ..., None]
    samples = model.sample(image, num_samples=16)[:, 0] == 1
    assert len(np.unique(samples.sum(axis=(1, 2)))) > 1
    marked = samples.mean(axis=0)
    assert marked[spot].mean() > 5 * marked[~spot].mean()
    rebuilt = model.reconstruct(image, spot[None].astype(np.uint8))[0] == 1
    assert (rebuilt & spot).sum() / (rebuilt | spot).sum() > 0.6
