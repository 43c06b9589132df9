"""NIfTI files, as far as SimpleITK does not tell what is in them."""

import gzip
import math
import os
import pathlib
import struct
import zlib
from typing import BinaryIO, NamedTuple

import numpy as np

_HEADER = 348  # bytes of NIfTI-1's header
_HEADER_2 = 540  # of NIfTI-2's
_FORMS = ((76, "4f"), (123, "B"), (252, "2h18f"))  # where the header has what `Forms` has
_FLOATS = {16: "f4", 64: "f8"}


class Forms(NamedTuple):
    """Both geometries of a NIfTI file: qform and sform, of which SimpleITK knows but one.

    Attributes:
      pixdim: the sign of the third axis, and the distances of voxels.
      units: what distances are in.
      forms: the codes of both, then their numbers.
    """

    pixdim: tuple[float, ...]
    units: int
    forms: tuple[float, ...]

    @classmethod
    def of(cls, header: bytes, order: str) -> "Forms":
        """The forms in a header whose order of bytes is "<" or ">"."""
        pixdim, (units,), forms = (
            struct.unpack_from(f"{order}{kind}", header, at) for at, kind in _FORMS
        )
        return cls(pixdim, units, forms)

    def put_into(self, file: BinaryIO) -> None:
        """Overwrites those of a file of the same grid, as SimpleITK wrote it, not compressed."""
        order = "<" if struct.unpack("<i", file.read(4))[0] == _HEADER else ">"
        for (at, kind), values in zip(
            _FORMS, (self.pixdim, (self.units,), self.forms), strict=True
        ):
            file.seek(at)
            file.write(struct.pack(f"{order}{kind}", *values))


def check_nifti(path: str | os.PathLike[str]) -> Forms | None:
    """Refuses what SimpleITK would fill up: the end that a file lacks, and values that are none.

    Files that are no NIfTI pass.

    Returns:
      The geometries of the file; None if it is no NIfTI.

    Raises:
      ValueError: if the file is damaged, NIfTI-2, or has NaN or infinity; it names the file.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            header = file.read(_HEADER)
            if (order := _order_of(path, header)) is None:
                return None
            shape = struct.unpack(f"{order}8h", header[40:56])
            code, bits, begin = struct.unpack(f"{order}2h34xf", header[70:112])
            if not 0 <= begin < 2**31:
                raise ValueError(f"{path} is damaged: its values begin at byte {begin:g}.")
            expected = int(begin) + math.prod(shape[1 : shape[0] + 1]) * bits // 8
            file.seek(int(begin))
            size, kind = int(begin), _FLOATS.get(code)
            while part := file.read(2**24):
                size += len(part)
                if kind and not _finite(part, f"{order}{kind}"):
                    raise ValueError(
                        f"{path} has values that are no finite numbers (NaN or infinity): replace "
                        "them."
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise ValueError(f"{path} is damaged or no volume ({error}).") from error
    if size < expected:
        raise ValueError(f"{path} is damaged: it has {size:,} bytes of {expected:,}.")
    return Forms.of(header, order)


def _order_of(path: pathlib.Path, header: bytes) -> str | None:
    """The order of bytes, "<" or ">", by the header of a NIfTI-1 file; None if it is none."""
    for order in "<>":
        size = struct.unpack(f"{order}i", header[:4])[0]
        if size == _HEADER:
            return order
        if size == _HEADER_2:
            raise ValueError(f"{path} is NIfTI-2, which is not read: convert it to NIfTI-1.")
    return None


def _finite(part: bytes, dtype: str) -> bool:
    values = np.frombuffer(part, dtype, len(part) // np.dtype(dtype).itemsize)
    return bool(np.isfinite(values).all())
