"""DICOM series by SimpleITK: the slices of a folder in their order, none missing, on one grid."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk

from hpunet_jax.io.dicom_bytes import check_bytes
from hpunet_jax.io.dicom_frames import Frames, place_frames, read_frames
from hpunet_jax.io.dicom_steps import check_steps, shown
from hpunet_jax.io.dicom_values import (
    bits_stored,
    in_units,
    photometric,
    pixel_size,
    tag_of,
    white_is_0,
)
from hpunet_jax.io.listing import is_clutter, is_dicom

_NUMBER, _MODALITY, _DESCRIPTION = "0020|0011", "0008|0060", "0008|103e"  # of a series
_SHOWN = 4  # series that a message names
_TYPES = {
    **{sitk.sitkUInt8: np.uint8, sitk.sitkUInt16: np.uint16, sitk.sitkUInt32: np.uint32},
    **{sitk.sitkInt8: np.int8, sitk.sitkInt16: np.int16, sitk.sitkInt32: np.int32},
    **{sitk.sitkInt64: np.int64, sitk.sitkFloat32: np.float32, sitk.sitkFloat64: np.float64},
}


class Dicom(NamedTuple):
    """What DICOM files hold.

    Attributes:
      image: the geometry, and the values as SimpleITK reads them.
      values: numbers [D, H, W] in the units that slope and intercept give (Hounsfield units of a
        CT), those of each slice its own; None of colours. Unsigned integers of 8 and 16 bits are
        stored values.
      files: those of the slices in their order, or the one of all.
      bits: how many bits stored values have.
      white_is_0: whether the least value is shown as white.
      sized: whether the files say how large their pixels are.
    """

    image: sitk.Image
    values: np.ndarray | None
    files: list[str]
    bits: int
    white_is_0: bool
    sized: bool


def read_file(file: str) -> Dicom:
    """Reads a DICOM file of one slice, or of several frames.

    Raises:
      ValueError: if it is damaged, or its frames are no volume; it names the file.
    """
    header = read_header(file)
    check_bytes(file, header)
    image = read_itk(sitk.ReadImage, file)
    count = image.GetSize()[2] if image.GetDimension() == 3 else 1
    frames = read_frames(file, count) if count > 1 or not pixel_size(header, None) else None
    if frames and count > 1:
        place_frames(image, frames, file)
    return _dicom(image, [file], [header], frames)


def read_series(folder: str | os.PathLike[str]) -> Dicom:
    """Reads the one DICOM series of a folder.

    Args:
      folder: the folder; hidden files do not count.

    Returns:
      The volume, in the least type that holds all slices.

    Raises:
      ValueError: if there is no series, or several; a slice is missing, or unlike the others; they
        are no grid; or a file is damaged. It names the folder and the files.
    """
    names = _files_of_series(pathlib.Path(folder))
    if len(names) == 1:
        return read_file(names[0])
    headers = [read_header(name) for name in names]
    for name, header in zip(names, headers, strict=True):
        check_bytes(name, header)
    _check_alike(folder, names, headers)
    if any(header.GetSize()[2] > 1 for header in headers):
        raise ValueError(
            f"{folder} has {len(names)} files of several frames in one series: expected one such "
            "file, or files of one slice each; move the others elsewhere."
        )
    origins = np.array([header.GetOrigin() for header in headers])
    normal = np.asarray(headers[0].GetDirection()).reshape(3, 3)[:, 2]
    order = np.argsort(origins @ normal, kind="stable")
    names, headers, origins = [names[i] for i in order], [headers[i] for i in order], origins[order]
    check_steps(folder, names, origins, normal)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    if (kind := _common_type(headers)) is not None:
        reader.SetOutputPixelType(kind)  # else all slices are cut to the type of the first
    try:
        return _dicom(reader.Execute(), names, headers, None)
    except RuntimeError as error:
        raise ValueError(f"{folder} is a damaged DICOM series ({_reason(error)}).") from error


def _dicom(
    image: sitk.Image,
    files: list[str],
    headers: Sequence[sitk.ImageFileReader],
    frames: Frames | None,
) -> Dicom:
    values = None
    if image.GetNumberOfComponentsPerPixel() == 1 and image.GetDimension() == 3:
        values = in_units(sitk.GetArrayFromImage(image), headers, frames)
    if size := pixel_size(headers[0], frames):
        image.SetSpacing((size[1], size[0], *image.GetSpacing()[2:]))
    bits = max(map(bits_stored, headers))
    return Dicom(image, values, files, bits, white_is_0(headers[0]), size is not None)


def read_itk(read: Callable[[Any], Any], what: str | os.PathLike[str]) -> Any:
    """Runs a reader of SimpleITK, whose errors are RuntimeErrors with places in its sources.

    Args:
      read: takes the path as text.
      what: a file.

    Raises:
      PermissionError: if the file may not be read.
      ValueError: if the reader fails; it names the file and the reason.
    """
    try:
        with open(what, "rb"):  # rights are no damage
            pass
        return read(str(what))
    except PermissionError as error:
        raise PermissionError(f"{what} may not be read by this user: change its rights.") from error
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise ValueError(
                f"{what} has a geometry that is no grid: its axes are not at right angles. "
                "Resample it first."
            ) from error
        raise ValueError(f"{what} is damaged or no volume ({_reason(error)}).") from error


def read_header(file: str) -> sitk.ImageFileReader:
    """What a DICOM file says of its pixels, without them.

    Raises:
      ValueError: if the file is damaged; it names the file.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    read_itk(lambda _: reader.ReadImageInformation(), file)
    return reader


def _files_of_series(folder: pathlib.Path) -> list[str]:
    found = {
        series: [
            name
            for name in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
            if not is_clutter(pathlib.Path(name).name)
        ]
        for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    }
    found = {series: names for series, names in found.items() if names}
    listed = {pathlib.Path(name).name for names in found.values() for name in names}
    for file in sorted(folder.iterdir()):
        # GDCM passes over what it cannot read.
        if is_dicom(file) and file.name not in listed:
            raise ValueError(f"{file} is damaged, or no DICOM image: mend it or move it elsewhere.")
    if not found:
        raise ValueError(f"{folder} has no DICOM series: expected one in a folder of its own.")
    if len(found) > 1:
        named = "; ".join(_named(names) for names in list(found.values())[:_SHOWN])
        more = "; ..." if len(found) > _SHOWN else ""
        raise ValueError(
            f"{folder} has {len(found)} DICOM series: {named}{more}. Choose one by moving its "
            "files to a folder of its own."
        )
    return next(iter(found.values()))


def _named(names: Sequence[str]) -> str:
    """What a person knows a series by."""
    header = read_header(names[0])
    known = [tag_of(header, tag) for tag in (_NUMBER, _MODALITY, _DESCRIPTION)]
    count = f"{len(names):,} file{'s' if len(names) > 1 else ''}"
    return f"{' '.join(filter(None, known)) or 'one'} ({count}, {pathlib.Path(names[0]).name})"


def _check_alike(
    folder: str | os.PathLike[str], names: Sequence[str], headers: Sequence[sitk.ImageFileReader]
) -> None:
    """All slices must have one size, orientation, size of pixels and meaning of their values."""
    first = headers[0]
    for name, header in zip(names, headers, strict=True):
        files = f"{pathlib.Path(names[0]).name} and {pathlib.Path(name).name}"
        one, other = (photometric(slice_) for slice_ in (first, header))
        if one != other:
            raise ValueError(
                f"{folder} has slices that are no volume: {files} have different photometric "
                f"interpretations ({one} and {other}): move what is another image elsewhere."
            )
        for what, one, other in (
            ("pixels", first.GetSize()[:2], header.GetSize()[:2]),
            ("mm of spacing", *(pixel_size(slice_, None) or (0, 0) for slice_ in (first, header))),
            ("directions of rows and columns", first.GetDirection(), header.GetDirection()),
        ):
            if not np.allclose(one, other, rtol=1e-4, atol=1e-4):
                raise ValueError(
                    f"{folder} has slices that are no volume: {files} have different {what} "
                    f"({shown(one)} and {shown(other)}). Move what is another image elsewhere."
                )


def _common_type(headers: Sequence[sitk.ImageFileReader]) -> int | None:
    """SimpleITK's number of the type that holds the values of all slices; None for colours."""
    kinds = {header.GetPixelID() for header in headers}
    if not kinds <= set(_TYPES):
        return None
    common = np.result_type(*(_TYPES[kind] for kind in kinds))
    return next(kind for kind, dtype in _TYPES.items() if dtype == common)


def _reason(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1].removeprefix("sitk::ERROR: ")
