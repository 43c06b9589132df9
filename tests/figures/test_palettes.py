"""Colours: as many as asked for, apart from each other, and of the right kind."""

import colorsys
import itertools

import numpy as np
import pytest

from hpunet_jax.figures import palettes


def least_distance(colours):
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2))


def test_the_fifteen_ids_of_neurites_differ_from_each_other_and_from_the_black_background():
    palette = palettes.neurite_palette(15)
    assert palette.shape == (16, 3)
    assert (palette[0] == 0).all()
    assert least_distance(palette) > 0.25


@pytest.mark.parametrize("number", [0, 1, 5, 40])
def test_there_are_colours_for_any_number_of_ids_and_instances(number):
    for palette in (palettes.neurite_palette(number), palettes.instance_palette(number)):
        assert palette.shape == (number + 1, 3)
        assert palette.min() >= 0
        assert palette.max() <= 1
        assert (palette[1:].max(axis=-1) > 0.5).all()  # bright on black


def test_a_dozen_successive_instances_differ_from_each_other():
    palette = palettes.instance_palette(300)
    assert all(least_distance(palette[start : start + 12]) > 0.2 for start in range(1, 289))
    assert len(np.unique(palette, axis=0)) == 301


def test_cars_are_shades_of_blue_in_the_place_of_their_class():
    palette, names = palettes.street_palette(5), palettes.street_names(5)
    assert palette.shape == (23, 3)
    assert len(names) == 23
    assert names[12:19] == ["rider", *["car"] * 5, "truck"]
    np.testing.assert_allclose(palette[0], np.array([128, 64, 128]) / 255)  # road, as official
    for shade in palette[13:18]:
        hue = 360 * colorsys.rgb_to_hsv(*shade)[0]
        assert 180 < hue < 260
    assert least_distance(palette[13:18]) > 0.15
    assert (np.diff(palette[13:18].sum(axis=-1)) > 0).all()
    others = np.delete(palette, range(13, 18), axis=0)
    assert all(np.linalg.norm(others - shade, axis=-1).min() > 0.15 for shade in palette[13:18])


def test_pixels_have_the_colour_of_their_label_and_unknown_ones_are_light_grey():
    palette = palettes.neurite_palette(3)
    painted = palettes.paint(np.array([[0, 3], [-1, 255]], np.int16), palette)
    np.testing.assert_array_equal(painted[0], palette[[0, 3]])
    np.testing.assert_array_equal(painted[1], [palettes.NO_LABEL] * 2)
    assert palettes.paint(np.uint8([255]), palettes.instance_palette(300)).tolist() == [
        palettes.instance_palette(300)[255].tolist()
    ]


def test_the_classes_of_instances_say_which_palette_it_is():
    colours, names = palettes.label_palette(range(1, 16))
    np.testing.assert_array_equal(colours, palettes.neurite_palette(15))
    assert names is None
    colours, names = palettes.label_palette(range(13, 18))
    np.testing.assert_array_equal(colours, palettes.street_palette(5))
    assert names == palettes.street_names(5)


def test_instances_have_the_palettes_colours_whatever_their_numbers():
    instances = np.array([[0, 3], [-1, 300]])
    palette = palettes.instance_palette(300)
    expected = [[palette[0], palette[3]], [palettes.NO_LABEL, palette[300]]]
    np.testing.assert_array_equal(palettes.paint_instances(instances), expected)
    great = palettes.paint_instances(np.uint64([2**63 + 5, 0]))  # as connectomics numbers neurons
    assert least_distance(great) > 0.2
    assert palettes.paint_instances(np.zeros((0, 4), int)).shape == (0, 4, 3)
