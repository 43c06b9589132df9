import numpy as np
import pytest

from hpunet_jax.figures import annotations_figure
from hpunet_jax.figures.palettes import instance_palette, street_palette

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 8, 12, 1), np.uint8)
MAPS = RNG.integers(0, 3, (3, 8, 12)).astype(np.uint16) * 700


def shown(figure):
    """What each panel shows, in the order of drawing."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_instances_stand_beside_their_images_in_colours_of_their_own():
    pictures = shown(annotations_figure({"image": IMAGES, "instances": MAPS}))
    assert len(pictures) == 6
    np.testing.assert_allclose(pictures[0], np.repeat(IMAGES[0] / 255, 3, axis=-1), atol=1e-6)
    np.testing.assert_allclose(pictures[1], instance_palette(2)[MAPS[0] // 700])


def test_classes_and_cars_stand_beside_street_scenes():
    semantic = RNG.integers(0, 19, (3, 8, 12)).astype(np.uint8)
    examples = {"image": IMAGES.repeat(3, axis=-1), "semantic": semantic, "cars": MAPS}
    pictures = shown(annotations_figure(examples))
    assert len(pictures) == 9
    np.testing.assert_allclose(pictures[1], street_palette(1)[semantic[0]])
    np.testing.assert_allclose(pictures[2], instance_palette(2)[MAPS[0] // 700])


def test_masks_of_graders_are_drawn_as_gradings():
    masks = RNG.integers(0, 2, (3, 8, 12, 2)).astype(np.uint8)
    examples = {"image": IMAGES, "masks": masks, "captions": np.array(["one", "two", "three"])}
    figure = annotations_figure(examples)
    assert len(shown(figure)) == 9
    written = [[text.get_text() for text in axes.texts] for axes in figure.axes if axes.images]
    assert written == [["one"], [], [], ["two"], [], [], ["three"], [], []]


def test_examples_without_annotations_and_other_shapes_are_named():
    with pytest.raises(ValueError, match="the examples have image: expected masks, instances, or"):
        annotations_figure({"image": IMAGES})
    with pytest.raises(ValueError, match="instances have shape"):
        annotations_figure({"image": IMAGES, "instances": MAPS[:, :4]})
