"""What only the bytes of a DICOM file tell: pixels that are missing, and a table for the values.

SimpleITK fills missing pixels up, and takes stored values for those that a modality LUT gives.
"""

import math
import os
import struct

import SimpleITK as sitk

from hpunet_jax.io.dicom_values import tag_of

_BITS_ALLOCATED, _SLOPE = "0028|0100", "0028|1053"
_PREAMBLE = 128  # bytes, then "DICM", then the elements of group 2
_META, _TRANSFER_SYNTAX = 2, (2, 0x10)
_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")  # whose lengths have four bytes after two of nothing
# Transfer syntaxes that are not compressed, and how a ModalityLUTSequence begins in them.
_MODALITY_LUT = {
    "1.2.840.10008.1.2": b"\x28\x00\x00\x30",
    "1.2.840.10008.1.2.1": b"\x28\x00\x00\x30SQ",
    "1.2.840.10008.1.2.2": b"\x00\x28\x30\x00SQ",
}


def check_bytes(file: str | os.PathLike[str], header: sitk.ImageFileReader) -> None:
    """Raises a `ValueError` that names a file whose values SimpleITK would make up.

    Args:
      file: a DICOM file; of one without preamble nothing is checked.
      header: what SimpleITK reads of it.
    """
    with open(file, "rb") as opened:
        syntax = _transfer_syntax(opened.read(1 << 16))
        if syntax not in _MODALITY_LUT:
            return
        size, bits = os.path.getsize(file), int(tag_of(header, _BITS_ALLOCATED) or 8)
        pixels = -(-bits * header.GetNumberOfComponents() * math.prod(header.GetSize()) // 8)
        if size < pixels:
            raise ValueError(
                f"{file} is damaged: its image has {pixels:,} bytes, but the file {size:,}. Fetch "
                "or export it again."
            )
        if tag_of(header, _SLOPE):
            return  # a file has this or a table
        opened.seek(0)
        tabled = _MODALITY_LUT[syntax] in opened.read(size - pixels)
    if tabled:
        raise ValueError(
            f"{file} gives its values by a table (ModalityLUTSequence), which is not read here: "
            "export it with a rescale slope and intercept."
        )


def _transfer_syntax(start: bytes) -> str:
    """The transfer syntax of a file that starts so; "" if it names none."""
    place = _PREAMBLE + 4
    if start[_PREAMBLE:place] != b"DICM":
        return ""
    while place + 12 <= len(start):
        group, element, kind, length = struct.unpack_from("<HH2sH", start, place)
        if group != _META:
            break
        place += 8
        if kind in _LONG:
            (length,) = struct.unpack_from("<I", start, place)
            place += 4
        if (group, element) == _TRANSFER_SYNTAX:
            return start[place : place + length].decode("ascii", "replace").strip(" \0")
        place += length
    return ""
