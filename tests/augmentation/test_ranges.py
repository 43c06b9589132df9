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
        ({"scale": (0.0, 1.0)}, r"data\.augmentation\.scale must be two positive numbers"),
        ({"scale": 1.2}, r"data\.augmentation\.scale must be two positive numbers"),
        ({"scale": (1.2, 0.8)}, r"scale must be \(least, greatest\)"),
        ({"elastic_points": 3}, r"elastic_points must be at least 4"),
        ({"elastic_points": (4, 5, 6)}, r"elastic_points must be one value or a pair"),
        ({"translate": (-1, 3)}, r"translate must be 0 or more"),
        ({"rotation": -5}, r"rotation must be between 0 and 180, not -5"),
        ({"shear": -0.1}, r"shear must be 0 or more"),
        ({"contrast": 1.5}, r"contrast must be between 0 and 1"),
        ({"hue": float("nan")}, r"hue must be between 0 and 180"),
    ],
)
def test_bad_ranges_are_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_config(fields, crop=(16, 16))


@pytest.mark.parametrize("crop", [(0, 8), (8,), 8])
def test_a_crop_has_two_positive_sizes(crop):
    with pytest.raises(ValueError, match=r"data\.crop must be two positive numbers"):
        Augmentation(crop=crop)


def test_oblong_crops_cannot_turn():
    with pytest.raises(ValueError, match="square crop"):
        Augmentation(crop=(16, 32), quarter_turns=True)


@pytest.mark.parametrize("ranges", [LIDC, SNEMI3D, CITYSCAPES])
def test_every_range_is_a_field_of_the_configs(ranges):
    fields = {field.name for field in dataclasses.fields(Augmentation)}
    assert set(ranges) == fields - {"crop"}
