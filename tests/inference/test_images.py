"""Ordinary image files: what is read, what is refused, and how sizes are padded."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from hpunet_jax.inference.images import find_images, pad_to_multiple, read_image

GREY = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_grey_and_rgb_files_of_all_kinds_are_read(tmp_path):
    for suffix in (".png", ".tif"):
        np.testing.assert_array_equal(
            read_image(save(tmp_path / f"g{suffix}", GREY), 1), GREY[..., None]
        )
        np.testing.assert_array_equal(read_image(save(tmp_path / f"c{suffix}", RGB), 3), RGB)
        sixteen = GREY.astype(np.uint16) * 200
        read = read_image(save(tmp_path / f"s{suffix}", sixteen), 1)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read[..., 0], sixteen)
    jpeg = read_image(save(tmp_path / "c.jpg", RGB, quality=100, subsampling=0), 3)
    assert np.abs(jpeg.astype(int) - RGB).mean() < 3
    bits = read_image(save(tmp_path / "b.png", GREY > 100), 1)
    np.testing.assert_array_equal(bits[..., 0], 255 * (GREY > 100))
    few = RGB // 64 * 64
    palette = Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "p.png", 3), np.array(palette.convert("RGB"))
    )


def test_grey_becomes_rgb_and_rgb_becomes_grey_only_where_it_is_grey(tmp_path):
    grey = save(tmp_path / "grey.png", GREY)
    np.testing.assert_array_equal(read_image(grey, 3), GREY[..., None].repeat(3, axis=-1))
    stored_as_rgb = save(tmp_path / "rgb.png", GREY[..., None].repeat(3, axis=-1))
    np.testing.assert_array_equal(read_image(stored_as_rgb, 1), GREY[..., None])
    with pytest.raises(ValueError, match=r"colours\.png has colours, .* 1 channel\(s\)"):
        read_image(save(tmp_path / "colours.png", RGB), 1)


def test_an_opaque_transparency_is_left_out_and_another_refused(tmp_path):
    alpha = np.full((5, 7, 1), 255, np.uint8)
    path = save(tmp_path / "a.png", np.concatenate([RGB, alpha], axis=-1))
    np.testing.assert_array_equal(read_image(path, 3), RGB)
    alpha[0, 0] = 3
    with pytest.raises(ValueError, match=r"t\.png is transparent"):
        read_image(save(tmp_path / "t.png", np.concatenate([RGB, alpha], axis=-1)), 3)


def test_turned_photographs_are_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    path = save(tmp_path / "turned.png", RGB, exif=exif)
    np.testing.assert_array_equal(read_image(path, 3), np.rot90(RGB, -1))


def test_files_that_do_not_fit_are_named(tmp_path):
    broken = save(tmp_path / "broken.png", GREY.repeat(50, axis=0))
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 255
    broken.write_bytes(data)
    cut = save(tmp_path / "cut.jpg", RGB.repeat(50, axis=0))
    cut.write_bytes(cut.read_bytes()[: -len(cut.read_bytes()) // 2])
    text = tmp_path / "text.png"
    text.write_text("no image")
    pages = tmp_path / "pages.tif"
    Image.fromarray(GREY).save(pages, save_all=True, append_images=[Image.fromarray(GREY)])
    floats = save(tmp_path / "floats.tif", GREY.astype(np.float32))
    for path, message in (
        (broken, "is damaged"),
        (cut, "is damaged"),
        (text, "is damaged or no image"),
        (pages, "has 2 pages"),
        (floats, "has pixels of the kind F: expected grey"),
    ):
        with pytest.raises(ValueError, match=f"{path.name} {message}"):
            read_image(path, 1)


def test_a_folder_gives_its_images_sorted_and_a_file_itself(tmp_path):
    for name in ("b.PNG", "a.jpeg", "c.tif", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["a.jpeg", "b.PNG", "c.tif"]
    assert find_images(tmp_path / "c.tif") == [tmp_path / "c.tif"]
    with pytest.raises(FileNotFoundError, match="holds no image files"):
        find_images(tmp_path / "deeper")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_images(tmp_path / "nothing")
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"a\.png and a\.jpeg differ in their suffix only"):
        find_images(tmp_path)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 8, 32])
)
def test_padding_continues_the_image_by_its_mirror_image_and_is_cut_off_again(
    height, width, multiple
):
    image = np.random.default_rng(0).uniform(size=(height, width, 2))
    padded, inside = pad_to_multiple(image, multiple)
    for length, original in zip(padded.shape[:2], image.shape[:2], strict=True):
        assert length % multiple == 0
        assert 0 <= length - original < multiple
    np.testing.assert_array_equal(padded[inside], image)
    top = inside[0].start
    if 0 < top <= height:
        np.testing.assert_array_equal(padded[:top, inside[1]], image[:top][::-1])
