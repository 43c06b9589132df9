"""Configs: every one loads, is locked, passes the check, and survives the way through JSON."""

import importlib
import pathlib

import pytest

from hpunet_jax.augmentation import Augmentation
from hpunet_jax.config import check_config, differences, from_json, to_json
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
    check_config(config)
    network = build_network(config.model)
    check_image_shape(network, (*config.data.crop, config.model.image_channels))
    build_objective(config.objective)
    build_optimizer(config.optimizer, config.training.steps)
    Augmentation.from_config(config.data.augmentation, crop=config.data.crop)


def test_every_config_says_what_it_needs_takes_and_is_expected_to_reach(config, request):
    name = request.node.callspec.params["config"]
    text = importlib.import_module(f"configs.{name}").__doc__
    assert f"hpunet train --config={name}" in text
    assert all(word in text for word in ("Needs: ", "Takes: ", "Expect: "))


def test_every_config_comes_back_from_json(config):
    again = from_json(to_json(config))
    check_config(again)
    assert differences(config, again) == {}


def test_differences_name_the_fields(config):
    other = config.copy_and_resolve_references().unlock()
    old = config.training.seed
    other.training.seed = old + 1
    other.model.extra = 1
    assert differences(config, other) == {
        "training.seed": (old, old + 1),
        "model.extra": (None, 1),
    }


def test_a_field_that_an_older_config_lacks_differs_from_its_default_only():
    old = importlib.import_module("configs.lidc_hpunet").get_config().unlock()
    new = old.copy_and_resolve_references()
    del old.model["dtype"], old.evaluation["protocol"]
    assert differences(old, new) == {}
    new.model.dtype = "bfloat16"
    assert differences(old, new) == {"model.dtype": ("float32", "bfloat16")}
