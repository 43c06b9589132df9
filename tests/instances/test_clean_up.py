import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hpunet_jax.instances import clean_up, renumber


def appendix_h(instances, erosion, neighbourhood, no_neighbour, background):
    """Appendix H sentence by sentence, with scipy's erosion."""
    square = np.ones((erosion, erosion))
    eliminated = [
        label
        for label in np.unique(instances)
        if label != background
        and not scipy.ndimage.binary_erosion(instances == label, square, border_value=0).any()
    ]
    painted, radius = instances.copy(), neighbourhood // 2
    for label in eliminated:
        for y, x in np.argwhere(painted == label):
            box = painted[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            values, counts = np.unique(box, return_counts=True)
            valid = (values != label) & (values != background)
            if valid.any():
                painted[y, x] = values[valid][np.argmax(counts[valid])]
            elif no_neighbour == "background":
                painted[y, x] = background
    return painted


@st.composite
def maps(draw):
    shape = draw(st.tuples(st.integers(1, 10), st.integers(1, 10)))
    scale = draw(st.integers(1, 4))
    coarse = draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 6)))
    return np.kron(coarse, np.ones((scale, scale), np.int32))


@settings(max_examples=150, deadline=None)
@given(
    maps(),
    st.tuples(
        st.integers(1, 6),
        st.sampled_from([1, 3, 5, 11]),
        st.sampled_from(["keep", "background"]),
        st.integers(0, 2),
    ),
)
def test_equals_appendix_h_sentence_by_sentence(instances, options):
    given_map = instances.copy()
    result = clean_up(instances, *options)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, appendix_h(instances, *options))
    np.testing.assert_array_equal(instances, given_map)
    far = 2**60  # of labels that differ by 1, float64 knows no difference there
    wide = clean_up(instances.astype(np.int64) + far, *options[:3], options[3] + far)
    np.testing.assert_array_equal(wide - far, result)


@pytest.mark.parametrize("no_neighbour", ["keep", "background"])
def test_equals_appendix_h_on_a_map_of_the_papers_kind(no_neighbour):
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(60, 80)), 3)
    instances = np.digitize(smooth, np.quantile(smooth, [0.3, 0.5, 0.7, 0.9])).astype(np.int32)
    specks = rng.random(instances.shape) < 0.05
    instances[specks] = rng.integers(5, 90, specks.sum())
    result = clean_up(instances, no_neighbour=no_neighbour)
    assert len(np.unique(result)) < 6 < len(np.unique(instances))
    np.testing.assert_array_equal(result, appendix_h(instances, 5, 11, no_neighbour, 0))


def test_a_cluster_survives_with_a_single_square_of_the_erosions_size():
    instances = np.ones((20, 20), int)
    instances[0:5, 15:20] = 2  # in a corner
    instances[10:15, 3:7] = 3  # a column too narrow
    assert set(np.unique(clean_up(instances))) == {1, 2}


def test_beyond_the_border_there_is_no_cluster():
    instances = np.ones((20, 20), int)
    instances[:4] = 2  # 4 rows at the border, 20 columns
    assert (clean_up(instances) == 1).all()


def test_background_does_not_count_as_a_neighbour_however_frequent():
    instances = np.zeros((11, 11), int)
    instances[5, 5] = 2
    instances[0:5, 6:11] = 7
    result = clean_up(instances)
    assert result[5, 5] == 7
    assert (result == 0).sum() == (instances == 0).sum()


def test_without_a_neighbour_pixels_stay_or_become_background():
    instances = np.zeros((30, 30), int)
    instances[4:6, 4:6] = 3
    np.testing.assert_array_equal(clean_up(instances, no_neighbour="keep"), instances)
    assert not clean_up(instances, no_neighbour="background").any()


def test_of_equally_frequent_neighbours_the_lowest_label_wins():
    instances = np.zeros((7, 13), int)
    instances[:, :6], instances[:, 7:] = 9, 4
    instances[3, 6] = 1
    assert clean_up(instances)[3, 6] == 4


def test_background_is_never_painted_over():
    instances = np.ones((20, 20), int)
    instances[:, 10] = 0  # a membrane
    instances[:, 11:] = 2
    np.testing.assert_array_equal(clean_up(instances), instances)


def test_an_all_background_image_stays_one():
    assert not clean_up(np.zeros((8, 8), np.int32)).any()
    assert clean_up(np.zeros((0, 5), np.int32)).shape == (0, 5)


@settings(max_examples=40, deadline=None)
@given(maps())
def test_survivors_keep_all_their_pixels(instances):
    result = clean_up(instances, erosion=3)
    for label in np.unique(instances):
        square = scipy.ndimage.binary_erosion(instances == label, np.ones((3, 3))).any()
        if square or label == 0:
            assert (result[instances == label] == label).all()


@pytest.mark.parametrize(
    ("instances", "options", "sentence"),
    [
        (np.zeros((2, 4, 4), int), {}, r"shape \(2, 4, 4\): expected integers \[H, W\]"),
        (np.zeros((4, 4)), {}, "instances are float64"),
        (np.zeros((4, 4), int), {"erosion": 0}, "erosion must be .* of 1 or more, not 0"),
        (np.zeros((4, 4), int), {"erosion": 2.5}, "erosion must be an integer"),
        (np.zeros((4, 4), int), {"neighbourhood": 10}, "neighbourhood must be an odd .* not 10"),
        (np.zeros((4, 4), int), {"no_neighbour": "drop"}, "'keep', 'background'"),
        (np.ones((4, 4), np.uint8), {"background": 300}, "background must be .* from 0 to 255"),
    ],
)
def test_arguments_that_make_no_sense_are_named(instances, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        clean_up(instances, **options)


def test_instances_are_numbered_without_gaps():
    instances = np.array([[0, 7, 900], [70000, 7, 0]])
    result = renumber(instances, np.uint8)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, [[0, 1, 2], [3, 1, 0]])
    assert not renumber(np.zeros((3, 3), int)).any()
    np.testing.assert_array_equal(renumber(np.array([5, 5, 9])), [1, 1, 2])


def test_more_instances_than_the_type_holds_are_refused():
    instances = np.arange(257).reshape(1, -1)
    with pytest.raises(ValueError, match="256 instances, but uint8 can number 255 only"):
        renumber(instances, np.uint8)
    assert renumber(instances, np.uint16).max() == 256
