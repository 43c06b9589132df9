"""The XML reader on files by LIDC's schema, by hand and of real readings."""

import itertools

import numpy as np
import pytest

from hpunet_jax.data.lidc.lesions import bounding_box, group_lesions, lesion_masks
from hpunet_jax.data.lidc.readings import read_scans
from hpunet_jax.data.lidc.xml import read_markup, read_series_uid


def nodule(lidc_files, x, y, size, z=0.0, inclusion=True, number=None):
    return (z, inclusion, lidc_files.square(x, y, size), number)


def test_outlines_are_read_with_positions_inclusion_and_images(tmp_path, lidc_files):
    roi = nodule(lidc_files, 10, 20, 5, z=-12.5, number=3)
    hole = nodule(lidc_files, 12, 22, 2, z=-12.5, inclusion=False, number=3)
    path = lidc_files.markup(tmp_path / "a.xml", 7, [[[roi, hole]], [], [], []])
    markup = read_markup(path)
    assert read_series_uid(path) == markup.series == f"{lidc_files.PREFIX}7"
    assert markup.images == {-12.5: (f"{lidc_files.PREFIX}7.3",)}
    ((reading,), *others) = markup.sessions
    assert others == [[], [], []]
    assert [contour.inclusion for contour in reading.contours] == [True, False]
    assert [contour.z for contour in reading.contours] == [-12.5, -12.5]
    np.testing.assert_array_equal(reading.contours[0].points, roi[2])
    assert reading.ratings == {"subtlety": 4, "calcification": 4, "texture": 4}


def test_centres_and_non_nodules_are_disregarded_but_counted(tmp_path, lidc_files):
    point = (5.0, True, [(30, 40)], None)
    sessions = [[[point], [nodule(lidc_files, 0, 0, 5), point]], [[point]], [], []]
    markup = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions, non_nodules=2))
    assert (markup.num_points, markup.num_non_nodules) == (2, 8)
    (lesion,) = markup.lesions()
    assert lesion.slices == [0.0]  # the single point at 5 mm is no outline


def test_lesions_know_who_drew_them_also_in_pieces(tmp_path, lidc_files):
    left, right = nodule(lidc_files, 0, 0, 8), nodule(lidc_files, 12, 0, 8)
    whole, far = nodule(lidc_files, 0, 0, 20), nodule(lidc_files, 200, 0, 8)
    sessions = [[[far]], [[left], [right]], [], [[whole]]]
    lesions = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions)).lesions()
    drawn = [[[r.number for r in g] for g in lesion.graders] for lesion in lesions]
    assert drawn == [[[0], [], [], []], [[], [1, 2], [], [3]]]
    masks = lesion_masks(lesions[1], 0.0, pixel_spacing=0.5)
    assert masks.sum(axis=(0, 1)).tolist() == [0, 2 * 7 * 7, 0, 19 * 19]


def test_sessions_without_outlines_beyond_four_are_left_out(tmp_path, lidc_files):
    drawn, point = nodule(lidc_files, 0, 0, 8), (5.0, True, [(30, 40)], None)
    sessions = [[[drawn]], [], [[drawn]], [[point]], [[drawn]], [[point]], [[drawn]], []]
    (lesion,) = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions)).lesions()
    assert [len(readings) for readings in lesion.graders] == [1, 1, 1, 1]
    (lesion,) = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions[:5])).lesions()
    assert [len(readings) for readings in lesion.graders] == [1, 0, 1, 1]


def test_a_scan_of_three_sessions_has_three_graders(tmp_path, lidc_files):
    sessions = [[[nodule(lidc_files, 0, 0, 8)]], [], []]
    markup = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions))
    assert len(markup.graders()) == 3
    assert [len(readings) for readings in markup.lesions()[0].graders] == [1, 0, 0]


@pytest.mark.parametrize("count", [0, 5])
def test_no_sessions_and_more_than_four_with_outlines_are_refused(tmp_path, lidc_files, count):
    sessions = [[[nodule(lidc_files, 0, 0, 8)]]] * count
    markup = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, sessions))
    with pytest.raises(ValueError, match=f"has {count} reading sessions.*; expected 4"):
        markup.lesions()


def test_other_and_damaged_files_are_named(tmp_path, lidc_files):
    path = lidc_files.markup(tmp_path / "a.xml", 1, [[[nodule(lidc_files, 0, 0, 5)]]] * 4)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    assert read_series_uid(path) == f"{lidc_files.PREFIX}1"  # its beginning is whole
    with pytest.raises(ValueError, match=r"a\.xml is damaged or no XML file"):
        read_markup(path)
    path.write_text(text[:30])
    with pytest.raises(ValueError, match=r"a\.xml is damaged or no XML file"):
        read_series_uid(path)
    for old, new, words in (
        ("imageZposition", "position", "roi has no imageZposition"),
        ("<xCoord>0<", "<xCoord>?<", "invalid literal"),
        ("<xCoord>0<", "<xCoord>10000000000<", ".* out of bounds"),
        ("TRUE", "yes", "inclusion is yes; expected TRUE or FALSE"),
        ("SeriesInstanceUid", "Uid", "ResponseHeader has no SeriesInstanceUid"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=rf"a\.xml does not follow LIDC's schema: {words}"):
            read_markup(path)


def test_readings_of_chest_x_rays_belong_to_no_ct_scan(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<IdriReadMessage><CXRSeriesInstanceUid>1</CXRSeriesInstanceUid>")
    assert read_series_uid(path) is None
    path.write_text("<manifest><file/></manifest>")
    assert read_series_uid(path) is None
    with pytest.raises(ValueError, match="is a manifest; expected a LidcReadMessage"):
        read_markup(path)


def test_two_images_marked_at_one_position_are_both_known(tmp_path, lidc_files):
    """As in LIDC-IDRI-0017 and -0659; the one that more outlines lie on comes first."""
    one, two = (nodule(lidc_files, 0, 0, 5, number=number) for number in (1, 2))
    path = lidc_files.markup(tmp_path / "a.xml", 1, [[[one]], [[two]], [[two]], []])
    markup = read_markup(path)
    assert markup.images == {0.0: (f"{lidc_files.PREFIX}1.2", f"{lidc_files.PREFIX}1.1")}
    (lesion,) = markup.lesions()
    assert lesion_masks(lesion, 0.0, 0.5).any(axis=(0, 1)).tolist() == [True, True, True, False]


def test_an_image_has_one_position_however_it_is_rounded(tmp_path, lidc_files):
    rois = [nodule(lidc_files, 0, 0, 5, z=z, number=4) for z in (-166.139999, -166.14)]
    markup = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, [[[roi]] for roi in rois]))
    (lesion,) = markup.lesions()
    assert lesion.slices == [-166.139999]
    assert lesion_masks(lesion, -166.139999, 0.5).any(axis=(0, 1)).sum() == 2


def test_a_decimal_comma_is_read_and_a_position_that_is_no_number_is_refused(tmp_path, lidc_files):
    path = lidc_files.markup(tmp_path / "a.xml", 1, [[[nodule(lidc_files, 0, 0, 5, z=-285.7)]]])
    text = path.read_text()
    path.write_text(text.replace("-285.700000", "-285,7"))
    assert read_markup(path).lesions()[0].slices == [-285.7]
    path.write_text(text.replace("-285.700000", "nan"))
    with pytest.raises(ValueError, match=r"a\.xml does not follow.*imageZposition is nan"):
        read_markup(path)


def test_files_that_differ_in_their_header_only_say_the_same(tmp_path, lidc_files):
    sessions = [[[nodule(lidc_files, 0, 0, 5)]], [], [], []]
    path = lidc_files.markup(tmp_path / "a.xml", 1, sessions)
    markup = read_markup(path)
    text = path.read_text()
    path.write_text(text.replace('uid="1.3.6"', 'uid="1.3.7"').replace("1.8.1", "1.7"))
    assert markup.is_same(read_markup(path))
    path.write_text(text.replace("<xCoord>5<", "<xCoord>6<", 1))
    assert not markup.is_same(read_markup(path))


@pytest.fixture(scope="module")
def scans():
    return {scan.number: scan for scan in read_scans()}


def sessions_of(readings):
    """Cuts a scan's readings into radiologists: nobody's own readings overlap."""
    sessions = [[]]
    for reading in readings:
        low, high = bounding_box(reading)
        boxes = map(bounding_box, sessions[-1])
        if any(np.all(low <= b) and np.all(a <= high) for a, b in boxes):
            sessions.append([])
        sessions[-1].append(reading)
    return sessions + [[] for _ in range(4 - len(sessions))]


def sorted_planes(masks):
    """Masks in an order that does not depend on the graders'."""
    return sorted(masks[..., k].tobytes() for k in range(masks.shape[-1]))


@pytest.mark.parametrize("number", [1, 23, 71, 77])
def test_real_readings_written_as_xml_give_the_lesions_of_the_data_base(
    tmp_path, lidc_files, scans, number
):
    scan = scans[number]
    sessions = sessions_of(scan.readings)
    assert len(sessions) == 4
    rois = [
        [[(c.z, c.inclusion, c.points.tolist(), None) for c in r.contours] for r in session]
        for session in sessions
    ]
    lesions = read_markup(lidc_files.markup(tmp_path / "a.xml", 1, rois)).lesions()
    expected = group_lesions(scan.readings)
    assert len(lesions) == len(expected)

    def by_place(found):
        return sorted(found, key=lambda lesion: (lesion.centre, lesion.slices))

    for lesion, other in zip(by_place(lesions), by_place(expected), strict=True):
        assert (lesion.centre, lesion.slices) == (other.centre, other.slices)
        assert len(lesion.readings) == len(other.readings)
        for z in lesion.slices:
            masks = [lesion_masks(one, z, scan.pixel_spacing) for one in (lesion, other)]
            assert sorted_planes(masks[0]) == sorted_planes(masks[1])
            assert masks[0].any()
    drawn = list(itertools.chain(*(lesion.readings for lesion in expected)))
    assert len(drawn) == len(scan.readings)
