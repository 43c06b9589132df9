import itertools

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow_datasets")

from configs import own_data as own_config
from hpunet_jax.augmentation import Augmentation
from hpunet_jax.data import pipeline
from hpunet_jax.data.fingerprint import fingerprint
from hpunet_jax.data.windows import Windows
from hpunet_jax.labels import IGNORED
from hpunet_jax.tasks.crop import centre_crop

SIZES = ((40, 30), (17, 50), (9, 12))  # the last is smaller than the crop


def image_of(height, width):
    """Every pixel says where it is: (row, column, rows)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(y, height)], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of several sizes; one pixel of each is marked, by one grader or by both."""
    folder = tmp_path_factory.mktemp("own")
    for part in ("train", "test"):
        for number, (height, width) in enumerate(SIZES):
            masks = np.zeros((height, width, 2), np.uint8)
            masks[height - 2, 3, : 1 + number % 2] = 1
            masks[0, 0] = IGNORED
            for grader in range(2):
                path = folder / part / f"gt/{number}_l{grader}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(masks[..., grader]).save(path)
            path = folder / part / f"images/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.roll(image_of(height, width), part == "test", axis=-1)).save(path)
    return folder


@pytest.fixture(scope="module")
def builder(folder):
    config = own_config.get_config()
    config.data.dir, config.model.image_channels = str(folder), 3
    config.data.foreground = 1
    return pipeline.open_data_set(config)


def test_examples_of_several_sizes_are_shown_together(builder):
    shown = pipeline.examples_at(builder, "test", [0, 1, 2])
    assert shown["image"].shape == (3, 40, 50, 3)
    assert shown["masks"].shape == (3, 40, 50, 2)
    assert (shown["masks"][..., 0] != IGNORED).sum() == sum(h * w - 1 for h, w in SIZES)


def windows_of(share, margin=0):
    return Windows((16, 16), (16 + margin, 16 + margin), share)


def batches(builder, windows, **arguments):
    return pipeline.train_batches(
        builder, **{"batch_size": 6, "seed": 7, "windows": windows} | arguments
    )


def test_images_of_several_sizes_are_stored_as_they_are(builder):
    stored = list(pipeline.eval_batches(builder, split="test", batch_size=1))
    assert sorted(batch["image"].shape[1:3] for batch in stored) == sorted(SIZES)
    for batch in stored:
        height, width = batch["image"].shape[1:3]
        np.testing.assert_array_equal(
            batch["image"][0], np.roll(image_of(height, width), 1, axis=-1)
        )
        assert batch["masks"].shape == (1, height, width, 2)
    assert len(fingerprint(builder)) == 16


def test_windows_are_parts_of_their_images_and_masks_are_ignored_beyond(builder):
    windows = windows_of(0.5, margin=10)
    for batch in itertools.islice(batches(builder, windows), 4):
        assert batch["image"].shape == (6, 26, 26, 3)
        for image, masks in zip(batch["image"], batch["masks"], strict=True):
            height = image[0, 0, 2]
            width = dict(SIZES)[height]
            inside = masks[..., 0] != IGNORED
            inside |= (image[..., 0] == 0) & (image[..., 1] == 0)  # ignored by its graders
            y, x = image[..., 0].astype(int), image[..., 1].astype(int)
            # neighbours are neighbours, also across the border, where the image turns back
            assert (np.abs(np.diff(y, axis=0)) <= 1).all()
            assert (np.abs(np.diff(x, axis=1)) <= 1).all()
            assert y.max() < height
            assert x.max() < width
            marked = masks[..., 0] == 1
            assert (y[marked] == height - 2).all()
            assert (x[marked] == 3).all()
            assert not (np.diff(y, axis=0) < 0)[inside[1:] & inside[:-1]].any()
            if height >= 16 and width >= 16:  # the crop, in the middle, lies inside
                middle = centre_crop(masks[None, ..., 0], (16, 16))[0]
                y, x = (centre_crop(a[None], (16, 16))[0] for a in (y, x))
                assert ((middle != IGNORED) | ((y == 0) & (x == 0))).all()


def test_crops_come_from_anywhere_with_equal_chances(builder):
    corners = set()
    for batch in itertools.islice(batches(builder, windows_of(0.0)), 250):
        of_first = batch["image"][:, 0, 0][batch["image"][:, 0, 0, 2] == 40]
        corners |= {tuple(corner[:2]) for corner in of_first}
    assert len(corners) > 0.6 * 25 * 15  # 500 draws of 375 places
    assert max(y for y, _ in corners) == 24
    assert max(x for _, x in corners) == 14
    assert min(y for y, _ in corners) == min(x for _, x in corners) == 0


@pytest.mark.parametrize("share", [0.0, 1 / 3, 1.0])
def test_a_share_of_the_crops_has_a_marked_pixel(builder, share):
    marked = np.concatenate(
        [
            (batch["masks"] == 1).any(axis=(1, 2, 3))[batch["image"][:, 0, 0, 2] == 40]
            for batch in itertools.islice(batches(builder, windows_of(share)), 150)
        ]
    )
    by_chance = 2 * 4 / (25 * 15)  # of a pixel in the second-last row, fourth column
    expected = share + (1 - share) * by_chance
    assert abs(marked.mean() - expected) < 4 * np.sqrt(0.25 / len(marked)) * (0 < share < 1) + 0.03
    assert marked.all() or share < 1


def test_an_image_that_is_smaller_than_the_crop_is_its_middle(builder):
    (batch,) = itertools.islice(batches(builder, windows_of(1.0)), 1)
    image = batch["image"][batch["image"][:, 0, 0, 2] == 9][0]
    masks = batch["masks"][batch["image"][:, 0, 0, 2] == 9][0]
    np.testing.assert_array_equal(image[3:12, 2:14], image_of(9, 12))
    expected = np.full((16, 16), IGNORED)
    expected[3:12, 2:14] = 0
    expected[3, 2] = IGNORED
    expected[10, 5] = 1
    np.testing.assert_array_equal(masks[..., 0], expected)


def test_windows_depend_on_seed_and_step_alone(builder):
    windows = windows_of(0.3, margin=4)

    def equal(a, b):
        return all(np.array_equal(a[name], b[name]) for name in ("image", "masks"))

    whole = list(itertools.islice(batches(builder, windows), 6))
    resumed = list(itertools.islice(batches(builder, windows, start_step=3), 3))
    assert all(map(equal, whole[3:], resumed))
    parts = [next(batches(builder, windows, process_index=i, process_count=2)) for i in range(2)]
    joined = {n: np.concatenate([part[n] for part in parts]) for n in ("image", "masks")}
    assert equal(joined, whole[0])
    assert not equal(next(batches(builder, windows, seed=8)), whole[0])


def test_configs_without_whole_images_take_examples_as_they_are(builder):
    config = own_config.get_config()
    windows = Windows.from_config(config)
    assert (windows.crop, windows.foreground_share) == ((128, 128), 1 / 3)
    config.data.whole_images = False
    config.model.image_channels = 3
    assert Windows.from_config(config) is None
    with pytest.raises(ValueError, match=r"several sizes, but data\.whole_images is off"):
        pipeline.check_config(config, builder)


def test_the_reach_of_a_crop_is_what_its_warped_pixels_look_at():
    assert Augmentation((16, 24)).reach() == (16, 24)
    assert Augmentation((16, 24), translate=(2, 3), elastic=1.0).reach() == (24, 34)
    assert Augmentation((16, 16), scale=(0.5, 1)).reach() == (32, 32)
    turned = Augmentation((20, 20), rotation=180).reach()
    assert turned == (29, 29)  # the diagonal
    assert Augmentation((10, 40), rotation=90).reach() == (42, 42)
