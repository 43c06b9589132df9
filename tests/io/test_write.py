import numpy as np
import pytest
from PIL import Image

from hpunet_jax.io import read_labels, write_labels


@pytest.mark.parametrize(
    ("dtype", "mode"), [(np.uint8, "L"), (np.uint16, "I;16"), (np.int32, "I;16")]
)
def test_labels_come_back_as_they_were_written(tmp_path, dtype, mode):
    labels = np.arange(200).reshape(10, 20).astype(dtype)
    write_labels(tmp_path / "new/labels.png", labels)
    with Image.open(tmp_path / "new/labels.png") as image:
        assert image.mode == mode
    np.testing.assert_array_equal(read_labels(tmp_path / "new/labels.png").array, labels)


def test_labels_that_16_bits_cannot_hold_are_refused_and_nothing_is_written(tmp_path):
    for labels in (np.array([[70_000]]), np.array([[-1]])):
        with pytest.raises(ValueError, match=r"labels\.png: labels from .* do not fit into 16"):
            write_labels(tmp_path / "labels.png", labels)
    assert not list(tmp_path.iterdir())
