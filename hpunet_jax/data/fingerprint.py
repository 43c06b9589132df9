"""What tells one built data set from another: a digest of all that it holds."""

import hashlib
import pathlib
from typing import Any

import numpy as np

from hpunet_jax.data.reading import check_count, encoded_dataset, numpy_batches
from hpunet_jax.data.tensorflow import tfds


def fingerprint(builder: tfds.core.DatasetBuilder) -> str:
    """A name for the content of a data set, of 16 hexadecimal digits.

    It follows from the data set's full name (with its version and config) and the stored examples
    of all splits, in their order; not from where the data set lies, nor from the bytes of its
    files, which differ between two builds of the same examples.

    Args:
      builder: a prepared builder.

    Returns:
      The digest.

    Raises:
      FileNotFoundError: if a file of the data set is missing.
      ValueError: if the data set is damaged.
    """
    folder = pathlib.Path(builder.data_dir)
    hashed = hashlib.sha256(builder.info.full_name.encode())
    for split, info in sorted(builder.info.splits.items()):
        for name in sorted(info.filenames):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} is incomplete, {name} is missing: remove the folder and build the "
                    "data set again."
                )
        found = 0
        for example in numpy_batches(encoded_dataset(builder, split), builder):
            for name, value in sorted(example.items()):
                stored = _stored(value)
                hashed.update(f"{split} {found} {name} {len(stored)} ".encode() + stored)
            found += 1
        check_count(builder, split, found, info.num_examples)
    return hashed.hexdigest()[:16]


def _stored(value: Any) -> bytes:
    """The bytes of a feature; one of unknown size is stored as several."""
    if isinstance(value, dict):
        return b"".join(_stored(part) for _, part in sorted(value.items()))
    return value if isinstance(value, bytes) else np.asarray(value).tobytes()
