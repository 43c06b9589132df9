import jax
import numpy as np
import pytest
from PIL import Image

tfds = pytest.importorskip("tensorflow_datasets")

from hpunet_jax.augmentation import Augmentation, training_batch  # noqa: E402
from hpunet_jax.data import catalogue, pipeline  # noqa: E402
from hpunet_jax.data.cityscapes import builder as cityscapes  # noqa: E402


def write_frame(folder, part, city, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (4, 8, 3), np.uint8).repeat(256, axis=0).repeat(256, axis=1)
    ids = rng.choice(np.array([4, 7, 23, 26, 26_000, 26_001, 24_003], np.uint16), (4, 8))
    ids = ids.repeat(256, axis=0).repeat(256, axis=1)
    for kind, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit", image),
        ("gtFine", "gtFine_instanceIds", ids),
    ):
        path = folder / kind / part / city / f"{city}_000000_{seed:06d}_{suffix}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=1)
    return image[::2, ::2], ids[::2, ::2]


def build(folder, config):
    builder = cityscapes.Cityscapes(data_dir=folder / "tfds", config=config)
    download = tfds.download.DownloadConfig(manual_dir=folder / "raw")
    builder.download_and_prepare(download_config=download)


def test_folders_become_batches_of_images_classes_and_cars(tmp_path):
    places = [("train", "aachen"), ("train", "ulm"), ("val", "munster")]
    written = [write_frame(tmp_path / "raw", *place, seed) for seed, place in enumerate(places)]
    build(tmp_path, "any_count")
    builder = catalogue.load_builder("cityscapes/any_count", tmp_path / "tfds")
    for split, (image, ids) in zip(("train", "validation", "test"), written, strict=True):
        (batch,) = pipeline.eval_batches(builder, split=split, batch_size=2)
        np.testing.assert_array_equal(batch["image"], image[None], strict=True)
        table = {4: 255, 7: 0, 23: 10, 26: 13, 26_000: 13, 26_001: 13, 24_003: 11}
        expected = np.vectorize(table.get)(ids)[None].astype(np.uint8)
        np.testing.assert_array_equal(batch["semantic"], expected, strict=True)
        expected = np.where(ids >= 26_000, ids - 25_999, 0)[None].astype(np.uint16)
        np.testing.assert_array_equal(batch["cars"], expected, strict=True)
    crop = np.s_[:, 128:384, 256:768]
    draw = jax.jit(training_batch, static_argnums=(2, 3))
    drawn = draw(jax.random.key(0), batch, Augmentation(crop=(256, 512)), 5)
    np.testing.assert_allclose(drawn.image, batch["image"][crop] / 255, atol=1e-6)
    single, group = batch["cars"][crop] > 0, (batch["semantic"] == 13)[crop]
    group &= ~single
    assert single.any()
    assert group.any()
    np.testing.assert_array_equal((drawn.label >= 13) & (drawn.label < 18), single)
    np.testing.assert_array_equal(drawn.mask == 0, group | (batch["semantic"] == 255)[crop])
    (example,) = tfds.as_numpy(builder.as_dataset(split="test"))
    assert example["id"] == b"munster_000000_000002"


def test_other_numbers_and_bad_files_are_refused_together(tmp_path):
    write_frame(tmp_path / "raw", "train", "aachen", 0)
    write_frame(tmp_path / "raw", "val", "munster", 1)
    next((tmp_path / "raw").rglob("munster*instanceIds.png")).unlink()
    with pytest.raises(ValueError, match="4 problems") as error:
        build(tmp_path, "fine")
    assert "munster_000000_000001_gtFine_instanceIds.png is missing" in str(error.value)
    assert "The split 'train' has 1 images, expected 2701." in str(error.value)
