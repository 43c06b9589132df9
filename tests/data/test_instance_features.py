import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")

from hpunet_jax.data.instance_features import patch_examples


def test_patches_are_row_by_row_and_overlap_where_the_stride_is_less():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 24, 1), np.uint8)
    ids = rng.integers(0, 999, (16, 24), np.uint16)
    cut = dict(patch_examples(image, ids, "z07", 8, 8, digits=4))
    assert list(cut)[:2] == ["z07_y0000_x0000", "z07_y0000_x0008"]
    rows = [[cut[f"z07_y{y:04d}_x{x:04d}"]["image"] for x in (0, 8, 16)] for y in (0, 8)]
    np.testing.assert_array_equal(np.vstack([np.hstack(row) for row in rows]), image)
    assert len(cut) == 2 * 3
    overlapping = dict(patch_examples(image, ids, "z07", 8, 4, digits=3))
    assert len(overlapping) == 3 * 5
    np.testing.assert_array_equal(overlapping["z07_y004_x012"]["instances"], ids[4:12, 12:20])
    assert overlapping["z07_y004_x012"]["id"] == "z07_y004_x012"
