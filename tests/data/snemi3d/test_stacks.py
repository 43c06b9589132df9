import h5py
import numpy as np
import pytest
import tifffile

from hpunet_jax.data.snemi3d.stacks import find_stacks, read_labels, read_volume

SHAPE = (6, 32, 40)


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 401, SHAPE, np.uint16)


def write(path, stack, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, stack, **options)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=stack, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {"photometric": "minisblack"}),
        ("a.tif", {"photometric": "minisblack", "compression": "zlib"}),
        ("a.tif", {"photometric": "minisblack", "compression": "lzw"}),
        ("a.tif", {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("a.h5", {}),
        ("a.h5", {"compression": "gzip", "chunks": (2, 16, 16)}),
    ],
)
def test_tiff_and_hdf5_give_what_was_written(tmp_path, volume, labels, name, options):
    path = write(tmp_path / name, volume, **options)
    np.testing.assert_array_equal(read_volume(path, SHAPE), volume, strict=True)
    path = write(tmp_path / name, labels, **options)
    np.testing.assert_array_equal(read_labels(path, SHAPE), labels, strict=True)


def test_wide_ids_are_read_as_16_bits(tmp_path, labels):
    labels[0, 0, 0] = 65_535
    path = write(tmp_path / "a.h5", labels.astype(np.uint64))
    np.testing.assert_array_equal(read_labels(path, SHAPE), labels, strict=True)


@pytest.mark.parametrize(("value", "words"), [(65_536, "ids from 0 to 65536"), (-1, "ids from -1")])
def test_ids_beyond_16_bits_are_refused(tmp_path, labels, value, words):
    wide = labels.astype(np.int32)
    wide[2, 3, 4] = value
    path = write(tmp_path / "wide.tif", wide, photometric="minisblack")
    with pytest.raises(ValueError, match=rf"wide\.tif has {words}.*expected 0 to 65535"):
        read_labels(path, SHAPE)


def test_wrong_types_sizes_and_empty_labels_are_refused(tmp_path, volume, labels):
    with pytest.raises(ValueError, match=r"b\.h5 has uint8 voxels; expected integer ids of at"):
        read_labels(write(tmp_path / "b.h5", volume), SHAPE)
    with pytest.raises(ValueError, match=r"b\.h5 has uint16 voxels; expected the 8-bit"):
        read_volume(write(tmp_path / "b.h5", labels), SHAPE)
    with pytest.raises(ValueError, match=r"b\.h5 has 6x32x40 voxels; expected 100x1024x1024"):
        read_volume(tmp_path / "b.h5")
    with pytest.raises(ValueError, match=r"b\.tif has 6x32x40 voxels"):
        read_volume(write(tmp_path / "b.tif", volume, photometric="minisblack"))
    with pytest.raises(ValueError, match=r"b\.h5 has only background"):
        read_labels(write(tmp_path / "b.h5", 0 * labels), SHAPE)
    with pytest.raises(ValueError, match=r"b\.h5 has values from 0 to 400; expected the 8-bit"):
        read_volume(write(tmp_path / "b.h5", labels.astype(np.int32)), SHAPE)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.tif", {"photometric": "minisblack"}),
        ("cut.tif", {"photometric": "minisblack", "compression": "zlib"}),
        ("cut.tif", {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("cut.h5", {}),
        ("cut.h5", {"compression": "gzip", "chunks": (1, 32, 40)}),
    ],
)
def test_files_cut_short_are_refused(tmp_path, labels, name, options):
    path = write(tmp_path / name, labels, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(ValueError, match=r"cut\.(tif|h5) is damaged"):
        read_labels(path, SHAPE)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, volume, monkeypatch):
    path = write(tmp_path / "a.tif", volume, photometric="minisblack")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(ValueError, match=r"a\.tif cannot be read: .* may not be read by this user"):
        read_volume(path, SHAPE)


def test_a_hdf5_file_must_hold_exactly_one_stack(tmp_path, volume):
    path = write(tmp_path / "two.h5", volume)
    with h5py.File(path, "a") as file:
        file["more/raw"] = volume
    with pytest.raises(ValueError, match=r"two\.h5 has .*main.*more/raw"):
        read_volume(path, SHAPE)


def test_stacks_are_found_in_subfolders_and_missing_or_doubled_ones_are_named(tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "train-input.tif").touch()
    (tmp_path / "image" / "test-input.tif").touch()
    with pytest.raises(FileNotFoundError, match=r"labels is missing.*train-labels\.tif"):
        find_stacks(tmp_path)
    (tmp_path / "train_labels.h5").touch()
    assert [path.name for path in find_stacks(tmp_path)] == ["train-input.tif", "train_labels.h5"]
    (tmp_path / "train-labels.tif").touch()
    with pytest.raises(ValueError, match="labels is there more than once"):
        find_stacks(tmp_path)
