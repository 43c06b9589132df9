"""Coordinate maps and their sampling: exact where they can be, SciPy's elsewhere."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage

from hpunet_jax.augmentation import warp
from hpunet_jax.augmentation.elastic import cubic_bspline_matrix, elastic_displacement
from hpunet_jax.tasks.crop import centre_crop

SOURCE = (32, 36)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (*SOURCE, 2)).astype(np.uint8)


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(1).integers(0, 5, SOURCE).astype(np.int32)


@jax.jit
def sample(image, target, linear, shift, displacement):
    matrix = warp.affine(**linear)
    coordinates = warp.source_coordinates(matrix, shift, displacement, image.shape[:2])
    return (
        warp.sample_bilinear(image, coordinates),
        warp.sample_nearest(target, coordinates),
        warp.inside(coordinates, image.shape[:2]),
        coordinates,
    )


def linear(turns=0, mirror=(1.0, 1.0), angle=0.0, shear=0.0, scale=1.0):
    floats = {"mirror": mirror, "angle": angle, "shear": shear, "scale": scale}
    return {"turns": turns, **{name: np.float32(value) for name, value in floats.items()}}


def warped(image, target, shift=(0.0, 0.0), crop=(24, 24), **changes):
    displacement = np.zeros((2, *crop), np.float32)
    return sample(image, target, linear(**changes), np.float32(shift), displacement)


@pytest.mark.parametrize("crop", [(24, 24), (23, 25), (32, 36), (1, 2)])
def test_the_identity_is_the_centre_crop_bit_for_bit(image, target, crop):
    values, label, visible, _ = warped(image, target, crop=crop)
    np.testing.assert_array_equal(values, centre_crop(image[None], crop)[0])
    np.testing.assert_array_equal(label, centre_crop(target[None], crop)[0])
    assert visible.all()


@pytest.mark.parametrize("crop", [(24, 24), (23, 23)])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_agree_with_numpy(image, target, turns, crop):
    values, label, _, _ = warped(image, target, crop=crop, turns=turns)
    np.testing.assert_array_equal(values, np.rot90(centre_crop(image[None], crop)[0], turns))
    np.testing.assert_array_equal(label, np.rot90(centre_crop(target[None], crop)[0], turns))


@pytest.mark.parametrize("crop", [(24, 24), (23, 26)])
@pytest.mark.parametrize(("mirror", "axis"), [((-1.0, 1.0), 0), ((1.0, -1.0), 1)])
def test_mirroring_agrees_with_numpy(image, target, mirror, axis, crop):
    values, label, _, _ = warped(image, target, crop=crop, mirror=mirror)
    np.testing.assert_array_equal(values, np.flip(centre_crop(image[None], crop)[0], axis))
    np.testing.assert_array_equal(label, np.flip(centre_crop(target[None], crop)[0], axis))


def test_a_rotation_by_a_right_angle_is_a_quarter_turn(image, target):
    turned = warped(image, target, crop=(24, 24), turns=1)
    rotated = warped(image, target, crop=(24, 24), angle=np.deg2rad(90.0))
    np.testing.assert_allclose(rotated[0], turned[0], atol=0.01)
    np.testing.assert_array_equal(rotated[1], turned[1])


@pytest.mark.parametrize("shift", [(3.0, -2.0), (-4.0, 0.0)])
def test_a_translation_agrees_with_slicing(image, target, shift):
    values, label, visible, _ = warped(image, target, shift=shift, crop=(20, 20))
    top, left = 6 + int(shift[0]), 8 + int(shift[1])
    np.testing.assert_array_equal(values, image[top : top + 20, left : left + 20])
    np.testing.assert_array_equal(label, target[top : top + 20, left : left + 20])
    assert visible.all()


def test_a_magnification_of_two_shows_things_twice_as_large(image, target):
    values, _, _, _ = warped(image, target, scale=2.0)
    middle = values[11:13, 11:13]  # two pixels of the crop lie within one of the source
    y, x = 4 + 11.5, 6 + 11.5
    coordinates = np.mgrid[y - 0.25 : y + 0.3 : 0.5, x - 0.25 : x + 0.3 : 0.5]
    for channel in range(2):
        expected = scipy.ndimage.map_coordinates(
            image[..., channel].astype(float), coordinates, order=1
        )
        np.testing.assert_allclose(middle[..., channel], expected, atol=1e-3)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    turns=st.integers(0, 3),
    mirror=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 2),
    angle=st.floats(-4, 4),
    shear=st.floats(-0.5, 0.5),
    scale=st.floats(0.5, 2),
    shift=st.tuples(*[st.floats(-40, 40)] * 2),
    seed=st.integers(0, 9),
)
def test_any_map_agrees_with_scipy(image, target, turns, mirror, angle, shear, scale, shift, seed):
    displacement = np.random.default_rng(seed).normal(0, 2, (2, 24, 24)).astype(np.float32)
    changes = linear(turns, mirror, angle, shear, scale)
    values, label, visible, coordinates = map(
        np.asarray, sample(image, target, changes, np.float32(shift), displacement)
    )
    coordinates = coordinates.astype(np.float64)
    for channel in range(2):
        expected = scipy.ndimage.map_coordinates(
            image[..., channel].astype(float), coordinates, order=1, mode="nearest"
        )
        np.testing.assert_allclose(values[visible, channel], expected[visible], atol=1e-2)
    nearest = np.floor(coordinates + 0.5).astype(int)
    limit = np.array(SOURCE)[:, None, None]
    np.testing.assert_array_equal(visible, ((nearest >= 0) & (nearest < limit)).all(axis=0))
    y, x = nearest[:, visible]
    np.testing.assert_array_equal(label[visible], target[y, x])


def test_what_lies_outside_of_the_source_is_not_visible(image, target):
    _, _, visible, _ = warped(image, target, shift=(0.0, 10.0))
    np.testing.assert_array_equal(visible, np.broadcast_to(np.arange(24) + 16 < 36, (24, 24)))
    _, _, visible, _ = warped(image, target, crop=(40, 40))
    assert visible.sum() == 32 * 36


def test_half_a_pixel_around_the_outer_pixels_belongs_to_the_source():
    at = jnp.array([[-0.51, -0.5, 0.0, 2.49, 2.5]])
    inside = warp.inside(jnp.stack([at, jnp.zeros_like(at)]), (3, 3))
    assert inside.tolist() == [[False, True, True, True, False]]


@pytest.mark.parametrize(("size", "points"), [(24, 4), (25, 6), (64, 9)])
def test_the_elastic_weights_are_cubic_bsplines(size, points):
    control = np.random.default_rng(0).standard_normal(points)
    spline = scipy.interpolate.BSpline(np.arange(-3.0, points + 1), control, 3)
    expected = spline(np.linspace(0, points - 3, size))
    matrix = cubic_bspline_matrix(size, points)
    np.testing.assert_allclose(matrix @ control, expected, atol=1e-5)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


def test_the_elastic_displacement_is_a_spline_surface_of_normal_control_points():
    crop, points, magnitude = (12, 20), (5, 7), 3.0
    key = jax.random.key(3)
    control = magnitude * np.asarray(jax.random.normal(key, (2, *points)))
    expected = np.stack(
        [
            scipy.interpolate.NdBSpline(
                (np.arange(-3.0, 6), np.arange(-3.0, 8)), plane.astype(float), 3
            )(
                np.stack(
                    np.meshgrid(np.linspace(0, 2, 12), np.linspace(0, 4, 20), indexing="ij"), -1
                )
            )
            for plane in control
        ]
    )
    displacement = elastic_displacement(key, crop, points, magnitude)
    np.testing.assert_allclose(displacement, expected, atol=1e-4)
