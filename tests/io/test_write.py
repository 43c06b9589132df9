import errno
import os

import numpy as np
import pytest
from PIL import Image

from hpunet_jax.files import write_aside
from hpunet_jax.folders import check_out
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


def test_where_nothing_can_be_written_is_a_sentence_and_not_a_number(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file/a.png", tmp_path / "file/deeper/a.png"):
        with pytest.raises(OSError, match=r"a\.png cannot be written \(.*a file stands where"):
            write_labels(path, np.zeros((2, 2), np.uint8))
    for text in ("", "Can't write data (errno = 28, error message = ...)"):  # as h5py says it
        full = OSError(text) if text else OSError(errno.ENOSPC, "No space left on device")
        said = pytest.raises(
            OSError, match=r"b\.h5 cannot be written \(No space left .*: make room"
        )
        with said, write_aside(tmp_path / "b.h5"):
            raise full
    with pytest.raises(FileNotFoundError, match=r"^its own$"), write_aside(tmp_path / "b.h5"):
        raise FileNotFoundError("its own")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_out_that_cannot_be_one_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, words in (("file", "a file"), ("file/a/b", "a file"), ("link/a", "a link to noth")):
        with pytest.raises(
            ValueError, match=rf"^--out=.*{name}: .*{name.split('/')[0]} is {words}"
        ):
            check_out(tmp_path / name, "--out")
    assert check_out(tmp_path / "new/a", "--out") == tmp_path / "new/a"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=rf"{tmp_path} may not be written to by this user"):
        check_out(tmp_path / "new/a", "--out")
    assert not (tmp_path / "new").exists()
