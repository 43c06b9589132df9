"""Whose DICOM slices are: what results of a series say of it, beside its pixels."""

import hashlib
from collections.abc import Sequence

from hpunet_jax.io.dicom import read_header
from hpunet_jax.io.dicom_values import tag_of

# Of a series: patient (name, ID, birth date, sex), study, series and frame of reference.
_TAGS = ("0010|0010", "0010|0020", "0010|0030", "0010|0040", "0020|000d", "0020|000e", "0020|0052")
_INSTANCE = "0008|0018"


def source_digest(files: Sequence[str]) -> str:
    """A digest of whose slices some DICOM files are: patient, study, series and UIDs of the files.

    DICOM segmentations repeat these, so that one of another patient does not fit although all
    pixels are equal.

    Args:
      files: the files, in the order of the slices.

    Returns:
      16 hexadecimal digits.

    Raises:
      ValueError: if a file is damaged; it names the file.
    """
    digest = hashlib.sha256()
    for file in files:
        header = read_header(file)
        digest.update(repr([tag_of(header, tag) for tag in (*_TAGS, _INSTANCE)]).encode())
    return digest.hexdigest()[:16]


def patient_of(file: str) -> str:
    """The patient's ID that a DICOM file says; "" if it says none.

    Raises:
      ValueError: if the file is damaged; it names the file.
    """
    return tag_of(read_header(file), "0010|0020").strip()
