"""The fields of `data.augmentation`: what is accepted, and what is refused by name."""

import dataclasses

import ml_collections
import pytest

from hpunet_jax.augmentation import Augmentation
from hpunet_jax.augmentation.ranges import CITYSCAPES, LIDC, SNEMI3D


@pytest.mark.parametrize("ranges", [LIDC, SNEMI3D, CITYSCAPES, {}])
def test_ranges_come_from_a_config(ranges):
    config = ml_collections.ConfigDict(dict(ranges))
    augmentation = Augmentation.from_config(config, crop=(32, 64))
    assert augmentation == Augmentation((32, 64), **ranges)


def test_lists_as_json_leaves_them_mean_the_same_as_tuples():
    fields = {"scale": [0.5, 2.0], "translate": [1.0, 2.0], "mirror": [False, True]}
    augmentation = Augmentation.from_config(fields, crop=[32, 64])
    assert augmentation == Augmentation((32, 64), (1.0, 2.0), (False, True), scale=(0.5, 2.0))
    hash(augmentation)


def test_one_value_stands_for_both_axes():
    both = Augmentation((8, 8), translate=(3, 3), mirror=(True, True), elastic_points=(5, 5))
    assert Augmentation((8, 8), translate=3, mirror=True, elastic_points=5) == both


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rotate": 5}, r"unknown field data\.augmentation\.rotate; known are translate"),
        ({"crop": (8, 8)}, r"unknown field data\.augmentation\.crop"),
        ({"scale": (0.0, 1.0)}, r"scale must be a tuple of 2 numbers, each from 0\.01 to 100, not"),
        ({"scale": 1.2}, r"data\.augmentation\.scale must be a tuple of 2 numbers, .*, not 1\.2"),
        ({"scale": (1.2, 0.8)}, r"scale must be \(least, greatest\)"),
        ({"elastic_points": 3}, r"elastic_points must be an integer from 4 to 64, or a tuple of 2"),
        ({"elastic_points": (4, 5, 6)}, r"elastic_points must be an integer .*, not \(4, 5, 6\)"),
        (
            {"translate": (-1, 3)},
            r"translate must be a number from 0 to 16384, or a tuple of 2 numbers",
        ),
        ({"rotation": -5}, r"rotation must be a number from 0 to 180, not -5"),
        ({"shear": -0.1}, r"shear must be a number from 0 to 10, not -0\.1"),
        ({"contrast": 1.5}, r"contrast must be a number from 0 to 1, not 1\.5"),
        ({"rotation": "90"}, "rotation must be a number from 0 to 180, not '90'"),
        ({"rotation": True}, "rotation must be a number from 0 to 180, not True"),
        ({"quarter_turns": 1}, "quarter_turns must be True or False, not 1"),
        ({"mirror": (1, 0)}, "mirror must be True or False, or a tuple of 2 bools"),
        ({"elastic_points": 5.0}, "elastic_points must be an integer from 4 to 64"),
        ({"elastic": 1e30}, "elastic must be a number from 0 to 1000"),
        ({"hue": float("nan")}, r"hue must be a number from 0 to 180, not nan"),
    ],
)
def test_bad_ranges_are_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_config(fields, crop=(16, 16))


@pytest.mark.parametrize(
    "crop", [(0, 8), (8,), 8, (8.0, 8), ("8", "8"), (True, 8), (10**9, 8), None]
)
def test_a_crop_has_two_positive_sizes(crop):
    with pytest.raises(ValueError, match=r"data\.crop must be a tuple of 2 integers"):
        Augmentation(crop=crop)


def test_oblong_crops_cannot_turn():
    with pytest.raises(ValueError, match="square crop"):
        Augmentation(crop=(16, 32), quarter_turns=True)


@pytest.mark.parametrize("ranges", [LIDC, SNEMI3D, CITYSCAPES])
def test_every_range_is_a_field_of_the_configs(ranges):
    fields = {field.name for field in dataclasses.fields(Augmentation)}
    assert set(ranges) == fields - {"crop"}
