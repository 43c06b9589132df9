"""The published LIDC weights (Sec. 3.2): the sorted table inside a TF1 `.index` file.

The file is a LevelDB table: data blocks, a block that indexes them, and a 48-byte footer that
points to the index. The entries of a block share prefixes of their keys with the entry before;
each block is followed by its compression type and a masked CRC-32C.
"""

import os
import pathlib
import struct
from collections.abc import Iterator

from hpunet_jax.checkpoints.crc32c import masked_crc32c

_FOOTER_SIZE = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_SIZE = 5
_UNCOMPRESSED, _SNAPPY = 0, 1


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Reads a base-128 number of at most 64 bits, as in LevelDB and protocol buffers.

    Args:
      data: the bytes it stands in.
      position: where it begins.

    Returns:
      The number, and the position behind it.

    Raises:
      ValueError: the data end within the number, or it is too long.
    """
    value = 0
    for count, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position + count + 1
    raise ValueError("a variable-length number does not end where it should")


def read_table(path: str | os.PathLike[str]) -> dict[bytes, bytes]:
    """Reads all entries of a LevelDB table file.

    Args:
      path: the file.

    Returns:
      Values by key, in the order of the file (ascending keys).

    Raises:
      ValueError: the file is damaged, compressed, or no such table.
    """
    data = pathlib.Path(path).read_bytes()
    footer = data[-_FOOTER_SIZE:]
    if len(footer) < _FOOTER_SIZE or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError(
            f"{path} is not the index of a TensorFlow V2 checkpoint, or it is cut short: "
            "it does not end with a LevelDB table's magic number. Copy or download it again."
        )
    try:
        meta_offset, position = read_varint(footer, 0)
        meta_size, position = read_varint(footer, position)
        index_offset, position = read_varint(footer, position)
        index_size, position = read_varint(footer, position)
        if any(footer[position:-8]):
            raise ValueError("the padding of its footer is not zero")
        _block(data, meta_offset, meta_size)  # holds nothing we need, but must be whole
        table: dict[bytes, bytes] = {}
        for _, handle in _entries(_block(data, index_offset, index_size)):
            offset, position = read_varint(handle, 0)
            size, _ = read_varint(handle, position)
            table.update(_entries(_block(data, offset, size)))
    except ValueError as error:
        raise ValueError(
            f"The checkpoint index {path} cannot be read: {error}. Copy or download it again, or, "
            "if this persists, save it again with tf.compat.v1.train.Saver."
        ) from error
    return table


def _block(data: bytes, offset: int, size: int) -> bytes:
    """The verified contents of the block that stands at `offset`."""
    end = offset + size
    if end + _TRAILER_SIZE > len(data):
        raise ValueError(f"a block should end at byte {end}, beyond the end of the file")
    (expected,) = struct.unpack_from("<I", data, end + 1)
    if masked_crc32c(data[offset : end + 1]) != expected:
        raise ValueError(f"the checksum of the block at byte {offset} is wrong (a damaged file)")
    compression = data[end]
    if compression == _SNAPPY:
        raise ValueError("it is compressed with snappy, expected an uncompressed table")
    if compression != _UNCOMPRESSED:
        raise ValueError(f"a block has the unknown compression type {compression}")
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block's contents."""
    if len(block) < 4:
        raise ValueError("a block is too short")
    (num_restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (num_restarts + 1)
    if end < 0:
        raise ValueError("a block is shorter than its list of restarts")
    key, position = b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        value_size, position = read_varint(block, position)
        value_begin = position + unshared
        if shared > len(key) or value_begin + value_size > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[position:value_begin]
        position = value_begin + value_size
        yield key, block[value_begin:position]
