"""What the benchmarks print of real slices, and of models on them."""

import numpy as np
import pytest

from benchmarks.real_slices import drawn_gradings, measure, outside_of_others
from benchmarks.simulated_and_real import bright_cores, heights
from benchmarks.unlike_images import auroc


def test_the_figures_of_a_slice_are_counted_by_hand():
    masks = np.zeros((2, 16, 16, 4), np.uint8)
    masks[0, 2:6, 2:6, :2] = 1  # half of the graders: the majority of the first slice
    masks[1, 2:6, 2:6, 0] = 1  # one of four: none of the second
    samples = np.zeros((4, 2, 16, 16), np.uint8)
    samples[:3, 0, 2:6, 2:4] = 1  # within, in three of four: the mean is half of the majority
    samples[0, 0, 9:12, 0:4] = 1  # 12 pixels outside every outline
    samples[1, 0, 9, 0:10] = 1  # 10 are still a radiologist's line width
    found = measure(samples, masks)
    assert found == {
        "outside": 1 / 8,
        "outside_of_others": 1 / 8,
        "iou": 0.5,
        "inside": 3 / 8,  # three of four samples have half of the majority's pixels
        "inside_at_best": 3 / 8,
        "touching": 3 / 8,
        "empty": 5 / 8,
        "empty_gradings": 5 / 8,
    }
    assert np.isnan(measure(samples[:, 1:], masks[1:])["iou"])


def test_a_radiologist_is_held_against_the_others_as_a_sample_is():
    masks = np.zeros((1, 16, 16, 4), np.uint8)
    masks[0, 2:8, 2:8, 0] = 1  # 36 pixels
    masks[0, 2:8, 2:6, 1] = 1  # 24 of them
    own = np.moveaxis(masks, -1, 0)[:, None]
    assert outside_of_others(own, masks) == 1 / 4  # the first, by 12 pixels
    sample = masks[None, ..., 0].copy()  # beyond the others, where the first is left out
    assert outside_of_others(sample[None], masks) == 1 / 4
    sample[0, 0, 10:12, 2:8] = 1  # 12 pixels that nobody drew
    assert outside_of_others(sample[None], masks) == 1.0


def test_gradings_drawn_by_lot_have_the_shares_of_the_radiologists():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (3, 8, 8, 4), np.uint8)
    drawn = drawn_gradings(rng, masks, 4000)
    np.testing.assert_allclose(drawn.mean(axis=0), masks.mean(axis=-1), atol=0.04)
    graders = np.moveaxis(masks, -1, 0)  # of each slice, each is one radiologist's, whole
    assert (drawn[:, None] == graders[None]).all(axis=(-2, -1)).any(axis=1).all()
    assert measure(drawn, masks)["outside"] == 0


def test_the_bright_core_of_a_lesion_is_found_among_vessels_and_faint_lesions():
    masks = np.zeros((3, 48, 48, 4), np.uint8)
    masks[:, 18:28, 18:28, 1:] = 1
    images = np.full((3, 48, 48), -850.0)
    images[0, 20:26, 20:26] = 0.0  # within the outline
    images[0, 24, 26:36] = -600.0  # a vessel, below half way
    images[1, 16:28, 18:28] = 0.0  # beyond it
    images[1, 30:32, 30:32] = 100.0  # bright, but not a part of it
    images[2, 18:28, 18:28] = -650.0  # does not stand out
    sizes, shares = bright_cores(images, masks)
    np.testing.assert_allclose(sizes, [0.36, 1.2])
    np.testing.assert_allclose(shares, [0.36, 1.0])
    np.testing.assert_allclose(heights(images, masks), [0.36 * 850 + 0.02 * 250, 850, 200])


def test_the_auroc_is_the_share_of_pairs_in_order():
    usual, other = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    pairs = [(b > a) + 0.5 * (b == a) for a in usual for b in other]
    assert auroc(usual, other) == pytest.approx(np.mean(pairs))
    assert auroc(usual, usual) == 0.5
