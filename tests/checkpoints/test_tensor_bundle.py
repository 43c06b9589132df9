import pathlib
import shutil
import struct
import time

import numpy as np
import pytest

from hpunet_jax.checkpoints.crc32c import masked_crc32c
from hpunet_jax.checkpoints.tensor_bundle import read_tensor_bundle

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
NAME = "tf_graph_data.ckpt"
DATA = f"{NAME}.data-00000-of-00001"


@pytest.fixture
def tiny(tmp_path):
    """A copy of the tiny recorded checkpoint that a test may damage."""
    shutil.copytree(GOLDEN / "tiny_ckpt", tmp_path / "tiny", copy_function=shutil.copyfile)
    return tmp_path / "tiny"


@pytest.mark.parametrize("model", ["tiny", "stitched", "lidc_thin"])
def test_recorded_checkpoints_hold_the_recorded_variables(model):
    variables = read_tensor_bundle(GOLDEN / f"{model}_ckpt" / NAME)
    recorded = np.load(GOLDEN / f"{model}.npz")
    names = [name.decode() for name in recorded["ckpt/names"]]
    assert sorted(names) == list(variables)
    values = [variables[name] for name in names]
    assert all(value.dtype == np.float32 for value in values)
    exact = {
        "ndim": [value.ndim for value in values],
        "size": [value.size for value in values],
        "first": [value.flat[0] for value in values],
        "last": [value.flat[-1] for value in values],
    }
    for key, found in exact.items():
        np.testing.assert_array_equal(found, recorded[f"ckpt/{key}"], err_msg=key)
    wide = [value.astype(np.float64) for value in values]
    # Sums that cancel are compared on the scale of their terms.
    scale = np.array([np.abs(value).sum() for value in wide])
    sums = np.array([value.sum() for value in wide])
    np.testing.assert_array_less(np.abs(sums - recorded["ckpt/sum"]), 1e-6 * scale + 1e-12)
    np.testing.assert_allclose(
        [np.sqrt(np.sum(value**2)) for value in wide], recorded["ckpt/l2"], rtol=1e-6
    )


@pytest.mark.parametrize("model", ["tiny", "stitched"])
def test_recorded_checkpoints_hold_the_recorded_values_and_shapes(model):
    variables = read_tensor_bundle(GOLDEN / f"{model}_ckpt" / NAME)
    recorded = np.load(GOLDEN / f"{model}.npz")
    for name, value in variables.items():
        np.testing.assert_array_equal(value, recorded[f"global/{name}"], err_msg=name, strict=True)


def test_shapes_are_those_listed_for_the_full_topology():
    text = (GOLDEN / "lidc_thin_ckpt" / "variables.txt").read_text()
    saved = text.partition("# local variables")[0].splitlines()[1:]
    rows = [line.split("\t") for line in saved if line]
    listed = {name: (shape, dtype) for name, shape, dtype, *_ in rows}
    assert len(listed) == 705
    variables = read_tensor_bundle(GOLDEN / "lidc_thin_ckpt" / NAME)
    assert {k: (str(v.shape), v.dtype.name) for k, v in variables.items()} == listed


def test_any_changed_byte_of_the_data_is_detected_and_its_variable_named(tiny):
    whole = (tiny / DATA).read_bytes()
    for position in np.linspace(0, len(whole) - 1, 25, dtype=int):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (tiny / DATA).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged: the checksum of the variable 'model/"):
            read_tensor_bundle(tiny / NAME)


def test_any_changed_byte_of_the_index_is_detected(tiny):
    index = tiny / f"{NAME}.index"
    whole = index.read_bytes()
    footer = range(len(whole) - 48, len(whole))
    for position in [*np.linspace(0, len(whole) - 49, 150, dtype=int), *footer]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        index.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"tf_graph_data\.ckpt\.index"):
            read_tensor_bundle(tiny / NAME)


def test_truncated_files_are_refused(tiny):
    data, index = tiny / DATA, tiny / f"{NAME}.index"
    whole = data.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        data.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="is cut short: the variable"):
            read_tensor_bundle(tiny / NAME)
    data.write_bytes(whole)
    whole = index.read_bytes()
    for size in (0, 47, 48, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut short"):
            read_tensor_bundle(tiny / NAME)
    index.write_bytes(whole[100:])  # the footer is whole, what it points to is not
    with pytest.raises(ValueError, match="cannot be read"):
        read_tensor_bundle(tiny / NAME)


def test_missing_files_are_named(tiny):
    (tiny / DATA).unlink()
    with pytest.raises(FileNotFoundError, match=r"data-00000-of-00001 .* missing.*'model/"):
        read_tensor_bundle(tiny / NAME)
    for wrong in (tiny / "other.ckpt", tiny / f"{NAME}.index"):
        with pytest.raises(FileNotFoundError, match=r"without '\.index'"):
            read_tensor_bundle(wrong)


def varint(value):
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def write_index(path, entries, compression=0):
    """Writes a table of one uncompressed block without shared prefixes."""
    contents = bytearray()

    def block(pairs):
        begin = len(contents)
        for key, value in pairs:
            contents.extend(b"\0" + varint(len(key)) + varint(len(value)) + key + value)
        contents.extend(struct.pack("<II", 0, 1))
        size = len(contents) - begin
        contents.append(compression)
        contents.extend(struct.pack("<I", masked_crc32c(bytes(contents[begin:]))))
        return varint(begin) + varint(size)

    data = block(entries)
    footer = block([]) + block([(b"zzz", data)])
    path.write_bytes(contents + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57))


HEADER = (b"", b"\x08\x01\x1a\x02\x08\x01")
FLOAT_OF_ONE = b"\x08\x01\x12\x04\x12\x02\x08\x01\x28\x04"  # float32, shape (1,), 4 bytes


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([(b"v", FLOAT_OF_ONE)], "it has no header"),
        ([(b"", b"\x08\x01\x10\x01"), (b"v", FLOAT_OF_ONE)], "big-endian"),
        ([(b"", b"")], "number of data files is 0"),
        ([HEADER, (b"v", b"\x08\x07")], "'v' has TensorFlow's data type number 7"),
        ([HEADER, (b"v", FLOAT_OF_ONE + b"\x3a\x00")], "'v' is partitioned"),
        ([HEADER, (b"v", FLOAT_OF_ONE + b"\x28\x08")], "'v' takes 8 bytes.*match its shape"),
        ([HEADER, (b"v", FLOAT_OF_ONE + b"\x18\x01")], "'v' stands in data file 1"),
        ([HEADER, (b"v", FLOAT_OF_ONE[:-1])], "does not end where it should"),
        ([HEADER, (b"v", FLOAT_OF_ONE + b"\x3b")], "unknown kind 3"),
        ([HEADER, (b"v", FLOAT_OF_ONE + b"\x35\x00")], "cut short"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path, entries, words):
    write_index(tmp_path / "model.index", entries)
    with pytest.raises(ValueError, match=words) as error:
        read_tensor_bundle(tmp_path / "model")
    assert "model.index" in str(error.value)


def test_tables_compressed_with_snappy_are_refused(tmp_path):
    write_index(tmp_path / "model.index", [HEADER, (b"v", FLOAT_OF_ONE)], compression=1)
    with pytest.raises(ValueError, match="compressed with snappy"):
        read_tensor_bundle(tmp_path / "model")


def tensors():
    rng = np.random.default_rng(0)
    result = {
        f"types/{dtype}": rng.integers(0, 100, (3, 5)).astype(dtype)
        for dtype in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2")
    }
    result["types/bool"] = rng.random(7) < 0.5
    result["types/complex64"] = rng.standard_normal(4).astype(np.complex64) * 1j
    result["empty"] = np.zeros((0, 3), np.float32)
    result["scalar"] = np.float32(2.5)
    result["negative"] = np.array([-1, -(2**62)], np.int64)
    # Enough long names for several blocks of the table.
    result |= {f"many/{i:03d}/{'x' * 80}": np.full((2, 1), i, np.float32) for i in range(300)}
    return result


def assert_same(found, expected):
    assert list(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert found[name].dtype.isnative
        assert found[name].flags.writeable


def save(tf, prefix, values):
    names = list(values)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(values[name]) for name in names],
    )


def test_what_tensorflow_saves_is_read_back_exactly(tmp_path):
    tf = pytest.importorskip("tensorflow")
    save(tf, tmp_path / "model.ckpt", tensors())
    assert (tmp_path / "model.ckpt.index").stat().st_size > 3 * 4096
    assert_same(read_tensor_bundle(tmp_path / "model.ckpt"), tensors())


def test_several_shards_are_read_as_one_checkpoint(tmp_path):
    tf = pytest.importorskip("tensorflow")
    expected = tensors()
    names = list(expected)
    for part in range(3):
        save(tf, tmp_path / f"part{part}", {name: expected[name] for name in names[part::3]})
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(tmp_path / f"part{part}") for part in range(3)],
        destination_prefix=str(tmp_path / "model"),
    )
    assert (tmp_path / "model.data-00002-of-00003").is_file()
    assert_same(read_tensor_bundle(tmp_path / "model"), expected)


def test_object_based_checkpoints_are_read_without_their_bookkeeping(tmp_path):
    tf = pytest.importorskip("tensorflow")
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    prefix = tf.train.Checkpoint(weights=tf.Variable(value)).save(str(tmp_path / "model"))
    variables = read_tensor_bundle(prefix)
    key = "weights/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(variables[key], value)
    assert set(variables) == {key, "save_counter/.ATTRIBUTES/VARIABLE_VALUE"}


def test_a_checkpoint_of_published_size_is_read_in_seconds(tmp_path):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(1)
    expected = {f"conv_{i}/w": rng.random((3, 3, 512, 480), np.float32) for i in range(10)}
    save(tf, tmp_path / "model", expected)  # 88 MB
    started = time.process_time()
    found = read_tensor_bundle(tmp_path / "model")
    assert time.process_time() - started < 20
    assert_same(found, expected)
