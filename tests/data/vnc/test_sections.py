"""Sections of the ventral nerve cord: finding files, profiles, half the resolution, patches."""

import numpy as np
import pytest
import skimage.io

from hpunet_jax.data.vnc import sections


def test_sections_are_found_as_published_and_read_at_a_quarter_of_their_size(
    write_sections, tmp_path
):
    image, labels = write_sections(tmp_path / "groundtruth" / "stack1")
    found = sections.find_sections(tmp_path)
    assert [path.image.name for path in found] == [f"{n:02d}.tif" for n in range(20)]
    pixels, instances = sections.read_section(found[7])
    assert pixels.shape == (256, 256, 1)
    assert pixels.dtype == np.uint8
    means = image.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    assert np.abs(pixels[..., 0] - means).max() <= 0.5
    np.testing.assert_array_equal(instances == 0, (labels <= 128)[2::4, 2::4])
    assert len(np.unique(instances)) == 1 + 16 * 16  # a mitochondrion makes no profile of its own
    assert (instances[::16, ::16] == 0).all()
    assert (instances[4:16, 4:16] == instances[10, 10]).all()


@pytest.mark.parametrize("kind", ["nothing", "twice", "lacks", "same number"])
def test_what_is_not_the_download_is_named(write_sections, tmp_path, kind):
    if kind == "nothing":
        (tmp_path / "labels").mkdir()
    else:
        write_sections(
            tmp_path / "a", "images", ".png", range(20) if kind != "lacks" else range(19)
        )
    if kind == "twice":
        (tmp_path / "b" / "raw").mkdir(parents=True)
        (tmp_path / "b" / "labels").mkdir()
    if kind == "same number":
        (tmp_path / "a" / "images" / "3.png").write_bytes(b"")
    said = {
        "nothing": "no folder `labels` with `raw`",
        "twice": "more than once",
        "lacks": r"lacks the sections 19 of 0 to 19",
        "same number": r"03\.png and .*3\.png have the same number|3\.png and .*03\.png",
    }
    with pytest.raises((FileNotFoundError, ValueError), match=said[kind]):
        sections.find_sections(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((1024, 1024), 17, np.uint8), "has the label 17"),
        (np.full((512, 1024), 255, np.uint8), r"labels \(512, 1024\)"),
    ],
)
def test_labels_of_another_kind_are_refused(write_sections, tmp_path, pixels, said):
    write_sections(tmp_path, numbers=[0])
    section = sections.Section(
        tmp_path / "raw" / "00.tif", tmp_path / "labels" / "labels00000000.png"
    )
    skimage.io.imsave(section.labels, pixels, check_contrast=False)
    with pytest.raises(ValueError, match=said):
        sections.read_section(section)
