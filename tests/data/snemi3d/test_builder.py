"""The builder on a block of the real size."""

import h5py
import jax
import numpy as np
import pytest
import tifffile

tfds = pytest.importorskip("tensorflow_datasets")

from hpunet_jax.augmentation import Augmentation, training_batch  # noqa: E402
from hpunet_jax.data import catalogue, pipeline  # noqa: E402
from hpunet_jax.data.snemi3d import builder as snemi3d  # noqa: E402


def block():
    """A block in which every patch is constant: its image by its place, its ids by place and z."""
    place = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((256, 256), np.uint8))
    z = np.arange(100)[:, None, None]
    return place[None] + (10 * (z // 10)).astype(np.uint8), (16 * z + place[None]).astype(np.uint16)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snemi3d")
    volume, labels = block()
    (folder / "raw").mkdir()
    tifffile.imwrite(
        folder / "raw" / "train-input.tif", volume, compression="zlib", photometric="minisblack"
    )
    with h5py.File(folder / "raw" / "train-labels.h5", "w") as file:
        options = {"chunks": (1, 1024, 1024), "compression": "gzip", "compression_opts": 1}
        file.create_dataset("main", data=labels, **options)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    snemi3d.Snemi3d(data_dir=folder / "tfds").download_and_prepare(download_config=config)
    return folder / "tfds"


def test_the_block_gives_the_papers_numbers_of_patches(built):
    builder = catalogue.load_builder("snemi3d", built)
    counts = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert counts == {"train": 1280, "validation": 160, "test": 160}


def test_patches_hold_their_part_of_volume_and_labels(built):
    builder = catalogue.load_builder("snemi3d", built)
    for split, slices in (("validation", range(80, 90)), ("test", range(90, 100))):
        seen = set()
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            z, y, x = (int(part[1:]) for part in example["id"].decode().split("_"))
            place = y // 256 * 4 + x // 256
            np.testing.assert_array_equal(
                example["image"],
                np.full((256, 256, 1), place + 10 * (z // 10), np.uint8),
                strict=True,
            )
            np.testing.assert_array_equal(
                example["instances"], np.full((256, 256), 16 * z + place, np.uint16), strict=True
            )
            seen.add((z, y, x))
        assert {z for z, _, _ in seen} == set(slices)
        assert len(seen) == 160


def test_a_batch_for_training_has_images_and_ids(built):
    builder = catalogue.load_builder("snemi3d", built)
    batch = next(pipeline.train_batches(builder, split="validation", batch_size=3, seed=0))
    assert {name: (value.shape, value.dtype) for name, value in batch.items()} == {
        "image": ((3, 256, 256, 1), np.uint8),
        "instances": ((3, 256, 256), np.uint16),
    }
    # Each patch is one neurite here, so that its label is one of 15.
    draw = jax.jit(training_batch, static_argnums=(2, 3))
    drawn = draw(jax.random.key(0), batch, Augmentation(crop=(16, 16)), 15)
    labels = np.asarray(drawn.label).reshape(3, -1)
    assert (labels == labels[:, :1]).all()
    assert np.isin(labels, np.arange(1, 16)).all()
    np.testing.assert_allclose(drawn.image, batch["image"][:, :16, :16] / 255, atol=1e-6)
