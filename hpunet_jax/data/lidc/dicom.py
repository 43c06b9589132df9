"""LIDC-IDRI (Appendix C): CT slices from DICOM files.

Of a scan, only the headers are read at once; pixels are read slice by slice, where they are needed.
A slice is known by its SOP instance UID; in which order slices or files stand does not matter.
"""

import dataclasses
import math
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pydicom
import pydicom.pixels
from jaxtyping import Float32
from pydicom.uid import UID

from hpunet_jax.io.listing import looks_like_dicom

_POSITION_TOLERANCE = 0.01  # mm
_SPACING_TOLERANCE = 1e-4  # relative; a pixel lies to within a twentieth of one on 512 of them
_IDENTITY = ("SeriesInstanceUID", "PatientID", "Modality")
_NEEDED = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "BitsAllocated",
    "RescaleSlope",
    "RescaleIntercept",
)


class BadScanError(ValueError):
    """A scan that cannot be used.

    Attributes:
      kind: what is wrong in few words, for counting.
    """

    def __init__(self, kind: str, message: str):
        """Args:
        kind: what is wrong in few words.
        message: a sentence that names the file.
        """
        super().__init__(message)
        self.kind = kind

    def __reduce__(self):  # so that it comes back from a worker process
        return type(self), (self.kind, str(self))


class AmbiguousSliceError(BadScanError):
    """Several images that differ could each be the slice that is looked for."""


@dataclasses.dataclass(frozen=True)
class Slice:
    """A slice that passed all checks: its file, SOP instance UID and position in mm."""

    path: pathlib.Path
    uid: str
    z: float


@dataclasses.dataclass(frozen=True)
class Series:
    """A CT scan.

    Attributes:
      uid: series instance UID.
      patient: for instance "LIDC-IDRI-0078".
      size: rows and columns of a slice.
      pixel_spacing: size of a pixel in mm.
      slices: by position, and by name where positions are equal.
      dropped: UIDs of slices whose |SliceLocation| differs from |ImagePositionPatient[-1]|.
    """

    uid: str
    patient: str
    size: tuple[int, int]
    pixel_spacing: float
    slices: Sequence[Slice]
    dropped: Sequence[str]

    def find(self, z: float, uids: Sequence[str] = ()) -> Slice | None:
        """The slice that is meant by a mark.

        Args:
          z: its position in mm.
          uids: UIDs that it may have. The first that the scan has decides; if it has none of
            them, the position does.

        Returns:
          The slice; None if the scan has no such slice, or has dropped it.

        Raises:
          AmbiguousSliceError: there are several images of this UID, or at this position, and they
            are not copies of each other.
        """
        for uid in uids:
            if found := [s for s in self.slices if s.uid == uid]:
                return _only(found, f"of the UID {uid}")
        if any(uid in self.dropped for uid in uids):
            return None
        near = [s for s in self.slices if abs(s.z - z) <= _POSITION_TOLERANCE]
        return _only(near, f"at {z} mm") if near else None


def _only(candidates: Sequence[Slice], where: str) -> Slice:
    first, *others = candidates
    for other in others:
        same = read_hounsfield(first.path), read_hounsfield(other.path)
        if not np.array_equal(*same) or abs(first.z - other.z) > _POSITION_TOLERANCE:
            raise AmbiguousSliceError(
                "several images of a marked slice",
                f"{first.path} and {other.path} are two images {where}, and differ.",
            )
    return first


def is_dicom(path: pathlib.Path) -> bool:
    """Whether a file looks like a DICOM slice: by its name, or by its first bytes.

    Args:
      path: the file. Hidden files and DICOMDIR, a table of contents, are none.
    """
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR":
        return False
    return looks_like_dicom(path)


def dicom_files(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The DICOM files in a folder, sorted by name."""
    return sorted(p for p in pathlib.Path(folder).iterdir() if p.is_file() and is_dicom(p))


def read_identity(folder: str | os.PathLike[str]) -> tuple[str, str, str]:
    """Reads which series a folder holds, from its first readable file.

    Args:
      folder: a folder with DICOM files.

    Returns:
      Series instance UID, patient and modality ("CT" for a CT scan).

    Raises:
      BadScanError: if no file is readable.
    """
    for path in dicom_files(folder):
        try:
            header = _quietly(path, stop_before_pixels=True, specific_tags=list(_IDENTITY))
            series, patient, modality = (str(header[name].value) for name in _IDENTITY)
            return series, patient, modality
        except Exception:  # pydicom raises many kinds for damaged files
            continue
    raise BadScanError("damaged DICOM", f"{folder}: none of its DICOM files can be read.")


def read_series(*folders: str | os.PathLike[str]) -> Series:
    """Reads and checks the headers of all slices of a scan.

    Slices whose |SliceLocation| differs from |ImagePositionPatient[-1]| are left out; slices
    without a SliceLocation stay.

    Args:
      *folders: hold the scan's DICOM files; several if parts or copies of it lie apart.

    Returns:
      The scan.

    Raises:
      BadScanError: if a file is damaged or cut short, or the slices do not belong together.
    """
    headers = [_read_header(path) for folder in folders for path in dicom_files(folder)]
    kept = [header for header in headers if header.location_agrees]
    if not kept:
        raise BadScanError(
            "no usable slices",
            f"{folders[0]}: |SliceLocation| differs from |ImagePositionPatient[-1]| in all files.",
        )
    first = kept[0]
    for kind, name, equal in _MUST_AGREE:
        for header in kept[1:]:
            value, expected = getattr(header, name), getattr(first, name)
            if not equal(value, expected):
                raise BadScanError(
                    kind,
                    f"{header.path} has {name} {value}, but {first.path} has {expected}; expected "
                    "one value in all files of a scan.",
                )
    if not _same_spacing(first.PixelSpacing, first.PixelSpacing[::-1]):
        raise BadScanError(
            "mixed pixel spacing",
            f"{first.path} has pixels of {first.PixelSpacing} mm; expected squares.",
        )
    slices = [Slice(header.path, header.SOPInstanceUID, header.z) for header in kept]
    slices.sort(key=lambda s: (s.z, s.path))
    uids = {s.uid for s in slices}
    dropped = [h.SOPInstanceUID for h in headers if h.SOPInstanceUID not in uids]
    spacing = first.PixelSpacing[0]
    size = first.Rows, first.Columns
    return Series(first.SeriesInstanceUID, first.PatientID, size, spacing, slices, dropped)


def read_hounsfield(path: str | os.PathLike[str]) -> Float32[np.ndarray, "H W"]:
    """Reads the pixels of a slice, compressed or not.

    Args:
      path: the DICOM file.

    Returns:
      Hounsfield units, float32 [H, W].

    Raises:
      BadScanError: if the file is damaged, or compressed in a way that no installed decoder reads.
    """
    path = pathlib.Path(path)
    try:
        data = _quietly(path)
        (slope,), (intercept,) = (_numbers(data, f"Rescale{x}", 1) for x in ("Slope", "Intercept"))
        _check_decoder(path, data.file_meta.TransferSyntaxUID)
        pixels = data.pixel_array
    except (BadScanError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise _unreadable(path, error) from error
    if pixels.ndim != 2:
        raise BadScanError(
            "not a single grey image",
            f"{path} has pixels of the shape {pixels.shape}; expected one grey image.",
        )
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)


@dataclasses.dataclass(frozen=True)
class _Header:
    """What is needed of a header, under DICOM's names; z and location in mm."""

    path: pathlib.Path
    SOPInstanceUID: str
    SeriesInstanceUID: str
    PatientID: str
    Rows: int
    Columns: int
    PixelSpacing: list[float]
    z: float
    location: float | None

    @property
    def location_agrees(self) -> bool:
        if self.location is None:
            return True
        return abs(abs(self.location) - abs(self.z)) <= _POSITION_TOLERANCE


def _same_spacing(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(
        math.isclose(a, b, rel_tol=_SPACING_TOLERANCE) for a, b in zip(one, other, strict=True)
    )


_MUST_AGREE = (
    ("several series in a folder", "SeriesInstanceUID", str.__eq__),
    ("several patients in a folder", "PatientID", str.__eq__),
    ("mixed image size", "Rows", int.__eq__),
    ("mixed image size", "Columns", int.__eq__),
    ("mixed pixel spacing", "PixelSpacing", _same_spacing),
)


def _read_header(path: pathlib.Path) -> _Header:
    try:
        with path.open("rb") as file:
            header = _quietly(
                file, stop_before_pixels=True, specific_tags=[*_NEEDED, "SliceLocation"]
            )
            left = path.stat().st_size - file.tell()
        missing = [name for name in _NEEDED if _is_empty(header, name)]
        if missing:
            raise BadScanError(
                "damaged DICOM",
                f"{path} is cut short or incomplete: it has no {', '.join(missing)}.",
            )
        syntax = header.file_meta.TransferSyntaxUID
        bits, rows, columns = header.BitsAllocated, header.Rows, header.Columns
        position = _numbers(header, "ImagePositionPatient", 3)
        spacing = _numbers(header, "PixelSpacing", 2)
        slope = _numbers(header, "RescaleSlope", 1) + _numbers(header, "RescaleIntercept", 1)
        location = None
        if not _is_empty(header, "SliceLocation"):
            (location,) = _numbers(header, "SliceLocation", 1)
        uids = [str(header[name].value) for name in ("SOPInstanceUID", *_IDENTITY[:2])]
    except BadScanError:
        raise
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise _unreadable(path, error) from error
    if bits != 16:
        raise BadScanError("not 16 bits", f"{path} has {bits} bits per pixel; expected 16.")
    for name, value in (
        ("Rows", rows),
        ("Columns", columns),
        ("PixelSpacing", min(spacing)),
        ("RescaleSlope", slope[0]),
    ):
        if value <= 0:
            raise BadScanError(
                "damaged DICOM", f"{path} is damaged: its {name} is {value}; expected more than 0."
            )
    element = 8 if syntax.is_implicit_VR else 12  # bytes in front of the pixels
    packed = syntax.is_compressed or syntax.is_deflated
    if not packed and left < element + 2 * rows * columns:
        raise BadScanError(
            "damaged DICOM", f"{path} is cut short: pixels are missing. Download it again."
        )
    return _Header(path, *uids, rows, columns, spacing, position[-1], location)


def _quietly(file: pathlib.Path | BinaryIO, **options: Any) -> pydicom.Dataset:
    """Reads a file; what pydicom warns of is checked here where it matters."""
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(file, **options)


def _is_empty(header: pydicom.Dataset, name: str) -> bool:
    item = header.get_item(name) if name in header else None
    return item is None or item.value in (None, b"", "")


def _numbers(header: pydicom.Dataset, name: str, count: int) -> list[float]:
    """The numbers of an element of decimal strings; also such as have a decimal comma."""
    value = header.get_item(name).value
    text = value.decode("ascii") if isinstance(value, bytes) else header[name].value
    parts = text.split("\\") if isinstance(text, str) else np.atleast_1d(text).tolist()
    numbers = [float(str(part).strip("\0 ").replace(",", ".")) for part in parts]
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"its {name} is {numbers}; expected {count} finite numbers")
    return numbers


def _check_decoder(path: pathlib.Path, syntax: UID) -> None:
    if not syntax.is_compressed:
        return
    try:
        decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        needs = f" It needs one of: {'; '.join(decoder.missing_dependencies)}." if decoder else ""
        raise BadScanError(
            "no decoder",
            f"{path} is compressed as {syntax.name}, for which no decoder is installed.{needs}",
        )


def _unreadable(path: pathlib.Path, error: Exception) -> BadScanError:
    """Says that a file is damaged, unless it is the computer that cannot read it."""
    if isinstance(error, OSError) and error.errno is not None:
        return BadScanError("unreadable file", f"{path} cannot be read: {error.strerror}.")
    return BadScanError(
        "damaged DICOM", f"{path} is damaged or no DICOM file ({error}). Download it again."
    )
