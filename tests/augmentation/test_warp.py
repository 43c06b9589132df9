"""The geometric augmentation: exact where it can be, aligned always."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage

from hpunet_jax.augmentation import Augmentation, training_batch, warp
from hpunet_jax.augmentation.augment import random_warp
from hpunet_jax.augmentation.elastic import cubic_bspline_matrix, elastic_displacement
from hpunet_jax.evaluation.lidc import centre_crop

EVERYTHING = Augmentation(
    crop=(24, 24),
    translate=6,
    mirror=True,
    quarter_turns=True,
    rotation=20,
    shear=0.15,
    scale=(0.8, 1.25),
    elastic=1.5,
)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 36, 2)).astype(np.uint8)


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(1).integers(0, 5, (32, 36)).astype(np.int32)


def sample(image, target, matrix=None, shift=(0.0, 0.0), crop=(24, 24)):
    coordinates = warp.source_coordinates(
        jnp.eye(2) if matrix is None else matrix,
        jnp.array(shift),
        jnp.zeros((2, *crop)),
        image.shape[:2],
    )
    return (
        warp.sample_bilinear(image, coordinates),
        warp.sample_nearest(target, coordinates),
        warp.inside(coordinates, image.shape[:2]),
    )


def affine(turns=0, mirror=(1.0, 1.0), angle=0.0, shear=0.0, scale=1.0):
    return warp.affine(turns, jnp.array(mirror), angle, shear, scale)


@pytest.mark.parametrize("crop", [(24, 24), (23, 25), (32, 36)])
def test_the_identity_is_the_centre_crop_bit_for_bit(image, target, crop):
    augmentation = Augmentation(crop=crop)
    warped, label = random_warp(jax.random.key(0), image, target, augmentation)
    np.testing.assert_array_equal(warped, centre_crop(image[None], crop)[0])
    np.testing.assert_array_equal(label, centre_crop(target[None], crop)[0])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_agree_with_numpy(image, target, turns):
    warped, label, _ = sample(image, target, affine(turns))
    np.testing.assert_array_equal(warped, np.rot90(centre_crop(image[None], (24, 24))[0], turns))
    np.testing.assert_array_equal(label, np.rot90(centre_crop(target[None], (24, 24))[0], turns))


@pytest.mark.parametrize(("mirror", "axis"), [((-1.0, 1.0), 0), ((1.0, -1.0), 1)])
def test_mirroring_agrees_with_numpy(image, target, mirror, axis):
    warped, label, _ = sample(image, target, affine(mirror=mirror))
    np.testing.assert_array_equal(warped, np.flip(centre_crop(image[None], (24, 24))[0], axis))
    np.testing.assert_array_equal(label, np.flip(centre_crop(target[None], (24, 24))[0], axis))


def test_any_map_agrees_with_scipy(image, target):
    matrix = affine(1, (1.0, -1.0), angle=0.3, shear=0.1, scale=1.1)
    coordinates = warp.source_coordinates(
        matrix, jnp.array([2.5, -3.0]), jnp.zeros((2, 24, 24)), image.shape[:2]
    )
    ours = warp.sample_bilinear(image, coordinates)
    for channel in range(2):
        theirs = scipy.ndimage.map_coordinates(
            image[..., channel].astype(float), coordinates, order=1, mode="nearest"
        )
        np.testing.assert_allclose(ours[..., channel], theirs, atol=1e-2)


def test_a_shift_leaves_the_image_and_the_mask_says_where(image, target):
    _, _, visible = sample(image, target, shift=(0.0, 10.0))
    expected = np.arange(24) + 6 + 10 < 36
    np.testing.assert_array_equal(visible, np.broadcast_to(expected, (24, 24)))


def test_labels_never_blend(image):
    target = np.where(np.random.default_rng(2).random((32, 36)) < 0.5, 3, 17)
    keys = jax.random.split(jax.random.key(0), 20)
    warped = jax.vmap(lambda key: random_warp(key, image, target, EVERYTHING)[1])(keys)
    assert set(np.unique(warped)) == {-1, 3, 17}


def test_image_and_target_stay_aligned_under_every_random_draw():
    """The image is a smooth function of position, the target its rounded value."""
    y, x = np.mgrid[:32, :36]
    plane = 3.0 * y + 100 + 2 * np.sin(x / 4)
    image = plane.astype(np.float32)[..., None]
    target = np.round(plane).astype(np.int32)
    keys = jax.random.split(jax.random.key(1), 50)
    warped, label = jax.vmap(lambda key: random_warp(key, image, target, EVERYTHING))(keys)
    visible = np.asarray(label) != -1
    difference = np.abs(np.asarray(warped)[..., 0] - np.asarray(label))[visible]
    assert difference.max() < 0.5 * 3 + 0.5 * 0.5 + 0.5 + 0.1  # half a pixel, and rounding
    assert 0.5 < visible.mean() < 1.0


def test_draws_differ_between_keys_and_repeat_for_a_key(image, target):
    first, _ = random_warp(jax.random.key(0), image, target, EVERYTHING)
    again, _ = random_warp(jax.random.key(0), image, target, EVERYTHING)
    other, _ = random_warp(jax.random.key(1), image, target, EVERYTHING)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_range_moves_something(image, target):
    still, _ = random_warp(jax.random.key(5), image, target, Augmentation(crop=(24, 24)))
    for field in ("translate", "mirror", "quarter_turns", "rotation", "shear", "scale", "elastic"):
        one = dataclasses.replace(
            Augmentation(crop=(24, 24)), **{field: getattr(EVERYTHING, field)}
        )
        keys = jax.random.split(jax.random.key(6), 4)
        moved = jax.vmap(lambda key, a=one: random_warp(key, image, target, a)[0])(keys)
        assert not np.array_equal(moved, np.broadcast_to(still, moved.shape)), field


@pytest.mark.parametrize(("size", "points"), [(24, 4), (25, 6), (64, 9)])
def test_the_elastic_weights_are_cubic_bsplines(size, points):
    control = np.random.default_rng(0).standard_normal(points)
    spline = scipy.interpolate.BSpline(np.arange(-3.0, points + 1), control, 3)
    expected = spline(np.linspace(0, points - 3, size))
    np.testing.assert_allclose(cubic_bspline_matrix(size, points) @ control, expected, atol=1e-5)


def test_the_elastic_displacement_has_the_magnitude_of_its_control_points():
    draw = jax.vmap(lambda key: elastic_displacement(key, (16, 16), 6, 3.0))
    displacement = draw(jax.random.split(jax.random.key(0), 200))
    matrix = cubic_bspline_matrix(16, 6)
    expected = 3.0 * np.sqrt((matrix**2).sum(1).mean() ** 2)
    assert 0.9 < displacement.std() / expected < 1.1


def test_results_do_not_depend_on_the_rest_of_the_batch(examples):
    augmentation = dataclasses.replace(EVERYTHING, crop=(16, 16))
    batch = training_batch(jax.random.key(0), examples, augmentation)
    assert batch.image.shape == (4, 16, 16, 1)
    assert batch.image.min() >= 0
    assert batch.image.max() <= 1
    changed = {name: array.copy() for name, array in examples.items()}
    changed["image"][1:] = 7
    other = training_batch(jax.random.key(0), changed, augmentation)
    np.testing.assert_array_equal(batch.image[0], other.image[0])
    np.testing.assert_array_equal(batch.label, other.label)
    assert (np.asarray(batch.label)[np.asarray(batch.mask) == 0] == 0).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rotate": 5}, "data.augmentation.rotate"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"elastic_points": 3}, "at least 4"),
    ],
)
def test_bad_ranges_are_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_config(fields, crop=(16, 16))


def test_oblong_crops_cannot_turn():
    with pytest.raises(ValueError, match="square crops"):
        Augmentation(crop=(16, 32), quarter_turns=True)
