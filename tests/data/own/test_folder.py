import numpy as np
import pytest
from PIL import Image

from hpunet_jax.data.own.folder import (
    find_images,
    find_parts,
    fit,
    read_image,
    read_mask,
    read_masks,
)
from hpunet_jax.tasks.crop import centre_crop


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "train/images/p/a.png", rng.integers(0, 256, (6, 8), np.uint8))
    for grader in (1, 5):
        save(tmp_path / f"train/gt/p/a_l{grader}.png", np.full((6, 8), grader, np.uint8))
    return lambda: find_parts(tmp_path)["train"]


def test_graders_who_did_not_annotate_are_planes_to_ignore(files):
    (crop,), problems = find_images(files())
    assert problems == []
    masks = read_masks(files(), crop, [0, 1, 5, 7], (6, 8))
    assert masks.shape == (6, 8, 4)
    assert [set(np.unique(masks[..., k])) for k in range(4)] == [{255}, {1}, {5}, {255}]


def test_grey_rgb_and_16_bit_images_keep_their_values(tmp_path, files):
    rng = np.random.default_rng(1)
    for shape, dtype in (((6, 8), np.uint8), ((6, 8), np.uint16), ((6, 8, 3), np.uint8)):
        pixels = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype)
        save(tmp_path / "train/images/p/a.png", pixels)
        image = read_image(files(), "images/p/a.png").array
        np.testing.assert_array_equal(image, pixels.reshape(6, 8, -1), strict=True)


def test_masks_of_one_bit_have_the_classes_0_and_1(tmp_path, files):
    mask = np.eye(6, 8, dtype=bool)
    save(tmp_path / "train/gt/p/a_l1.png", Image.fromarray(mask))
    found = read_mask(files(), "gt/p/a_l1.png").array
    np.testing.assert_array_equal(found, mask.astype(np.uint8), strict=True)


def test_grey_masks_stored_as_colours_are_read_and_true_colours_refused(tmp_path, files):
    mask = np.full((6, 8, 3), 2, np.uint8)
    save(tmp_path / "train/gt/p/a_l1.png", mask)
    assert (read_mask(files(), "gt/p/a_l1.png").array == np.full((6, 8), 2)).all()
    mask[0, 0, 0] = 3
    save(tmp_path / "train/gt/p/a_l1.png", mask)
    with pytest.raises(ValueError, match=r"train/gt/p/a_l1\.png has colours: expected grey"):
        read_mask(files(), "gt/p/a_l1.png")


def test_a_folder_without_parts_says_where_images_belong(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match="none of the folders train, val, test; expected"):
        find_parts(tmp_path)


@pytest.mark.parametrize("size", [(4, 5), (5, 4), (7, 8), (3, 9)])
def test_fitting_crops_the_middle_and_pads_evenly(size):
    pixels = np.arange(5 * 7 * 2, dtype=np.uint8).reshape(5, 7, 2)
    fitted = fit(pixels, size, 255)
    assert fitted.shape == (*size, 2)
    kept = tuple(map(min, size, (5, 7)))
    inner = fit(fitted, kept, 0)
    np.testing.assert_array_equal(inner, centre_crop(pixels[None], kept)[0], strict=True)
    outside = size[0] * size[1] - kept[0] * kept[1]
    assert (fitted == 255).sum() == 2 * outside
