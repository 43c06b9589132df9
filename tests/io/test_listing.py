"""One rule for which files of a folder are images; results are kept apart from what is read."""

import pytest

from hpunet_jax.io import check_apart, find_images
from hpunet_jax.io.listing import name_of

CLUTTER = ["._a.png", ".hidden.png", ".DS_Store", "Thumbs.db", "desktop.ini", "~$a.png", "a.png~"]


def test_images_are_found_whatever_the_case_of_their_suffix_and_clutter_is_not(tmp_path):
    for name in ("b.PNG", "a.jpeg", "c.tif", "d.JPG", "e.TIFF", "notes.txt", *CLUTTER):
        (tmp_path / name).touch()
    for folder in ("deeper", "__MACOSX", "folder.png"):
        (tmp_path / folder).mkdir()
    found = find_images(tmp_path)
    assert [path.name for path in found.images] == ["a.jpeg", "b.PNG", "c.tif", "d.JPG", "e.TIFF"]
    assert [path.name for path in found.skipped] == ["deeper", "folder.png", "notes.txt"]
    assert found.note().startswith("3 skipped that are no image files here (deeper, folder.png,")
    assert find_images(tmp_path / "c.tif") == ([tmp_path / "c.tif"], [])
    assert find_images(tmp_path / "c.tif").note() == ""


def test_folders_without_images_and_names_that_collide_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no image files \(\.png, \.jpg"):
        find_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_images(tmp_path / "nothing")
    for name in ("a.jpeg", "a.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.png and a\.jpeg differ in their suffix only"):
        find_images(tmp_path)


def test_volumes_and_folders_of_dicom_series_are_images_by_their_names(tmp_path):
    for name in ("a.nii.gz", "b.NRRD", "c.h5", "d.raw"):
        (tmp_path / name).touch()
    for series, name in (("1.2.840", "IM0001"), ("scan", "x.dcm")):
        (tmp_path / series).mkdir()
        (tmp_path / series / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")  # lists them, as on a disc
    with pytest.raises(ValueError, match=r"DICOMDIR lists DICOM files .* give the folder of one"):
        find_images(tmp_path / "DICOMDIR")
    found = find_images(tmp_path)
    assert [name_of(path) for path in found.images] == ["1.2.840", "a", "b", "c", "scan"]
    assert [path.name for path in found.skipped] == ["d.raw"]
    assert find_images(tmp_path / "1.2.840").images == [tmp_path / "1.2.840"]
    (tmp_path / "scan" / "preview.png").touch()
    with pytest.raises(ValueError, match=r"holds DICOM files \(x\.dcm\) and other .*preview\.png"):
        find_images(tmp_path / "scan")


@pytest.mark.parametrize("out", ["images", "images/results", "images/../images", "link"])
def test_results_never_go_where_images_are_read_from(tmp_path, out):
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "link").symlink_to(images)
    with pytest.raises(ValueError, match=r"is where .*images is read from"):
        check_apart(tmp_path / out, images)
    for other in ("", "results", "images2"):
        check_apart(tmp_path / other, images)


def test_results_of_one_file_never_go_beside_it_or_over_it(tmp_path):
    image = tmp_path / "a.png"
    image.touch()
    for out in (tmp_path, image):
        with pytest.raises(ValueError, match=r"is where .*a\.png is read from"):
            check_apart(out, image)
    check_apart(tmp_path / "results", image)
