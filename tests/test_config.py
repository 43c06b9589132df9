"""Configs: every one loads, is locked, and survives the way through JSON."""

import importlib
import pathlib

import pytest

from hpunet_jax import config as configs
from hpunet_jax.augmentation import Augmentation
from hpunet_jax.networks import build_network, check_image_shape
from hpunet_jax.objectives import build_objective
from hpunet_jax.training.optimizer import build_optimizer

NAMES = sorted(
    path.stem for path in pathlib.Path("configs").glob("*.py") if path.stem != "__init__"
)


@pytest.fixture(params=NAMES)
def config(request):
    return importlib.import_module(f"configs.{request.param}").get_config()


def test_every_config_is_locked_and_builds_all_it_names(config):
    with pytest.raises(AttributeError):
        config.model.num_scalse = 3
    network = build_network(config.model)
    check_image_shape(network, (*config.data.crop, config.model.image_channels))
    build_objective(config.objective)
    build_optimizer(config.optimizer, config.training.steps)
    Augmentation.from_config(config.data.augmentation, crop=config.data.crop)


def test_every_config_comes_back_from_json(config):
    again = configs.from_json(configs.to_json(config))
    assert configs.differences(config, again) == {}


def test_differences_name_the_fields(config):
    other = config.copy_and_resolve_references().unlock()
    old = config.training.seed
    other.training.seed = old + 1
    other.model.extra = 1
    assert configs.differences(config, other) == {
        "training.seed": (old, old + 1),
        "model.extra": (None, 1),
    }
