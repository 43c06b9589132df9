import numpy as np
import pytest
import scipy.spatial.distance
from hypothesis import given, settings
from hypothesis import strategies as st

from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics import iou
from hpunet_jax.metrics.gradings import Gradings


def maps(seed, count, images=3, classes=3, size=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, (count, images, size, size), dtype=np.uint8)


def everything(gradings, samples):
    """All arrays of scores, by name."""
    graded = gradings.agreement(samples)
    found = {f"model/{name}": values for name, values in graded.metrics.items()}
    found |= {f"levels/{name}": values for name, values in graded.levels._asdict().items()}
    found |= {f"human/{name}": values for name, values in gradings.human().metrics.items()}
    for label, metrics in graded.of_class.items():
        found |= {f"{label}/{name}": values for name, values in metrics.items()}
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 5),
    st.integers(2, 4),
    st.integers(2, 4),
    st.sampled_from(["one", "nan"]),
)
def test_what_samples_have_in_ignored_pixels_never_changes_any_score(
    seed, num_samples, graders, classes, absent
):
    rng = np.random.default_rng(seed)
    masks, samples = maps(seed, graders, 3, classes), maps(seed + 1, num_samples, 3, classes)
    masks[rng.random(masks.shape) < 0.15] = IGNORED
    noise = maps(seed + 2, num_samples, 3, classes)
    noise[rng.random(noise.shape) < 0.3] = IGNORED
    other = np.where((masks == IGNORED).any(axis=0), noise, samples)
    gradings = Gradings(masks, classes, absent)
    one, two = everything(gradings, samples), everything(gradings, other)
    assert len(one) >= 15
    for name, values in one.items():
        np.testing.assert_array_equal(two[name], values, name)
    padded = [
        np.pad(m, [(0, 0), (0, 0), (1, 2), (3, 0)], constant_values=v)
        for m, v in ((masks, IGNORED), (samples, 0))
    ]
    for name, values in everything(Gradings(padded[0], classes, absent), padded[1]).items():
        np.testing.assert_allclose(values, one[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("num_samples", "graders"), [(1, 1), (7, 3), (16, 4)])
def test_an_image_has_to_the_last_digit_the_same_scores_in_any_batch(num_samples, graders):
    masks, samples = maps(0, graders, 9), maps(1, num_samples, 9)
    masks[0, ::2] = IGNORED  # a grader who did not annotate these images
    together = everything(Gradings(masks, 3, "nan"), samples)
    for image in range(9):
        one = slice(image, image + 1)
        alone = everything(Gradings(masks[:, one], 3, "nan"), samples[:, one])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][image], name)


def test_dice_best_of_n_and_their_matching_equal_their_definitions_pair_by_pair():
    masks, samples = maps(0, 3, classes=2), maps(1, 3, classes=2)
    metrics = Gradings(masks, 2, "one").agreement(samples).metrics
    for image in range(3):
        dice = np.array(
            [
                [
                    1 - scipy.spatial.distance.dice(s[image].ravel() > 0, g[image].ravel() > 0)
                    for g in masks
                ]
                for s in samples
            ]
        )
        nearest = np.mean([max(dice[n, g] for n in range(3)) for g in range(3)])
        orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        matched = max(np.mean([dice[n, g] for g, n in enumerate(order)]) for order in orders)
        assert metrics["best_of_n"][image] == pytest.approx(nearest)
        assert metrics["matched_dice"][image] == pytest.approx(matched)


def test_ged_with_self_pairs_is_too_large_by_the_samples_distance_over_n():
    metrics = Gradings(maps(0, 3), 3, "one").agreement(maps(1, 5)).metrics
    bias = metrics["ged2"] - metrics["ged2_without_self_pairs"]
    np.testing.assert_allclose(bias, (1 - metrics["confidence"]) / 5)
    np.testing.assert_allclose(bias, metrics["among_samples"] / (1 - 1 / 5) / 5)


def test_frequencies_are_of_the_graders_who_annotated_the_image():
    masks, samples = maps(0, 3), maps(1, 4)
    expected = everything(Gradings(masks[:2], 3, "one"), samples)
    masks[2] = IGNORED
    found = everything(Gradings(masks, 3, "one"), samples)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-12, err_msg=name)


def test_volumes_beyond_what_float32_counts_are_counted_exactly(monkeypatch):
    """Pixels are counted piece by piece."""
    samples, masks = maps(2, 3, size=9), maps(3, 2, size=9)
    whole = iou.pairwise_class_iou(samples, masks, (1, 2))
    monkeypatch.setattr(iou, "_PIECE", 7)
    np.testing.assert_array_equal(iou.pairwise_class_iou(samples, masks, (1, 2)), whole)
