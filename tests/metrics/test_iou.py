import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.iou import iou, pairwise_iou


def label_maps(count, values=(0, 1, 2, IGNORED), images=2):
    return hnp.arrays(np.uint8, (count, images, 3, 4), elements=st.sampled_from(values))


def slow_iou(a, b, classes, absent, ignore):
    """The definition, pixel by pixel."""
    scores = []
    for label in classes:
        intersection = union = 0
        for pixel_a, pixel_b, ignored in zip(a.flat, b.flat, ignore.flat, strict=True):
            if IGNORED in (pixel_a, pixel_b) or ignored:
                continue
            intersection += pixel_a == label and pixel_b == label
            union += pixel_a == label or pixel_b == label
        if union:
            scores.append(intersection / union)
        elif absent == "one":
            scores.append(1.0)
    return np.mean(scores) if scores else np.nan


@settings(max_examples=60, deadline=None)
@given(
    label_maps(3),
    label_maps(2),
    hnp.arrays(bool, (2, 3, 4)),
    st.sampled_from(["one", "nan"]),
)
def test_equals_the_definition_evaluated_pixel_by_pixel(a, b, ignore, absent):
    result = pairwise_iou(a, b, classes=(1, 2), absent=absent, ignore=ignore)
    assert result.shape == (2, 3, 2)
    for image, n, g in np.ndindex(result.shape):
        expected = slow_iou(a[n, image], b[g, image], (1, 2), absent, ignore[image])
        np.testing.assert_allclose(result[image, n, g], expected, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(label_maps(3), label_maps(2))
def test_is_symmetric_and_between_0_and_1(a, b):
    result = pairwise_iou(a, b, classes=(1, 2))
    np.testing.assert_array_equal(result, pairwise_iou(b, a, classes=(1, 2)).swapaxes(1, 2))
    assert (result >= 0).all()
    assert (result <= 1).all()


@settings(max_examples=60, deadline=None)
@given(label_maps(1, values=(0, 1, 2)))
def test_a_map_agrees_fully_with_itself(a):
    np.testing.assert_array_equal(pairwise_iou(a, a, classes=(1, 2)), np.ones((2, 1, 1)))


def test_of_two_overlapping_squares_is_the_ratio_of_areas():
    a, b = np.zeros((2, 1, 20, 20), np.uint8)
    a[0, 2:12, 2:12] = 1
    b[0, 7:17, 2:12] = 1
    assert iou(a, b) == pytest.approx([50 / 150])


def test_the_background_never_counts():
    a, b = np.zeros((2, 1, 100, 100), np.uint8)
    a[0, 0, 0] = b[0, 0, 1] = 1
    assert iou(a, b) == [0.0]


def test_a_correctly_predicted_absence_counts_as_one():
    empty = np.zeros((1, 8, 8), np.uint8)
    assert iou(empty, empty) == [1.0]


def test_nan_mean_leaves_out_correct_absences_and_penalises_wrong_ones():
    truth = np.array([[[1, 1, 0, 0]]])
    assert iou(truth, truth, classes=(1, 2, 3), absent="nan") == [1.0]
    wrongly_present = np.array([[[1, 1, 2, 0]]])
    assert iou(wrongly_present, truth, classes=(1, 2, 3), absent="nan") == [0.5]
    wrongly_absent = np.array([[[1, 1, 0, 0]]])
    assert iou(wrongly_absent, wrongly_present, classes=(1, 2), absent="nan") == [0.5]
    assert np.isnan(iou(0 * truth, 0 * truth, classes=(1, 2), absent="nan")).all()


def test_only_the_stochastic_classes_enter():
    a = np.array([[[1, 1, 19, 19, 20, 0]]])
    b = np.array([[[0, 0, 19, 19, 20, 20]]])
    assert iou(a, b, classes=(19, 20)) == [0.75]


def test_what_lies_in_ignored_pixels_makes_no_difference():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 3, 2, 8, 8), dtype=np.uint8)
    ignore = rng.random((2, 8, 8)) < 0.3
    scribbled = np.where(ignore, 1 - a, a)
    labelled = np.where(ignore, IGNORED, b)
    expected = pairwise_iou(a, b, ignore=ignore)
    np.testing.assert_array_equal(pairwise_iou(scribbled, b, ignore=ignore), expected)
    np.testing.assert_array_equal(pairwise_iou(scribbled, labelled), expected)
    assert (pairwise_iou(a, b) != expected).any()


def test_areas_beyond_the_exact_integers_of_half_precision_are_exact():
    a, b = np.zeros((2, 1, 512, 1024), np.uint8)
    a[:] = 1
    b[:] = 1
    b[0, 0, 0] = 0
    assert iou(a, b) == [(512 * 1024 - 1) / (512 * 1024)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"b": np.zeros((2, 1, 4, 5), int)}, "of the same images"),
        ({"ignore": np.zeros((4, 4), bool)}, "the ignore mask has shape"),
        ({"absent": "zero"}, "expected 'one' or 'nan'"),
        ({"classes": ()}, "at least one foreground class"),
        ({"classes": range(1, 256)}, "not 255"),
        ({"a": np.full((2, 1, 4, 4), 0.5)}, "a must be integers or bools"),
        ({"b": np.full((2, 1, 4, 4), -1)}, "b holds the label -1 .* and 255"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, sentence):
    maps = np.zeros((2, 1, 4, 4), int)
    with pytest.raises(ValueError, match=sentence):
        pairwise_iou(**{"a": maps, "b": maps, **arguments})
