"""Hiding a part of an image: what the network sees, and what the loss still asks for."""

import jax
import numpy as np
import pytest

from hpunet_jax.augmentation import Batch
from hpunet_jax.augmentation.extrapolation import Extrapolation, hide_batch, random_hidden
from hpunet_jax.tasks.extrapolation import HIDDEN, SIDES, hide, num_channels, visible_input

CLASSES = 4


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    mask = np.ones((6, 8, 12), np.float32)
    mask[:, 3:5, 4:7] = 0
    return Batch(
        image=rng.uniform(0.1, 1, (6, 8, 12, 2)).astype(np.float32),
        label=np.where(mask > 0, rng.integers(0, CLASSES, mask.shape), 0).astype(np.int32),
        mask=mask,
    )


def many_hidden(extrapolation, size, number=400):
    keys = jax.random.split(jax.random.key(0), number)
    return np.asarray(jax.vmap(lambda key: random_hidden(key, size, extrapolation))(keys))


def test_the_network_sees_image_and_labels_of_visible_pixels_and_nothing_of_the_others(batch):
    labels = np.where(np.arange(8)[:, None] < 3, HIDDEN, batch.label)
    seen = np.asarray(visible_input(batch.image, labels, CLASSES))
    assert seen.shape == (6, 8, 12, num_channels(2, CLASSES)) == (6, 8, 12, 7)
    assert (seen[:, :3] == 0).all()
    np.testing.assert_array_equal(seen[:, 3:, :, :2], batch.image[:, 3:])
    np.testing.assert_array_equal(seen[:, 3:, :, 2:-1], np.eye(CLASSES)[batch.label[:, 3:]])
    assert (seen[:, 3:, :, -1] == 1).all()


def test_a_hidden_batch_keeps_label_and_mask_so_that_the_loss_is_on_all_valid_pixels(batch):
    hidden = hide_batch(jax.random.key(0), batch, Extrapolation(), num_classes=CLASSES)
    np.testing.assert_array_equal(hidden.label, batch.label)
    np.testing.assert_array_equal(hidden.mask, batch.mask)
    visible = np.asarray(hidden.image[..., -1]) == 1
    assert 0 < visible.sum() < batch.mask.sum()
    assert not visible[batch.mask == 0].any()  # nobody knows the label of padding
    expected = visible_input(batch.image, np.where(visible, batch.label, HIDDEN), CLASSES)
    np.testing.assert_array_equal(hidden.image, expected)
    assert len({image.tobytes() for image in visible}) > 1  # each image has its own part


def test_the_hidden_part_lies_on_one_side_and_is_as_large_as_asked_for():
    hidden = many_hidden(Extrapolation(hidden=(0.25, 0.5)), (16, 32))
    fractions = hidden.mean(axis=(1, 2))
    assert 0.25 - 1 / 16 <= fractions.min() < 0.3
    assert 0.45 < fractions.max() <= 0.5 + 1 / 16
    down, across = hidden.any(axis=2), hidden.any(axis=1)
    counts = {
        "top": (across.all(axis=1) & down[:, 0] & ~down[:, -1]).sum(),
        "bottom": (across.all(axis=1) & ~down[:, 0] & down[:, -1]).sum(),
        "left": (down.all(axis=1) & across[:, 0] & ~across[:, -1]).sum(),
        "right": (down.all(axis=1) & ~across[:, 0] & across[:, -1]).sum(),
    }
    assert sum(counts.values()) == len(hidden)
    assert min(counts.values()) > 70  # a hundred each, but for chance
    for one in hidden[:20]:  # a straight line: every row or every column is alike
        assert (one == one[:1]).all() or (one == one[:, :1]).all()


def test_only_the_sides_asked_for_are_hidden():
    hidden = many_hidden(Extrapolation(sides=("bottom",)), (8, 8), 50)
    assert hidden[:, -1].all()
    assert not hidden[:, 0].any()


@pytest.mark.parametrize("side", SIDES)
def test_a_side_of_given_labels_is_hidden_for_the_picture(side):
    labels = np.arange(1, 33, dtype=np.uint8).reshape(1, 4, 8)
    visible = hide(labels, 0.5, side)
    expected = np.where(
        {
            "top": np.arange(4)[:, None] < 2,
            "bottom": np.arange(4)[:, None] >= 2,
            "left": np.arange(8) < 4,
            "right": np.arange(8) >= 4,
        }[side],
        HIDDEN,
        labels[0].astype(int),
    )
    np.testing.assert_array_equal(visible[0], expected)


def test_a_section_of_a_config_is_read_and_its_absence_means_off():
    assert Extrapolation.from_config(None) is None
    section = {"hidden": (0.5, 0.5), "sides": ("top",)}
    assert Extrapolation.from_config(section) == Extrapolation((0.5, 0.5), ("top",))


def test_what_does_not_fit_is_refused_in_a_sentence(batch):
    for section, message in (
        ({"hiden": (0.1, 0.2)}, r"unknown field data\.extrapolation\.hiden; known are hidden"),
        ({"hidden": (0.6, 0.5)}, "least and the greatest fraction"),
        ({"hidden": (0.0, 0.5)}, "2 numbers, each above 0 and below 1"),
        ({"hidden": (0.5,)}, "2 numbers, each above 0 and below 1"),
        ({"sides": ("above",)}, "a tuple of 1 to 4 of 'top', 'bottom'"),
        ({"sides": "top"}, "a tuple of 1 to 4 of"),
        ({"hidden": ("0.1", 0.5)}, "2 numbers, each above 0 and below 1"),
        ({"sides": ()}, "a tuple of 1 to 4 of"),
    ):
        with pytest.raises(ValueError, match=message):
            Extrapolation.from_config(section)
    arguments = {"num_classes": CLASSES, "model_channels": 2}
    with pytest.raises(ValueError, match=r"model\.image_channels is 2, .* needs 7"):
        hide_batch(jax.random.key(0), batch, Extrapolation(), **arguments)
