"""The check of configs: every field of every shipped config, and fields together."""

import importlib
import math
import pathlib

import ml_collections
import numpy as np
import pytest

from configs import demo_neurites, lidc_hpunet, lidc_spunet, own_data
from hpunet_jax.augmentation import Extrapolation
from hpunet_jax.config import check_config, check_overrides, fields_reference, schema, value_of
from hpunet_jax.evaluation.protocols import PROTOCOLS
from hpunet_jax.evaluation.truths import MIN_REGION_HALF
from hpunet_jax.inference.segment import SegmentOptions

NAMES = sorted(
    path.stem for path in pathlib.Path("configs").glob("*.py") if path.stem != "__init__"
)


def _kinds():
    """A config of each network and each protocol, with extrapolation and without."""
    found = {}
    for name in NAMES:
        config = importlib.import_module(f"configs.{name}").get_config()
        found.setdefault(("network", config.model.name), name)
        found.setdefault((config.evaluation.protocol, "extrapolation" in config.data), name)
    return sorted(set(found.values()))


KINDS = _kinds()
# What the schema refuses, it refuses whatever the other fields are: one config of each network.
NETWORKS = ("lidc_hpunet", "lidc_spunet", "lidc_unet")

NO_VALUES = (
    *("", "text", b"x", {}, [[]], object(), math.nan, math.inf, 1e39, 2**70, -(2**70), 10**5000),
    *(np.int64(1), np.float32(1), np.ones(2), [1, None], ("a", 1), (1,) * 100_001, (-5, -5)),
    (math.nan, math.nan),
)
EDGES = (None, True, -1, -1e-45, 0, 0.0, 1e-50, 0.5, 1 - 1e-9, 1, 1.5, 2, "test", (), (1,), (0, 0))
EDGES += ([2, 2], (0.5, 0.5), (2, 1), (1, 2, 3), (True, True), 10**6, 2**31)

# What 0 means is said for each of these; all other numbers must be greater.
ZERO_HAS_A_MEANING = {
    *(
        "data.bits",
        "data.foreground",
        "data.foreground_share",
        "objective.decay",
        "objective.rate",
        "objective.beta",
        "training.seed",
    ),
    *("optimizer.b1", "optimizer.b2", "optimizer.weight_decay", "optimizer.clip_norm"),
    *("optimizer.multiplier_lr_factor", "optimizer.learning_rate.drops", "evaluation.seed"),
    *("evaluation.hamming_threshold", "mesh.min_rows", "training.keep_checkpoints"),
    *("training.validate_every", "training.ema_decay"),
    *(f"data.augmentation.{name}" for name in ("translate", "rotation", "shear", "elastic")),
    *(f"data.augmentation.{name}" for name in ("brightness", "contrast", "saturation", "hue")),
}


def with_value(config, name, value):
    """A copy of a nested dict, with another value of one field."""
    first, _, rest = name.partition(".")
    return {**config, first: with_value(config.get(first) or {}, rest, value) if rest else value}


def refusal(config, sections=None):
    try:
        check_config(config, **({"sections": sections} if sections else {}))
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("module", NETWORKS)
def test_no_field_of_any_config_takes_nonsense(module):
    """Wrong types, lengths and signs, NaN and huge values: a sentence that names the field."""
    config = importlib.import_module(f"configs.{module}").get_config().to_dict()
    for name, field in schema(config["model"]["name"]).items():
        texts = field.type is str and not field.choices and field.length is None
        for value in NO_VALUES:
            if isinstance(value, str) and (value == field.default or (texts and value == "text")):
                continue
            message = refusal(with_value(config, name, value))
            assert name in (message or ""), (name, value, message)
            assert message.endswith((".", "?")), message


@pytest.mark.parametrize("module", NETWORKS)
def test_a_value_that_the_schema_does_not_allow_is_refused_by_name(module):
    config = importlib.import_module(f"configs.{module}").get_config().to_dict()
    for name, field in schema(config["model"]["name"]).items():
        for value in EDGES:
            if not field.allows(value):
                message = refusal(with_value(config, name, value))
                assert (message or "").startswith(f"{name} must be "), (name, value, message)


@pytest.mark.parametrize("module", KINDS)
def test_a_value_that_the_schema_allows_is_legal_or_does_not_fit_another_field(module):
    config = importlib.import_module(f"configs.{module}").get_config().to_dict()
    for name, field in schema(config["model"]["name"]).items():
        section = name.split(".")[0]
        for value in filter(field.allows, EDGES):
            message = refusal(with_value(config, name, value))
            assert message is None or section in message, (name, value, message)


@pytest.mark.parametrize("network", ["hpunet", "spunet", "unet"])
def test_zero_and_signs_have_a_meaning_or_are_refused(network):
    for name, field in schema(network).items():
        if field.type in (int, float) and field.length is None:
            assert field.allows(0) == (name in ZERO_HAS_A_MEANING), name
            assert field.allows(-1) == (name == "mesh.data"), name
            assert not field.allows(True), name
        assert field.meaning, f"{name} is not explained"
        if field.type in (int, float) and not field.choices:
            assert math.isfinite(max(field.low, field.above)), f"{name} has no least value"
            assert math.isfinite(min(field.high, field.below)), f"{name} has no greatest value"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("objective.kappa", -1, "must be a number above 0 and at most 100, or None, not -1."),
        ("objective.decay", 2, "must be a number of 0 or more and below 1, or None, not 2."),
        ("training.log_every", -1, "must be an integer from 1 to 2147483647, not -1."),
        ("optimizer.b2", 1 - 1e-12, "below 1, not 0.999999999999 (in float32 1)."),
        ("optimizer.epsilon", 1e-50, "above 0 and at most 1, not 1e-50 (in float32 0)."),
        ("data.crop", (64,), "must be a tuple of 2 integers, each from 1 to 16384, not (64,)."),
        ("model.latent_dims", (1.5,), "must be a tuple of 0 to 64 integers"),
        ("model.dtype", "float16", "must be 'float32' or 'bfloat16', not 'float16'."),
        ("evaluation.erosion", 4, "must be an odd integer from 1 to 1001, not 4."),
        ("mesh.shard_optimizer", 1, "must be True or False, not 1."),
        ("training.seed", np.int64(3), "must be an integer from 0 to 2147483647, not np.int64(3)."),
        ("data", 3, "must be a section of the config, not 3."),
        ("training.step", 3, "did you mean training.steps?"),
        ("training.kappa", 3, "did you mean objective.kappa?"),
        ("modell", {}, "did you mean model?"),
    ],
)
def test_a_refusal_says_what_is_expected(name, value, message):
    said = refusal(with_value(lidc_hpunet.get_config().to_dict(), name, value))
    assert name in said
    assert said.endswith(message) or message in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.crop": (100, 128)}, "multiples of 128"),
        ({"model.latent_dims": (1, 1, 0)}, "model.latent_dims=(1, 1, 0) must end"),
        ({"model.latent_dims": (1,) * 8}, "model.latent_dims has 8 latent scales"),
        ({"model.channels": (8, 8)}, "model.channels has 2 entries"),
        ({"model.remat": (8,)}, "model.remat names the scale 8"),
        ({"model.image_channels": 2, "data.extrapolation": {}}, "model.image_channels is 2"),
        ({"data.num_ids": 3}, "data.num_ids=3 makes 4 classes"),
        ({"data.augmentation.scale": (1.2, 1.1)}, "data.augmentation.scale must be (least"),
        ({"data.extrapolation": {"hidden": (0.7, 0.3)}}, "data.extrapolation.hidden must be"),
        ({"optimizer.learning_rate.boundaries": (5,)}, "boundaries has 1 entries"),
        (
            {"optimizer.learning_rate.boundaries": (5, 5), "optimizer.learning_rate.drops": 2},
            "boundaries must ascend",
        ),
        ({"optimizer.learning_rate.initial": 1e-9}, "optimizer.learning_rate.final is 5e-06"),
        ({"training.batch_size": 2**16, "data.crop": (256, 256)}, "training.batch_size=65536"),
        ({"evaluation.protocol": "snemi3d"}, "data.num_ids is missing"),
        (
            {
                "evaluation.protocol": "snemi3d",
                "evaluation.num_samples": 8,
                "data.num_ids": 1,
            },
            "evaluation.hamming_threshold=16 makes everything background",
        ),
        ({"objective.beta": None, "objective.name": "elbo"}, "objective.beta is missing"),
        ({"data.size": (64,)}, "data.size must be a height and a width, or ()"),
        ({"data.window": (64, 0)}, "data.window is (64.0, 0.0): expected the lower end first"),
        ({"data.window": (0, 1), "data.percentiles": (1, 99)}, "the same thing in two ways"),
    ],
)
def test_fields_must_fit_together(changes, message):
    config = lidc_hpunet.get_config().to_dict()
    for name, value in changes.items():
        config = with_value(config, name, value)
    assert message in refusal(config)


def test_a_missing_field_or_section_is_named():
    config = lidc_hpunet.get_config().unlock()
    del config.training["steps"]
    assert "the config lacks the field training.steps: it must be an integer" in refusal(config)
    del config["mesh"]
    assert refusal(config, ["mesh"]).startswith("the config lacks the field mesh.data")
    del config["model"]
    assert refusal(config) == "the config must have a section `model`, not None."
    assert refusal({"model": {}}).startswith("model.name must be 'hpunet', 'spunet' or 'unet'")
    assert "must be an ml_collections.ConfigDict" in refusal(None)


def test_older_configs_without_optional_fields_pass():
    config = demo_neurites.get_config().unlock()
    optional = [name for name, field in schema("hpunet").items() if not field.required]
    needed = {"data.num_ids", "objective.kappa", "objective.decay", "objective.rate"}
    fitting = {"model.num_classes", "model.num_scales"}  # to the crop and the labels
    for name in set(optional) - needed - fitting:
        *sections, last = name.split(".")
        section = config
        for part in sections:
            section = section.get(part, {})
        if last in section:
            del section[last]
    config.model.num_scales, config.data.crop = 8, (128, 128)
    with config.ignore_type():
        config.model.remat = False
    config.evaluation.protocol = "lidc"
    check_config(config)


def test_only_the_sections_asked_for_are_looked_at():
    model = lidc_spunet.get_config().model
    check_config({"model": model}, sections=("model",))
    others = {"training": {"log_every": -1}, "notes": "by hand"}
    check_config({"model": model, **others}, sections=("model",))
    with pytest.raises(ValueError, match=r"^model.num_classes must be"):
        check_config({"model": {"name": "unet", "num_classes": 1}}, sections=("model",))


def test_a_placeholder_that_is_not_filled_is_named():
    config = lidc_hpunet.get_config().unlock()
    config.training.steps = ml_collections.config_dict.placeholder(int)
    assert refusal(config).startswith("training.steps must be an integer")
    config.training.steps = ml_collections.config_dict.required_placeholder(int)
    assert refusal(config) == "a required placeholder of training is empty."


def test_the_value_of_an_absent_field_is_its_default():
    config = lidc_hpunet.get_config()
    assert value_of(config, "evaluation.min_region") == 25
    assert value_of(config, "evaluation.num_samples") == 16
    assert value_of(own_data.get_config(), "data.size") == ()
    with pytest.raises(ValueError, match=r"did you mean training\.steps"):
        value_of(config, "training.stepz")


def test_overrides_are_of_fields_that_are_there_and_in_one_piece():
    config = lidc_hpunet.get_config()
    check_overrides(config, {"training.steps": 2, "data.crop": 1, "data.augmentation": 1})
    for fields, message in (
        ({"training.stepz": 1}, "did you mean training.steps?"),
        ({"data.num_ids": 1}, "the config does not set data.num_ids"),
        ({"data.crop": 2}, "data.crop is given 2 times"),
    ):
        with pytest.raises(ValueError, match=message.replace("?", r"\?")):
            check_overrides(config, fields)


def test_choices_are_those_that_the_library_knows():
    assert schema()["evaluation.protocol"].choices == tuple(PROTOCOLS)
    assert value_of(lidc_hpunet.get_config(), "evaluation.min_region") == MIN_REGION_HALF
    options = {"hamming_threshold": "threshold", "erosion": "erosion"}
    for name, option in {**options, "neighbourhood": "neighbourhood"}.items():
        assert schema()[f"evaluation.{name}"].default == getattr(SegmentOptions(), option)
    assert schema()["data.extrapolation.sides"].choices == Extrapolation().sides


def test_the_reference_lists_every_field_once():
    described = fields_reference()
    names = [field.name for field in described]
    assert len(names) == len(set(names))
    assert set(names) == {name for n in ("hpunet", "spunet", "unet") for name in schema(n)}
    by_name = {field.name: field for field in described}
    assert by_name["training.steps"].allowed == "an integer from 1 to 2147483647"
    assert by_name["model.latent_dim"].networks == ("spunet",)
    assert by_name["evaluation.min_region"].default == "25"
    assert by_name["training.steps"].default == ""
