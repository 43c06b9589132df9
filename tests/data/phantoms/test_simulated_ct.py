"""The parts of the simulated CT against closed forms: lung, chest wall, vessels, scanner."""

import dataclasses

import numpy as np
import pytest

from hpunet_jax.data.lidc.cutting import RESOLUTION, SIZE
from hpunet_jax.data.phantoms.scanner import Scanner, draw_scanner
from hpunet_jax.data.phantoms.thorax import (
    Surroundings,
    draw_thorax,
    pixel_places,
    signed_distance,
)
from hpunet_jax.data.phantoms.vessels import cut_vessels

_DEEP = np.full((SIZE, SIZE), 50.0, np.float32)
_SOFT = Scanner(0.7, 2.0, 0.5, 0.0, 20.0, 0.8, 0.0, 0.0)
_FLAT = np.zeros((SIZE, SIZE), np.float32)


def _ball(radius):
    return lambda direction: radius


def _tube(start, way, radius, length=60.0, step=0.4):
    """Points of a straight tube, as `draw_vessels` gives them."""
    along = np.arange(0, length, step)[:, None]
    points = np.array(start) + along * np.array(way)
    return np.concatenate([points, np.full_like(along, radius)], axis=1)


def test_the_distance_from_a_round_lung_is_exact():
    thorax = draw_thorax(np.random.default_rng(0), (80.0, 0.0), _ball(5.0))
    thorax = dataclasses.replace(thorax, axes=(60.0, 60.0), squareness=2.0)
    x, y = pixel_places((70.0, 30.0))
    exact = np.hypot(x - thorax.centre[0], y - thorax.centre[1]) - 60
    np.testing.assert_allclose(signed_distance(thorax, x, y), exact, atol=1e-3)


@pytest.mark.parametrize("place", [(80.0, 10.0), (-130.0, -20.0), (30.0, 60.0), (-90.0, 95.0)])
def test_a_lesion_lies_in_the_lung_wherever_its_scan_has_it(place):
    touching = 0
    for seed in range(25):
        thorax = draw_thorax(np.random.default_rng(seed), place, _ball(6.0))
        surroundings = Surroundings(thorax, place, _FLAT)
        x, y = pixel_places((0.0, 0.0))
        depth = surroundings.depth(0.0)[np.hypot(x, y) < 6.0]
        assert depth.max() < 2.5  # mm; it may press a little into what it touches
        touching += depth.max() > -1.5
    assert touching < 25
    assert touching > 4 or place == (80.0, 10.0)  # the middle of a lung


def test_ribs_lie_outside_of_the_lung_and_cover_part_of_its_wall():
    shares = []
    for seed in range(8):
        place = (125.0, 10.0)  # at the side, far from spine and heart
        thorax = draw_thorax(np.random.default_rng(seed), place, _ball(3.0))
        thorax = dataclasses.replace(thorax, organs=())
        surroundings = Surroundings(thorax, place, _FLAT)
        hu = surroundings.cover(np.full((SIZE, SIZE), -860.0, np.float32), 0.0)
        depth = surroundings.depth(0.0)
        assert hu[depth < -3].max() < -800
        beyond = (depth > 3) & (depth < 8)
        if beyond.any():
            shares.append((hu[beyond] > 120).mean())
    assert len(shares) > 4
    assert 0.15 < np.mean(shares) < 0.9


def test_a_tube_across_the_slice_is_a_disc_of_its_size():
    tube = _tube((0.0, 0.0, -30.0), (0.0, 0.0, 1.0), radius=2.0)
    area = cut_vessels(tube, 0.0, 2.0, _DEEP).sum() * RESOLUTION**2
    assert area == pytest.approx(np.pi * 2.0**2, rel=0.05)


def test_a_thin_tube_along_a_thick_slice_fills_a_part_of_it():
    tube = _tube((-30.0, 0.0, 0.0), (1.0, 0.0, 0.0), radius=0.5)
    thick, thin = (cut_vessels(tube, 0.0, thickness, _DEEP) for thickness in (3.0, 1.0))
    assert thin.max() == pytest.approx(1.0, abs=0.02)
    assert thick.max() == pytest.approx(1 / 3, abs=0.02)
    assert not cut_vessels(tube, 9.0, 3.0, _DEEP).any()


def test_the_scanner_keeps_what_is_even_and_adds_noise_of_its_strength():
    quiet = dataclasses.replace(draw_scanner(np.random.default_rng(3), 0.7), noise=0.0, streaks=0.0)
    np.testing.assert_allclose(quiet.image(np.random.default_rng(0), _FLAT - 860), -860, rtol=1e-5)
    noisy = dataclasses.replace(_SOFT, noise=30.0).image(np.random.default_rng(0), _FLAT)
    assert abs(noisy.mean()) < 3
    assert 20 < noisy.std() < 31  # less between the scan's pixels than on them


def test_a_soft_kernels_noise_is_coarser_than_a_sharp_ones():
    sharp = dataclasses.replace(_SOFT, overshoot=0.6, grain=0.4)

    def neighbours(scanner):
        noise = scanner.image(np.random.default_rng(1), _FLAT)
        return np.corrcoef(noise[:, :-2].ravel(), noise[:, 2:].ravel())[0, 1]  # 1 mm apart

    assert neighbours(_SOFT) > 0.4 > neighbours(sharp)
