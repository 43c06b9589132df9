import collections
import io
import os
import pickle
import pickletools
import re
import subprocess

import numpy as np
import pytest

from hpunet_jax.data.lidc_v1.array_pickle import read_array_pickle

ARRAYS = {
    "one": {
        "image": np.linspace(0, 1, 12).reshape(3, 4),
        "masks": [np.eye(3, dtype=np.uint8), np.zeros((2, 0), bool)],
        "order": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "number": np.float32(0.25),
        "text": np.array(["a", "bc"]),
        "dtype": np.dtype(np.uint8),
        "plain": (1, 2.5, "text", b"bytes", None, True, {1, 2}, frozenset({3})),
    },
    "two": collections.OrderedDict(a=np.zeros((), np.int64)),
}


class Evil:
    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


def write(path, value, protocol=4, numpy1=False):
    data = pickle.dumps(value, protocol)
    if numpy1:  # NumPy 1 called its inner modules numpy.core
        assert protocol == 2
        data = data.replace(b"numpy._core", b"numpy.core")
    path.write_bytes(data)
    return path


def same(a, b):
    if isinstance(b, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    elif isinstance(b, dict):
        assert a.keys() == b.keys()
        for key, value in b.items():
            same(a[key], value)
    elif isinstance(b, list | tuple):
        assert type(a) is type(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        assert a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_containers_come_back_from_every_protocol(tmp_path, protocol):
    same(read_array_pickle(write(tmp_path / "a.pickle", ARRAYS, protocol)), ARRAYS)


def test_pickles_of_numpy_1_and_of_python_2_are_read(tmp_path):
    path = write(tmp_path / "a.pickle", ARRAYS, 2, numpy1=True)
    assert b"numpy.core.multiarray" in path.read_bytes()
    same(read_array_pickle(path), ARRAYS)
    old = (  # Python 2 holds the bytes of an array as its text
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x02\x07\xfftb."
    )
    path.write_bytes(old)
    same(read_array_pickle(path), np.array([7, 255], np.uint8))


RAN = []


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Evil(os.system, "touch ran"), r"(posix|nt|os)\.system"),
        (Evil(eval, "RAN.append(1)"), r"(builtins|__builtin__)\.eval"),
        (Evil(getattr, [], "append"), r"(builtins|__builtin__)\.getattr"),
        (Evil(subprocess.Popen, ["true"]), r"Popen"),
        ({"a": np.array([1, "b", None], object)}, "dtype 'O8'"),
        ([np.array([Evil(os.system, "touch ran")], object)], "dtype 'O8'"),
        (np.zeros(2, [("a", "f4"), ("b", "O")]), "dtype 'V12'"),
        (np.zeros(2, [("a", "f4")]), "dtype 'V4'"),
        (np.array(["2020-01-01"], "M8[D]"), "dtype 'M8'"),
        (np.ma.masked_array([1, 2], [0, 1]), r"numpy\.ma"),
        (np.random.default_rng(0), r"numpy\.random"),
        (slice(1, 2), r"(builtins|__builtin__)\.slice"),
        (io.BytesIO(b"a"), r"_io\.BytesIO"),
        (ARRAYS["one"].__len__, r"getattr"),
        ([np.ndarray], "a function"),
        ([Evil(np.dtype, "O")], "dtype 'O'"),
        ([Evil(np.dtype, [("a", "O")])], "dtype"),
        (Evil(np.ndarray, (3,), "O"), "damaged"),
    ],
)
def test_anything_else_is_refused_by_name_and_nothing_runs(tmp_path, monkeypatch, value, named):
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        path = write(tmp_path / "evil.pickle", value, protocol)
        with pytest.raises(ValueError, match=named) as error:
            read_array_pickle(path)
        assert "evil.pickle" in str(error.value)
    assert not RAN
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy.core.multiarray\n_reconstruct\n}(S'_make'\ncos\nsystem\nub.",  # os.system
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x05\x00\x00\x00_makeK\x01sb.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}X\x05\x00\x00\x00_makeK\x01s\x86b.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # a persistent id
        b"\x80\x02\x82\x01.",  # an extension code
        b"\x80\x04\x8c\x05numpy\x94\x8c\x0bf2py.system\x94\x93.",
    ],
)
def test_crafted_streams_change_and_run_nothing(tmp_path, data):
    pickletools.dis(data, out=io.StringIO())
    path = tmp_path / "crafted.pickle"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_array_pickle(path)
    same(read_array_pickle(write(tmp_path / "a.pickle", ARRAYS)), ARRAYS)


def test_damaged_files_and_endless_containers_are_told(tmp_path):
    path = write(tmp_path / "a.pickle", ARRAYS)
    whole = path.read_bytes()
    for data in (b"", whole[:50], whole[: len(whole) // 2], b"not a pickle", b"\x89PNG\r\n"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.pickle is damaged|a\.pickle holds"):
            read_array_pickle(path)
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 16 deep"):
        read_array_pickle(write(path, endless))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_array_pickle(tmp_path / "none.pickle")
