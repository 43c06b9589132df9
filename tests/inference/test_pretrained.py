"""The models that ship with the package."""

import numpy as np
import pytest

import hpunet_jax
from hpunet_jax.checkpoints import read_model, write_model
from hpunet_jax.config import to_json, without_places
from hpunet_jax.inference.shipped import shipped_models


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_is_small_loads_by_its_name_and_has_a_whole_card(name):
    shipped = shipped_models()[name]
    assert shipped.file.stat().st_size < 5e6
    assert hpunet_jax.load(f"pretrained/{name}").num_classes >= 2
    config = read_model(shipped.file)[1]
    assert without_places(config) == config  # it names no folder of the machine that made it
    assert shipped.card.startswith(f"# {name}: {shipped.title}\n")
    for part in ("Data", "Made by", "Scores", "Limits"):
        assert f"\n**{part}.** " in shipped.card


def test_what_is_given_away_names_no_folder_of_the_machine(tiny_config):
    with tiny_config.unlocked():
        tiny_config.data.dir = "/home/someone/scans"
        tiny_config.training.init_from = "/home/someone/runs/first"
    given = without_places(tiny_config)
    assert "someone" not in to_json(given)
    assert given.training.init_from == "first"
    assert tiny_config.data.dir == "/home/someone/scans"


def test_a_model_file_of_half_the_size_has_rounded_weights(tmp_path):
    params, config = read_model(shipped_models()["lidc_phantom"].file)
    rng = np.random.default_rng(0)  # the shipped weights are rounded already
    params = {
        module: {name: array + rng.normal(0, 1e-3, array.shape) for name, array in arrays.items()}
        for module, arrays in params.items()
    }
    write_model(tmp_path / "whole.npz", params, config)
    write_model(tmp_path / "half.npz", params, config, "float16")
    whole, half = (path.stat().st_size for path in sorted(tmp_path.iterdir(), reverse=True))
    assert half < 0.55 * whole
    read, same = read_model(tmp_path / "half.npz")
    assert same == config
    for module, arrays in params.items():
        for name, array in arrays.items():
            assert read[module][name].dtype == np.float32
            np.testing.assert_allclose(read[module][name], array, rtol=2**-11, atol=1e-7)
    params[module][name] = np.full_like(array, 1e5)
    with pytest.raises(ValueError, match=f"{module}/{name} has weights that float16 cannot hold"):
        write_model(tmp_path / "half.npz", params, config, "float16")


def test_the_pretrained_model_samples_several_hypotheses_of_a_bright_spot():
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
