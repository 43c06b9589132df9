"""Any example of a built data set without reading the others: random access to TFRecord files.

A file is a sequence of records, each its length (8 bytes, little endian), the length's checksum
(4 bytes), the example, and its checksum (4 bytes). Where a record begins follows from the lengths
before it, so that 16 bytes an example are all that is kept in memory, whatever the data's size; the
operating system keeps of the files what fits.
"""

import os
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from hpunet_jax.data.tensorflow import tf, tfds

_LENGTH = struct.Struct("<Q")
_AROUND = 16  # bytes of a record beside its example
_BUFFER = 1 << 15  # bytes read at once


class Index(NamedTuple):
    """Where the examples of a split are stored, in the split's order.

    Attributes:
      files: paths of the files.
      file: which of them holds an example.
      offset: the byte at which its record begins.
    """

    files: tuple[str, ...]
    file: Int64[np.ndarray, " examples"]
    offset: Int64[np.ndarray, " examples"]


def index(builder: tfds.core.DatasetBuilder, split: str) -> Index:
    """Looks up where the examples of a split begin.

    Args:
      builder: a prepared builder.
      split: the split, or a part of one, e.g. 'train[:100]'.

    Returns:
      The index; of files that are damaged it may have too few examples.

    Raises:
      ValueError: the data set is not stored as TFRecord files.
      FileNotFoundError: a file is missing.
    """
    if builder.info.file_format is not tfds.core.file_adapters.FileFormat.TFRECORD:
        raise ValueError(
            f"The data set {builder.info.full_name} in {builder.data_path} is stored as "
            f"{builder.info.file_format.value} files, but training reads TFRecord files: build it "
            "with hpunet build_data."
        )
    parts = builder.info.splits[split].file_instructions
    offsets = [
        _offsets(part.filename)[part.skip : None if part.take < 0 else part.skip + part.take]
        for part in parts
    ]
    return Index(
        tuple(os.fspath(part.filename) for part in parts),
        np.repeat(np.arange(len(parts), dtype=np.int64), [len(one) for one in offsets]),
        np.concatenate(offsets),
    )


def reader(places: Index) -> Callable[[tf.Tensor], tf.Tensor]:
    """A TensorFlow function that reads a record.

    Args:
      places: where the examples are.

    Returns:
      Maps the number of an example in the split, int64 [], to the serialized example, string [].
      TensorFlow compares its checksums.
    """
    files, file, offset = (tf.constant(field) for field in places)

    def read(number: tf.Tensor) -> tf.Tensor:
        one = tf.expand_dims(number, 0)
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(files, tf.gather(file, one)),
            compression_type="",
            buffer_size=tf.constant(_BUFFER, tf.int64),
            byte_offsets=tf.gather(offset, one),
        )
        dataset = tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))
        return dataset.take(1).get_single_element()

    return read


def _offsets(path: str | os.PathLike[str]) -> Int64[np.ndarray, " examples"]:
    """Where the records of a file begin, as far as they are whole."""
    found, position, size = [], 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while position + _AROUND <= size:
            file.seek(position)
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            end = position + _AROUND + length
            if end > size:
                break
            found.append(position)
            position = end
    return np.array(found, np.int64)
