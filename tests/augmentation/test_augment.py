"""Training batches: exact, aligned, repeatable, and independent of how they are split."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from hpunet_jax.augmentation import Augmentation, training_batch
from hpunet_jax.augmentation.augment import random_coordinates
from hpunet_jax.augmentation.ranges import CITYSCAPES, LIDC, SNEMI3D
from hpunet_jax.tasks.crop import evaluation_crop

EVERYTHING = Augmentation(
    crop=(16, 16),
    translate=6,
    mirror=True,
    quarter_turns=True,
    rotation=20,
    shear=0.15,
    scale=(0.8, 1.25),
    elastic=1.5,
)


def jitted(augmentation, num_ids=None, **options):
    return jax.jit(
        lambda key, examples: training_batch(key, examples, augmentation, num_ids), **options
    )


@functools.cache
def draw(augmentation, num_ids=None):
    return jitted(augmentation, num_ids)


@functools.cache
def draw_coordinates(augmentation, source=(32, 32), number=300):
    keys = jax.random.split(jax.random.key(0), number)
    function = jax.vmap(lambda key: random_coordinates(key, source, augmentation))
    return np.asarray(jax.jit(function)(keys))


def labelled_positions(number, size=(15, 16)):
    """Each pixel's image is its position, each pixel's label its index."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([y / size[0], x / size[1]], axis=-1).astype(np.float32)
    masks = np.arange(size[0] * size[1], dtype=np.uint8).reshape(*size, 1)
    return {
        "image": np.broadcast_to(image, (number, *image.shape)),
        "masks": np.broadcast_to(masks, (number, *masks.shape)),
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_without_ranges_the_batch_is_the_evaluation_crop_bit_for_bit(dtype):
    """Compiled with all optimisations: these must not change the last bit."""
    rng = np.random.default_rng(0)
    image = rng.random((2, 40, 40, 3))
    if dtype != np.float32:
        image *= np.iinfo(dtype).max
    examples = {
        "image": image.astype(dtype),
        "masks": rng.integers(0, 4, (2, 40, 40, 1)).astype(np.uint8),
    }
    batch = jitted(Augmentation(crop=(32, 31)))(jax.random.key(0), examples)
    expected = evaluation_crop(examples, (32, 31))
    np.testing.assert_array_equal(batch.image, expected["image"])
    np.testing.assert_array_equal(batch.label, expected["masks"][..., 0])
    assert batch.mask.all()
    assert (batch.image.dtype, batch.label.dtype, batch.mask.dtype) == (
        "float32",
        "int32",
        "float32",
    )


@pytest.mark.parametrize(
    "augmentation",
    [
        EVERYTHING,
        Augmentation.from_config({**LIDC, "translate": 3}, (12, 12)),
        Augmentation.from_config({**SNEMI3D, "translate": 3}, (20, 20)),
        Augmentation.from_config(
            {**CITYSCAPES, "translate": (2, 3), "brightness": 0, "contrast": 0}, (15, 16)
        ),
    ],
)
def test_image_and_label_stay_aligned_under_every_random_draw(augmentation):
    examples = labelled_positions(60)
    for seed in range(3):
        batch = jax.tree.map(np.asarray, draw(augmentation)(jax.random.key(seed), examples))
        position = batch.image * (15, 16)
        nearest = np.floor(position + 0.5)
        # A position half-way between two pixels may go to either.
        clear = (np.abs(position - nearest) < 0.499).all(axis=-1) & (batch.mask > 0)
        label = nearest @ (16, 1)
        np.testing.assert_array_equal(batch.label[clear], label[clear])
        assert clear.mean() > 0.3
    assert 0 < batch.mask.mean() < 1


def test_label_values_never_blend():
    examples = labelled_positions(20)
    masks = np.where(np.random.default_rng(2).random((20, 15, 16, 1)) < 0.5, 3, 17)
    batch = draw(EVERYTHING)(jax.random.key(0), {**examples, "masks": masks.astype(np.uint8)})
    assert set(np.unique(batch.label[batch.mask > 0])) == {3, 17}
    assert set(np.unique(batch.mask)) == {0, 1}


def test_padding_is_masked_and_empty_even_where_colours_change():
    augmentation = Augmentation(crop=(24, 24), brightness=0.3, contrast=0.5, translate=2)
    examples = {
        "image": np.full((8, 15, 16, 3), 200, np.uint8),
        "masks": np.full((8, 15, 16, 1), 5, np.uint8),
    }
    batch = draw(augmentation)(jax.random.key(0), examples)
    padding = np.asarray(batch.mask) == 0
    assert (padding.sum(axis=(1, 2)) == 24 * 24 - 15 * 16).all()
    assert (np.asarray(batch.image)[padding] == 0).all()
    assert (np.asarray(batch.label)[padding] == 0).all()
    assert (np.asarray(batch.image)[~padding] > 0).all()
    assert (np.asarray(batch.label)[~padding] == 5).all()


def test_ignored_pixels_are_masked_but_stay_in_the_image():
    examples = {
        "image": np.full((3, 16, 16, 1), 255, np.uint8),
        "masks": np.ones((3, 16, 16, 1), np.uint8),
    }
    examples["masks"][:, :4] = 255
    batch = draw(Augmentation(crop=(16, 16)))(jax.random.key(0), examples)
    expected = np.broadcast_to(np.arange(16)[:, None] >= 4, (3, 16, 16))
    np.testing.assert_array_equal(batch.mask, expected)
    np.testing.assert_array_equal(batch.label, expected)
    assert (batch.image == 1).all()


def test_a_key_repeats_its_draw_and_other_keys_do_not(examples):
    first, again, other = (draw(EVERYTHING)(jax.random.key(seed), examples) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.image, other.image)


def test_equal_examples_of_a_batch_are_augmented_differently():
    batch = draw(EVERYTHING)(jax.random.key(0), labelled_positions(6))
    assert len({image.tobytes() for image in np.asarray(batch.image)}) == 6


def test_results_do_not_depend_on_the_rest_of_the_batch(examples):
    batch = draw(EVERYTHING)(jax.random.key(0), examples)
    changed = {name: array.copy() for name, array in examples.items()}
    changed["image"][1:], changed["masks"][1:] = 7, 1
    other = draw(EVERYTHING)(jax.random.key(0), changed)
    for ours, theirs in zip(batch, other, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert not np.array_equal(batch.image[1], other.image[1])


def test_splitting_the_batch_over_devices_changes_nothing_and_moves_no_images(examples):
    devices = jax.devices()[:4]
    if len(devices) < 4:
        pytest.skip("needs four devices: XLA_FLAGS=--xla_force_host_platform_device_count=4")
    mesh = jax.sharding.Mesh(np.array(devices), ("data",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    function = jitted(EVERYTHING, out_shardings=split)
    compiled = function.lower(jax.random.key(0), jax.device_put(examples, split)).compile()
    batch = compiled(jax.random.key(0), jax.device_put(examples, split))
    expected = draw(EVERYTHING)(jax.random.key(0), examples)
    np.testing.assert_allclose(batch.image, expected.image, atol=1e-6)
    np.testing.assert_array_equal(batch.label, expected.label)
    np.testing.assert_array_equal(batch.mask, expected.mask)
    for collective in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert collective not in compiled.as_text()


@pytest.mark.parametrize("name", ["rotation", "shear", "scale", "translate", "mirror", "elastic"])
def test_each_range_does_what_it_says_and_nothing_else(name):
    value = {"scale": (0.5, 2.0), "translate": (3, 5), "mirror": (False, True)}.get(name, 2.0)
    augmentation = dataclasses.replace(Augmentation(crop=(9, 9)), **{name: value})
    still = draw_coordinates(Augmentation(crop=(9, 9)))[0]
    moved = draw_coordinates(augmentation)
    centre = moved[:, :, 4:5, 4:5]
    axes = [moved[:, :, 8:, 4:5] - centre, moved[:, :, 4:5, 8:] - centre]  # 4 pixels down, across
    down, across = (axis[..., 0, 0] / 4 for axis in axes)
    if name not in ("translate", "elastic"):
        np.testing.assert_allclose(centre - still[:, 4:5, 4:5], 0, atol=1e-5)
    if name == "rotation":
        angle = np.rad2deg(np.arctan2(across[:, 0], across[:, 1]))
        assert -2 <= angle.min() < -1.9 < 1.9 < angle.max() <= 2
        np.testing.assert_allclose(down @ [[0, 1], [-1, 0]], across, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(down, axis=1), 1, atol=1e-5)
    elif name == "shear":
        np.testing.assert_allclose(across, np.broadcast_to([0, 1], across.shape))
        np.testing.assert_allclose(down[:, 0], 1)
        assert -2 <= down[:, 1].min() < -1.9 < 1.9 < down[:, 1].max() <= 2
    elif name == "scale":
        np.testing.assert_allclose(down[:, 0], across[:, 1], rtol=1e-5)
        logs = np.log2(down[:, 0])
        assert -1.0001 <= logs.min() < -0.95 < 0.95 < logs.max() <= 1.0001
        assert abs(logs.mean()) < 0.15
    elif name == "translate":
        shift = moved - still
        assert np.ptp(shift, axis=(2, 3)).max() == 0
        assert set(shift[:, 0, 0, 0]) == set(range(-3, 4))
        assert set(shift[:, 1, 0, 0]) == set(range(-5, 6))
    elif name == "mirror":
        assert set(map(tuple, down)) == {(1, 0)}
        assert {tuple(row) for row in across} == {(0, 1), (0, -1)}
        assert 0.4 < (across[:, 1] == 1).mean() < 0.6
    else:
        assert 0.5 < (moved - still).std() < 2  # the spline averages its control points
        assert np.abs((moved - still).mean(axis=0)).max() < 0.4


def test_quarter_turns_come_in_all_four_directions():
    coordinates = draw_coordinates(Augmentation(crop=(9, 9), quarter_turns=True))
    down = coordinates[:, :, 5, 4] - coordinates[:, :, 4, 4]
    directions, counts = np.unique(down, axis=0, return_counts=True)
    assert {tuple(row) for row in directions} == {(1, 0), (0, 1), (-1, 0), (0, -1)}
    assert counts.min() > 50


def test_instances_and_cars_become_batches_too():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, 20, 24, 3)).astype(np.uint8)
    instances = rng.integers(0, 65_536, (2, 20, 24)).astype(np.uint16)
    batch = draw(Augmentation(crop=(16, 16)), 15)(
        jax.random.key(0), {"image": image, "instances": instances}
    )
    assert set(np.unique(batch.label)) <= set(range(16))
    assert batch.mask.all()
    semantic = np.array([13, 255, 18, 0], np.uint8)[rng.integers(0, 4, (2, 20, 24))]
    cars = np.where(semantic == 13, instances | 1, 0).astype(np.uint16)
    ranges = {**CITYSCAPES, "translate": 3}
    batch = draw(Augmentation.from_config(ranges, (20, 24)), 5)(
        jax.random.key(0), {"image": image, "semantic": semantic, "cars": cars}
    )
    assert set(np.unique(batch.label)) == {0, *range(13, 18), 22}
    assert 0 < batch.mask.mean() < 1
    assert 0 <= batch.image.min() < batch.image.max() <= 1


def test_entries_that_are_no_maps_are_not_looked_at(examples):
    named = {**examples, "id": ["a", "b", "c", "d"]}
    augmentation = Augmentation(crop=(16, 16))
    batch = jax.jit(lambda key: training_batch(key, named, augmentation, num_classes=2))(
        jax.random.key(0)
    )
    assert batch.image.shape == (4, 16, 16, 1)
