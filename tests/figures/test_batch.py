import numpy as np
import pytest

from hpunet_jax.figures import batch_figure
from tests.figures.checks import assert_inside

K, B, H, W = 3, 2, 12, 12


def drawn(height=8, width=8, channels=1):
    """Images, labels and masks of K draws of B examples; the first row of pixels is padding."""
    rng = np.random.default_rng(0)
    images = rng.random((K, B, height, width, channels)).astype(np.float32)
    labels = rng.integers(0, 2, images.shape[:4])
    masks = np.ones(images.shape[:4], np.float32)
    masks[:, :, 0] = 0
    return images, labels, masks


def examples(height=H, width=W, channels=1, **maps):
    image = np.random.default_rng(1).integers(0, 256, (B, height, width, channels), np.uint8)
    return {"image": image, **maps}


def graders(count):
    masks = np.zeros((B, H, W, count), np.uint8)
    masks[:, 3:7, 4:9] = 1
    return masks


def shown(axes):
    """The arrays of a panel, from the back to the front."""
    return [np.asarray(image.get_array()) for image in axes.images]


def test_every_example_has_its_draws_beside_it():
    images, labels, masks = drawn()
    figure = batch_figure(examples(masks=graders(4)), images, labels, masks)
    assert len(figure.axes) == B * (1 + 2 * K)
    for example in range(B):
        row = figure.axes[example * (1 + 2 * K) : (example + 1) * (1 + 2 * K)]
        for draw, axes in enumerate(row[1::2]):
            expected = images[draw, example].repeat(3, axis=-1)
            np.testing.assert_allclose(shown(axes)[0], expected, rtol=1e-6)
    assert_inside(figure)


def test_the_example_has_an_outline_of_each_grader_in_another_colour():
    masks = graders(3)
    masks[..., 1] = 255  # did not annotate
    figure = batch_figure(examples(masks=masks), *drawn())
    _, first, missing, third = shown(figure.axes[0])
    outline = first[..., 3] > 0
    assert outline.sum() == 4 * 5 - 2 * 3
    assert outline[3, 4]
    assert not missing[..., 3].any()
    np.testing.assert_array_equal(third[..., 3], first[..., 3])
    assert (third[3, 4, :3] != first[3, 4, :3]).any()


@pytest.mark.parametrize("kind", ["masks", "instances", "cars"])
def test_exactly_what_is_not_in_the_mask_is_striped(kind):
    maps = {
        "masks": {"masks": graders(1)},
        "instances": {"instances": np.ones((B, H, W), np.uint16)},
        "cars": {"semantic": np.ones((B, H, W), np.uint8), "cars": np.ones((B, H, W), np.uint16)},
    }[kind]
    images, labels, masks = drawn()
    figure = batch_figure(examples(**maps), images, labels, masks, num_ids=5)
    covers = [cover[..., 3] > 0 for cover in shown(figure.axes[2])[-2:]]
    striped = covers[0] | covers[1]
    factor = striped.shape[0] // 8
    expected = (masks[0, 0] == 0).repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_array_equal(striped, expected)
    assert not (covers[0] & covers[1]).any()


def test_instances_are_painted_over_the_image_but_not_background():
    images, labels, masks = drawn()
    maps = {"instances": np.ones((B, H, W), np.uint16)}
    figure = batch_figure(examples(**maps), images, labels * 3, masks, num_ids=15)
    picture = shown(figure.axes[2])[0]
    plain = images[0, 0].repeat(3, axis=-1)
    same = np.isclose(picture, plain).all(axis=-1)
    np.testing.assert_array_equal(same, (labels[0, 0] == 0) | (masks[0, 0] == 0))


def test_wide_images_are_drawn_once_and_larger():
    maps = {
        name: np.ones((B, 16, 32), dtype)
        for name, dtype in (("semantic", np.uint8), ("cars", np.uint16))
    }
    figure = batch_figure(examples(16, 32, 3, **maps), *drawn(16, 32, 3), num_ids=5)
    assert len(figure.axes) == B * 3
    assert_inside(figure)


def test_channels_that_examples_do_not_have_are_left_out():
    images, labels, masks = drawn(channels=4)
    figure = batch_figure(examples(masks=graders(1)), images, labels, masks)
    np.testing.assert_allclose(
        shown(figure.axes[1])[0], images[0, 0, ..., :1].repeat(3, axis=-1), rtol=1e-6
    )


def test_arrays_that_do_not_fit_are_named():
    images, labels, masks = drawn()
    given = examples(masks=graders(1))
    with pytest.raises(ValueError, match=r"images have shape .* K draws of each of the 2 examples"):
        batch_figure(given, images[:, :1], labels, masks)
    with pytest.raises(ValueError, match=r"masks have shape .* as the images"):
        batch_figure(given, images, labels, masks[:, :, 1:])
