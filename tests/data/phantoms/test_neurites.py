"""The generated neurites: related slices, membranes to see, and cells that only ids tell apart."""

import numpy as np
import pytest
from skimage.measure import label as connected_components

from hpunet_jax.data.phantoms.neurites_examples import BLOCKS, SIZE, SLICES, block, phantom_examples


@pytest.fixture(scope="module")
def blocks():
    return [block(number) for number in range(3)]


@pytest.fixture(scope="module")
def slices(blocks):
    return [pair for images, instances in blocks for pair in zip(images, instances, strict=True)]


def test_a_block_depends_on_its_number_alone(blocks):
    images, instances = block(1)
    np.testing.assert_array_equal(images, blocks[1][0])
    np.testing.assert_array_equal(instances, blocks[1][1])
    assert not np.array_equal(instances, blocks[2][1])


def test_examples_have_the_form_of_snemi3d():
    examples = list(phantom_examples("validation", limit=1))
    assert len(examples) == SLICES
    for example in examples:
        assert example["image"].shape == (SIZE, SIZE, 1)
        assert example["image"].dtype == np.uint8
        assert example["instances"].shape == (SIZE, SIZE)
        assert example["instances"].dtype == np.uint16


def test_no_two_splits_share_a_block():
    names = {
        split: {example["id"].partition("_")[0] for example in phantom_examples(split, limit=2)}
        for split in BLOCKS
    }
    assert len(set.union(*names.values())) == 2 * len(BLOCKS)
    assert names["validation"] == {f"block{BLOCKS['train'] + i:03d}" for i in range(2)}


def test_membranes_are_darker_than_the_cells(slices):
    for image, instances in slices:
        assert image[instances == 0].mean() < image[instances > 0].mean() - 25


def test_every_instance_is_one_piece_large_enough_to_see(slices):
    for _, instances in slices:
        assert (
            connected_components(instances, connectivity=1).max() == len(np.unique(instances)) - 1
        )
        assert np.unique(instances[instances > 0], return_counts=True)[1].min() >= 12


def test_neurites_go_on_from_slice_to_slice(blocks):
    for _, instances in blocks:
        before, after = instances[:-1], instances[1:]
        same = (before == after) & (before > 0)
        assert same.sum() > 0.75 * (before > 0).sum()


def test_many_cells_touch_so_that_the_foreground_alone_does_not_part_them(slices):
    cells = sum(len(np.unique(instances)) - 1 for _, instances in slices)
    pieces = sum(
        connected_components(instances > 0, connectivity=1).max() for _, instances in slices
    )
    assert pieces < 0.7 * cells


def test_calibres_vary(slices):
    areas = np.concatenate(
        [np.unique(instances[instances > 0], return_counts=True)[1] for _, instances in slices]
    )
    assert np.percentile(areas, 90) > 4 * np.percentile(areas, 10)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'dev'"):
        next(phantom_examples("dev"))


def test_the_data_set_is_built_and_says_that_it_is_generated(tmp_path, monkeypatch):
    monkeypatch.setitem(BLOCKS, "train", 1)
    monkeypatch.setitem(BLOCKS, "validation", 1)
    monkeypatch.setitem(BLOCKS, "test", 1)
    catalogue = pytest.importorskip("hpunet_jax.data.catalogue")
    from hpunet_jax.data import pipeline

    builder = catalogue.find_builder("neurites_phantom", tmp_path)
    builder.download_and_prepare()
    assert "GENERATED" in builder.info.description
    (batch,) = pipeline.eval_batches(builder, split="test", batch_size=SLICES)
    images, instances = block(2)
    np.testing.assert_array_equal(batch["image"][..., 0], images)
    np.testing.assert_array_equal(batch["instances"], instances)
    assert batch["instances"].dtype == np.uint16
