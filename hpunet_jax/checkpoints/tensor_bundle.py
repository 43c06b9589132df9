"""The published LIDC weights (Sec. 3.2): TF1 checkpoints without TensorFlow.

A V2 checkpoint ("tensor bundle") with prefix `p` is a table `p.index` of tensor names and where
their values stand, and the raw values in the shards `p.data-00000-of-0000n`. The table's values
are the protocol buffers BundleHeaderProto and BundleEntryProto, parsed here by hand.
"""

import math
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from hpunet_jax.checkpoints.crc32c import masked_crc32c
from hpunet_jax.checkpoints.sstable import read_table, read_varint

# tensorflow.DataType; anything else has no plain NumPy counterpart.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # bookkeeping of tf.train.Checkpoint, no tensor


class _Entry(NamedTuple):
    """A BundleEntryProto: where a tensor's values stand."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    masked_crc: int


def read_tensor_bundle(prefix: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads all variables of a TensorFlow V2 checkpoint.

    Args:
      prefix: the checkpoint's path without '.index' and '.data-00000-of-00001', e.g.
        'weights/tf_graph_data.ckpt'.

    Returns:
      The variables by name (without ':0'), sorted by name, in their own shapes and types.

    Raises:
      FileNotFoundError: the index or a data shard is missing.
      ValueError: a file is damaged or cut short, or holds what cannot be read here:
        compressed tables, partitioned variables, strings, big-endian values.
    """
    prefix = os.fspath(prefix)
    index = pathlib.Path(f"{prefix}.index")
    if not index.is_file():
        raise FileNotFoundError(
            f"There is no checkpoint index {index}: expected the prefix of a TensorFlow V2 "
            "checkpoint, that is the path without '.index' and '.data-00000-of-00001'."
        )
    table = read_table(index)
    try:
        num_shards = _num_shards(table.pop(b"", None))
        entries = [
            _entry(key.decode(), value, num_shards)
            for key, value in table.items()
            if key != _OBJECT_GRAPH.encode()
        ]
    except ValueError as error:
        raise ValueError(f"The checkpoint index {index} cannot be used: {error}.") from error
    shards = [_Shard(prefix, i, num_shards) for i in range(num_shards)]
    return {entry.name: shards[entry.shard].read(entry) for entry in entries}


class _Shard:
    """One `.data` file; it need not exist unless an entry points to it."""

    def __init__(self, prefix: str, index: int, count: int) -> None:
        self._path = pathlib.Path(f"{prefix}.data-{index:05d}-of-{count:05d}")

    def read(self, entry: _Entry) -> np.ndarray:
        if not self._path.is_file():
            raise FileNotFoundError(
                f"The data file {self._path} of the checkpoint is missing; it holds the variable "
                f"{entry.name!r}. All '.data' files must stand beside the '.index' file."
            )
        file_size = self._path.stat().st_size
        if entry.offset + entry.size > file_size:
            raise ValueError(
                f"{self._path} is cut short: the variable {entry.name!r} ends at byte "
                f"{entry.offset + entry.size}, but the file has {file_size} bytes. Copy or "
                "download it again."
            )
        raw = np.fromfile(self._path, np.uint8, count=entry.size, offset=entry.offset)
        if masked_crc32c(raw) != entry.masked_crc:
            raise ValueError(
                f"{self._path} is damaged: the checksum of the variable {entry.name!r} is wrong. "
                "Copy or download it again."
            )
        values = raw.view(entry.dtype).reshape(entry.shape)
        return values.astype(entry.dtype.newbyteorder("="), copy=False)


def _num_shards(header: bytes | None) -> int:
    """The only thing we need of a BundleHeaderProto, after checking that we can read the rest."""
    if header is None:
        raise ValueError("it has no header, expected one under the empty name")
    fields = dict(_fields(header))
    if fields.get(2, 0) != 0:
        raise ValueError("its values are big-endian, expected little-endian ones")
    num_shards = fields.get(1, 0)
    if not isinstance(num_shards, int) or num_shards < 1:
        raise ValueError(f"its number of data files is {num_shards}, expected 1 or more")
    return num_shards


def _entry(name: str, value: bytes, num_shards: int) -> _Entry:
    """Parses a BundleEntryProto."""
    fields: dict[int, Any] = dict(_fields(value))
    if 7 in fields:
        raise ValueError(
            f"the variable {name!r} is partitioned, which is not supported; save it as one piece"
        )
    code = fields.get(1, 0)
    if code not in _DTYPES:
        raise ValueError(
            f"the variable {name!r} has TensorFlow's data type number {code}, expected one of "
            f"{', '.join(_DTYPES.values())}"
        )
    dtype = np.dtype(_DTYPES[code]).newbyteorder("<")
    entry = _Entry(
        name=name,
        dtype=dtype,
        shape=_shape(fields.get(2, b"")),
        shard=fields.get(3, 0),
        offset=fields.get(4, 0),
        size=fields.get(5, 0),
        masked_crc=fields.get(6, 0),
    )
    if entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(
            f"the variable {name!r} takes {entry.size} bytes, which does not match its shape "
            f"{entry.shape} and type {dtype.name}"
        )
    if entry.shard >= num_shards:
        raise ValueError(
            f"the variable {name!r} stands in data file {entry.shard}, expected at most "
            f"{num_shards - 1}"
        )
    return entry


def _shape(message: bytes) -> tuple[int, ...]:
    """Parses a TensorShapeProto: a repeated field 2, each with the size in its field 1."""
    # The default of a size is 0, which protocol buffers leave out.
    sizes: list[Any] = [dim for number, dim in _fields(message) if number == 2]
    return tuple(dict[int, Any](_fields(size)).get(1, 0) for size in sizes)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of a protocol buffer's fields, by wire type."""
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = read_varint(message, position)
            yield number, value
            continue
        if wire_type == 2:
            size, position = read_varint(message, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"a message in it has a field of the unknown kind {wire_type}")
        value = message[position : position + size]
        if len(value) < size:
            raise ValueError("a message in it is cut short")
        position += size
        if wire_type == 2:
            yield number, value
        else:
            yield number, struct.unpack("<I" if wire_type == 5 else "<Q", value)[0]
