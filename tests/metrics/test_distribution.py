import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.distribution import (
    energy_distance,
    ged_squared,
    hungarian_iou,
    leave_one_out,
)
from hpunet_jax.metrics.iou import iou, pairwise_iou


def sets(count):
    return hnp.arrays(np.uint8, (count, 2, 2, 3), elements=st.integers(0, 1))


def agreement(samples, graders, present=None):
    cross = pairwise_iou(samples, graders)
    among_samples, among_graders = pairwise_iou(samples, samples), pairwise_iou(graders, graders)
    return ged_squared(cross, among_samples, among_graders, present), hungarian_iou(cross, present)


def slow_ged_squared(samples, graders):
    """The definition for one image, pair by pair."""

    def mean_distance(first, second):
        distances = [1 - iou(a[None], b[None])[0] for a in first for b in second]
        return sum(distances) / len(distances)

    return (
        2 * mean_distance(samples, graders)
        - mean_distance(samples, samples)
        - mean_distance(graders, graders)
    )


def slow_hungarian_iou(matrix):
    """The best of all permutations."""
    size = math.lcm(*matrix.shape)
    rows = [n for n in range(matrix.shape[0]) for _ in range(size // matrix.shape[0])]
    columns = [g for g in range(matrix.shape[1]) for _ in range(size // matrix.shape[1])]
    return max(
        np.mean([matrix[n, g] for n, g in zip(rows, order, strict=True)])
        for order in itertools.permutations(columns)
    )


@settings(max_examples=40, deadline=None)
@given(sets(3), sets(2))
def test_ged_equals_its_definition_pair_by_pair(samples, graders):
    ged2, _ = agreement(samples, graders)
    expected = [slow_ged_squared(samples[:, i], graders[:, i]) for i in range(2)]
    np.testing.assert_allclose(ged2, expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 4), (2, 3), (3, 2), (6, 3), (4, 4)])
def test_matching_is_the_best_of_all_permutations(shape):
    cross = np.random.default_rng(1).random((3, *shape))
    expected = [slow_hungarian_iou(matrix) for matrix in cross]
    np.testing.assert_allclose(hungarian_iou(cross), expected, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(sets(4))
def test_equal_sets_have_no_distance_and_match_fully(segmentations):
    ged2, matched = agreement(segmentations, segmentations[::-1])
    np.testing.assert_allclose(ged2, 0, atol=1e-12)
    np.testing.assert_allclose(matched, 1)


@settings(max_examples=60, deadline=None)
@given(sets(4))
def test_repeating_a_set_changes_nothing(segmentations):
    samples = segmentations[:2]
    expected = agreement(samples, segmentations)
    repeated = agreement(np.concatenate([samples] * 4), segmentations)
    np.testing.assert_allclose(repeated, expected, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(sets(3), sets(4))
def test_ged_is_never_negative_and_matching_never_beats_the_best_single_match(samples, graders):
    ged2, matched = agreement(samples, graders)
    cross = pairwise_iou(samples, graders)
    assert (ged2 >= -1e-12).all()
    assert (matched <= cross.max(axis=2).mean(axis=1) + 1e-12).all()
    assert (matched >= cross.mean(axis=(1, 2)) - 1e-12).all()


def test_all_empty_sets_agree_fully():
    empty = np.zeros((5, 1, 8, 8), np.uint8)
    ged2, matched = agreement(empty, empty[:3])
    assert ged2 == [0.0]
    assert matched == [1.0]


def test_disjoint_point_sets_are_two_apart():
    samples, graders = np.zeros((2, 3, 1, 8, 8), np.uint8)
    samples[..., :4] = 1
    graders[..., 4:] = 1
    ged2, matched = agreement(samples, graders)
    assert ged2 == [2.0]
    assert matched == [0.0]


def test_half_of_the_samples_empty_matches_half_of_the_graders_empty():
    samples, graders = np.zeros((16, 1, 8, 8), np.uint8), np.zeros((4, 1, 8, 8), np.uint8)
    samples[::2, :, :4] = 1
    graders[:2, :, :4] = 1
    ged2, matched = agreement(samples, graders)
    assert ged2 == pytest.approx([0.0])
    assert matched == [1.0]
    samples[:] = 0  # 2·(1/2) - 0 - 1/2
    ged2, matched = agreement(samples, graders)
    assert ged2 == pytest.approx([0.5])
    assert matched == [0.5]


def test_absent_graders_are_as_if_they_did_not_exist():
    rng = np.random.default_rng(2)
    samples = rng.integers(0, 2, (6, 1, 4, 4), dtype=np.uint8)
    graders = rng.integers(0, 2, (4, 1, 4, 4), dtype=np.uint8)
    expected = agreement(samples, graders[[0, 1, 3]])
    graders[2] = IGNORED
    result = agreement(samples, graders, present=np.array([[True, True, False, True]]))
    np.testing.assert_allclose(result, expected)


def test_an_image_without_graders_has_no_scores():
    maps = np.zeros((2, 1, 4, 4), np.uint8)
    ged2, matched = agreement(maps, maps, present=np.zeros((1, 2), bool))
    assert np.isnan([ged2, matched]).all()


def test_without_self_pairs_the_samples_diversity_is_the_mean_over_different_pairs():
    segmentations = np.random.default_rng(6).integers(0, 2, (9, 1, 4, 4), dtype=np.uint8)
    samples, graders = segmentations[:5], segmentations[5:]
    among = pairwise_iou(samples, samples)
    matrices = pairwise_iou(samples, graders), among, pairwise_iou(graders, graders)
    different = [1 - among[0, i, j] for i in range(5) for j in range(5) if i != j]
    terms = energy_distance(*matrices, self_pairs=False)
    np.testing.assert_allclose(terms.among_samples, np.mean(different))
    with_pairs = energy_distance(*matrices)
    np.testing.assert_allclose(with_pairs.among_samples, np.mean(different) * (1 - 1 / 5))
    np.testing.assert_array_equal(with_pairs.ged_squared(), ged_squared(*matrices))
    np.testing.assert_array_equal(terms.to_graders, with_pairs.to_graders)


def test_leave_one_out_averages_the_comparisons_of_each_grader_with_the_others():
    graders = np.random.default_rng(3).integers(0, 2, (4, 2, 4, 4), dtype=np.uint8)
    result = leave_one_out(pairwise_iou(graders, graders))
    expected = [
        agreement(graders[[g]], graders[[other for other in range(4) if other != g]])
        for g in range(4)
    ]
    np.testing.assert_allclose(result, np.mean(expected, axis=0))


def test_leave_one_out_of_four_is_four_thirds_of_their_mean_distance():
    """2D for the pairs between, less the 6 of 9 pairs among the three others that are not equal."""
    graders = np.random.default_rng(4).integers(0, 2, (4, 5, 4, 4), dtype=np.uint8)
    among = pairwise_iou(graders, graders)
    mean_iou = (among.sum(axis=(1, 2)) - 4) / 12
    result = leave_one_out(among)
    np.testing.assert_allclose(result.ged2, 4 / 3 * (1 - mean_iou))
    np.testing.assert_allclose(result.hungarian_iou, mean_iou)


def test_leave_one_out_needs_two_graders():
    graders = np.random.default_rng(5).integers(0, 2, (3, 2, 4, 4), dtype=np.uint8)
    present = np.array([[True, False, False], [True, False, True]])
    result = leave_one_out(pairwise_iou(graders, graders), present)
    assert np.isnan(result.ged2[0])
    assert np.isnan(result.hungarian_iou[0])
    expected = leave_one_out(pairwise_iou(graders[[0, 2], 1:], graders[[0, 2], 1:]))
    np.testing.assert_allclose([result.ged2[1], result.hungarian_iou[1]], np.squeeze(expected))


def test_two_graders_drawn_as_samples_are_not_undercut_by_noise():
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 1, 32, 32)) < 0.3).astype(np.uint8)
    graders = np.stack([a, b])
    among = pairwise_iou(graders, graders)
    result = leave_one_out(among, num_samples=16)
    np.testing.assert_allclose(result.hungarian_iou, among[:, 0, 1])
    # the mean over many sets of 16 draws from the two graders
    drawn = [
        ged_squared(among[:, picks], among[:, picks][:, :, picks], among)
        for picks in rng.integers(0, 2, (4000, 16))
    ]
    np.testing.assert_allclose(result.ged2, np.mean(drawn), rtol=0.1)
    # samples of which none has a pixel in common with a grader or another sample
    apart = np.zeros((1, 16, 2)), np.eye(16)[None]
    noise = ged_squared(*apart, among)
    assert leave_one_out(among).ged2 > noise > result.ged2


def test_of_three_graders_one_stands_against_the_others():
    rng = np.random.default_rng(1)
    graders = (rng.random((3, 2, 8, 8)) < 0.5).astype(np.uint8)
    present = np.array([[True, True, True], [True, False, True]])
    among = pairwise_iou(graders, graders)
    before, after = leave_one_out(among, present), leave_one_out(among, present, 16)
    assert after.ged2[0] == before.ged2[0]
    distance = 1 - among[1, 0, 2]
    np.testing.assert_allclose(after.ged2[1], distance / 2 / 16)
