"""LIDC-IDRI (Appendix C): CT slices from DICOM files.

Of a scan, only the headers are read at once; pixels are read slice by slice, where they are needed.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pydicom
import scipy.ndimage

from hpunet_jax.data.lidc.lesions import CROP, RESOLUTION

_POSITION_TOLERANCE = 0.01  # mm
_IDENTITY = ("SeriesInstanceUID", "PatientID", "Modality")
_NEEDED = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "InstanceNumber",
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
        return BadScanError, (self.kind, str(self))


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
      pixel_spacing: size of a pixel in mm.
      slices: in the order of their instance numbers.
      dropped: UIDs of slices whose |SliceLocation| differs from |ImagePositionPatient[-1]|.
    """

    uid: str
    patient: str
    pixel_spacing: float
    slices: Sequence[Slice]
    dropped: Sequence[str]

    def find(self, z: float, uid: str | None) -> Slice | None:
        """The slice with this UID; if there is none, or no UID, the slice at this position."""
        by_uid = next((s for s in self.slices if s.uid == uid), None)
        if by_uid is not None or uid in self.dropped:
            return by_uid
        near = min(self.slices, key=lambda s: abs(s.z - z))
        return near if abs(near.z - z) <= _POSITION_TOLERANCE else None


def read_identity(folder: str | os.PathLike[str]) -> tuple[str, str, str]:
    """Reads which series a folder holds, from its first readable file.

    Args:
      folder: a folder with .dcm files.

    Returns:
      Series instance UID, patient and modality ("CT" for a CT scan).

    Raises:
      BadScanError: if no file is readable.
    """
    for path in dicom_files(folder):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_IDENTITY))
            return tuple(str(header[name].value) for name in _IDENTITY)
        except Exception:  # pydicom raises many kinds for damaged files
            continue
    raise BadScanError("damaged DICOM", f"{folder}: none of its .dcm files can be read.")


def dicom_files(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The DICOM files in a folder, sorted by name."""
    files = pathlib.Path(folder).iterdir()
    return sorted(
        path for path in files if path.suffix.lower() == ".dcm" and not path.name.startswith(".")
    )


def read_series(folder: str | os.PathLike[str]) -> Series:
    """Reads and checks the headers of all slices of a scan.

    Slices whose |SliceLocation| differs from |ImagePositionPatient[-1]| are left out; slices
    without a SliceLocation stay.

    Args:
      folder: the scan's .dcm files.

    Returns:
      The scan.

    Raises:
      BadScanError: if a file is damaged or cut short, or the slices do not belong together.
    """
    headers = [(path, _read_header(path)) for path in dicom_files(folder)]
    kept = [(path, header) for path, header in headers if _location_agrees(header)]
    if not kept:
        raise BadScanError(
            "no usable slices",
            f"{folder}: |SliceLocation| differs from |ImagePositionPatient[-1]| in all files.",
        )
    kept.sort(key=lambda item: int(item[1].InstanceNumber))
    uid = _common(kept, "several series in a folder", "SeriesInstanceUID")
    patient = _common(kept, "several patients in a folder", "PatientID")
    for name in ("Rows", "Columns"):
        _common(kept, "mixed image size", name)
    spacing = [float(length) for length in _common(kept, "mixed pixel spacing", "PixelSpacing")]
    if spacing[0] != spacing[1]:
        raise BadScanError(
            "mixed pixel spacing", f"{kept[0][0]} has pixels of {spacing} mm; expected squares."
        )
    slices = [
        Slice(path, str(header.SOPInstanceUID), float(header.ImagePositionPatient[-1]))
        for path, header in kept
    ]
    _check_order(slices)
    kept_uids = {s.uid for s in slices}
    dropped = [str(header.SOPInstanceUID) for _, header in headers]
    dropped = [one for one in dropped if one not in kept_uids]
    return Series(str(uid), str(patient), spacing[0], slices, dropped)


def read_hounsfield(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the pixels of a slice.

    Args:
      path: the DICOM file.

    Returns:
      Hounsfield units, float32 [H, W].

    Raises:
      BadScanError: if the file is damaged or compressed in a way that cannot be read here.
    """
    try:
        data = pydicom.dcmread(path)
        pixels = data.pixel_array
        slope, intercept = float(data.RescaleSlope), float(data.RescaleIntercept)
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise BadScanError(
            "damaged DICOM", f"{path} cannot be read ({error}). Download it again."
        ) from error
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def resample_crop(
    hounsfield: np.ndarray, centre: tuple[float, float], pixel_spacing: float, outside: float
) -> np.ndarray:
    """Cuts a crop out of a slice at 0.5 mm, bilinearly.

    Args:
      hounsfield: [H, W].
      centre: (x, y) in pixels.
      pixel_spacing: size of a pixel in mm.
      outside: value beyond the borders of the slice.

    Returns:
      float32 [180, 180], the pixels `lesion_masks` draws on.
    """
    offset = (np.arange(CROP) - (CROP - 1) / 2) * RESOLUTION / pixel_spacing
    y, x = np.meshgrid(centre[1] + offset, centre[0] + offset, indexing="ij")
    return scipy.ndimage.map_coordinates(
        hounsfield, [y, x], output=np.float32, order=1, mode="constant", cval=outside
    )


def to_grey(hounsfield: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Hounsfield units as uint8: the ends of the window become 0 and 255, linearly."""
    low, high = window
    return np.clip((hounsfield - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)


def _read_header(path: pathlib.Path) -> pydicom.Dataset:
    try:
        with path.open("rb") as file:
            header = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=[*_NEEDED, "SliceLocation"]
            )
            left = path.stat().st_size - file.tell()
        missing = [name for name in _NEEDED if header.get(name) in (None, "")]
        syntax = header.file_meta.TransferSyntaxUID
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise BadScanError(
            "damaged DICOM",
            f"{path} is damaged or no DICOM file ({error}). Download it again.",
        ) from error
    if missing:
        raise BadScanError(
            "damaged DICOM", f"{path} is cut short or incomplete: it has no {', '.join(missing)}."
        )
    if header.BitsAllocated != 16:
        raise BadScanError(
            "not 16 bits", f"{path} has {header.BitsAllocated} bits per pixel; expected 16."
        )
    element = 8 if syntax.is_implicit_VR else 12  # bytes in front of the pixels
    if not syntax.is_compressed and left < element + 2 * header.Rows * header.Columns:
        raise BadScanError(
            "damaged DICOM", f"{path} is cut short: pixels are missing. Download it again."
        )
    return header


def _location_agrees(header: pydicom.Dataset) -> bool:
    location = header.get("SliceLocation")
    if location in (None, ""):
        return True
    return abs(float(location)) == abs(float(header.ImagePositionPatient[-1]))


def _common(headers: Sequence[tuple[pathlib.Path, pydicom.Dataset]], kind: str, name: str):
    """The value of a field that must be the same in all files."""
    first_path, first = headers[0]
    for path, header in headers[1:]:
        if header[name].value != first[name].value:
            raise BadScanError(
                kind,
                f"{path} has {name} {header[name].value}, but {first_path} has "
                f"{first[name].value}; expected one value in all files of a scan.",
            )
    return first[name].value


def _check_order(slices: Sequence[Slice]) -> None:
    steps = np.sign(np.diff([s.z for s in slices]))
    wrong = np.flatnonzero(steps != (1 if steps.sum() >= 0 else -1))
    if wrong.size:
        before, after = slices[wrong[0]], slices[wrong[0] + 1]
        raise BadScanError(
            "slices out of order",
            f"{after.path} at {after.z} mm comes after {before.path.name} at {before.z} mm; "
            "expected positions that only rise or only fall with the instance number.",
        )
