"""What tells one built data set from another: a digest of all that it holds."""

import hashlib
import pathlib
from typing import Any

import numpy as np
import tqdm

from hpunet_jax.data.own.builder import OwnData
from hpunet_jax.data.reading import check_count, encoded_dataset, numpy_batches
from hpunet_jax.data.tensorflow import tfds


def fingerprint(builder: tfds.core.DatasetBuilder) -> str:
    """A name for the content of a data set, of 16 hexadecimal digits.

    It follows from the data set's `data_set_name` and the stored examples of all splits, in their
    order; not from where the data set lies, nor from the bytes of its files, which differ between
    two builds of the same examples. All examples are read.

    Args:
      builder: a prepared builder.

    Returns:
      The digest.

    Raises:
      FileNotFoundError: if a file of the data set is missing.
      ValueError: if the data set is damaged.
    """
    folder = pathlib.Path(builder.data_dir)
    hashed = hashlib.sha256(data_set_name(builder).encode())
    for split, info in sorted(builder.info.splits.items()):
        for name in sorted(info.filenames):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} is incomplete, {name} is missing: remove the folder and build the "
                    "data set again."
                )
        found = 0
        examples = numpy_batches(encoded_dataset(builder, split), builder)
        # Large data sets take minutes.
        total = info.num_examples
        for example in tqdm.tqdm(examples, f"reading {split}", total, unit="example", delay=5):
            for name, value in sorted(example.items()):
                stored = _stored(value)
                hashed.update(f"{split} {found} {name} {len(stored)} ".encode() + stored)
            found += 1
        check_count(builder, split, found, info.num_examples)
    return hashed.hexdigest()[:16]


def data_set_name(builder: tfds.core.DatasetBuilder) -> str:
    """What results call a data set: its name, variant and version, as "lidc_v1/any_count/1.0.0".

    Own data has no variants: its builds are named after the times of the user's files, which are
    others in a copy of the same files.
    """
    info = builder.info
    return f"{info.name}/{info.version}" if info.name == OwnData.name else info.full_name


def _stored(value: Any) -> bytes:
    """The bytes of a feature; one of unknown size is stored as several."""
    if isinstance(value, dict):
        return b"".join(_stored(part) for _, part in sorted(value.items()))
    return value if isinstance(value, bytes) else np.asarray(value).tobytes()
