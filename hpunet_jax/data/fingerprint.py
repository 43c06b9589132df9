"""What tells one built data set from another: a digest of all that it holds."""

import hashlib
import pathlib

import tensorflow_datasets as tfds


def fingerprint(builder: tfds.core.DatasetBuilder) -> str:
    """A name for the content of a data set, of 16 hexadecimal digits.

    It follows from the data set's full name (with its version and config), its features and the
    bytes of the examples of all splits, and not from where the data set lies or when it was built.

    Args:
      builder: a prepared builder.

    Returns:
      The digest.

    Raises:
      FileNotFoundError: if a file of the data set is missing.
    """
    folder = pathlib.Path(builder.data_dir)
    names = [name for split in builder.info.splits.values() for name in split.filenames]
    hashed = hashlib.sha256(builder.info.full_name.encode())
    for name in ("features.json", *sorted(names)):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} is incomplete, {name} is missing: remove the folder and build the data "
                "set again."
            )
        with path.open("rb") as file:
            hashed.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return hashed.hexdigest()[:16]
