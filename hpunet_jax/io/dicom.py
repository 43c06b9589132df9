"""DICOM series by SimpleITK: the slices of a folder in their order, none missing, on one grid."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from hpunet_jax.io.listing import is_clutter, is_dicom

_MOST_UNEVEN = 0.01  # of the distance of two slices; positions are rounded in files
_PHOTOMETRIC = "0028|0004"  # what the values mean: white is high, white is 0, colours
_TYPES = {
    **{sitk.sitkUInt8: np.uint8, sitk.sitkUInt16: np.uint16, sitk.sitkUInt32: np.uint32},
    **{sitk.sitkInt8: np.int8, sitk.sitkInt16: np.int16, sitk.sitkInt32: np.int32},
    **{sitk.sitkInt64: np.int64, sitk.sitkFloat32: np.float32, sitk.sitkFloat64: np.float64},
}


def read_series(folder: str | os.PathLike[str]) -> tuple[sitk.Image, list[str]]:
    """Reads the one DICOM series of a folder.

    Args:
      folder: the folder; hidden files do not count.

    Returns:
      The volume, in the units that slope and intercept give (Hounsfield units of a CT), those of
      each slice its own, in the least type that holds all slices; and the files of its slices in
      their order.

    Raises:
      ValueError: if there is no series, or several; a slice is missing, or unlike the others; they
        are no grid; or a file is damaged. It names the folder and the files.
    """
    names = _files_of_series(pathlib.Path(folder))
    headers = [read_header(name) for name in names]
    _check_alike(folder, names, headers)
    if len(names) == 1:
        image = read_itk(sitk.ReadImage, names[0])
        place_frames(image, names[0])
        return image, names
    if any(header.GetSize()[2] > 1 for header in headers):
        raise ValueError(
            f"{folder} has {len(names)} files of several frames in one series: expected one such "
            "file, or files of one slice each; move the others elsewhere."
        )
    origins = np.array([header.GetOrigin() for header in headers])
    normal = np.asarray(headers[0].GetDirection()).reshape(3, 3)[:, 2]
    order = np.argsort(origins @ normal, kind="stable")
    names, origins = [names[i] for i in order], origins[order]
    _check_steps(folder, names, origins, normal)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    if (kind := _common_type(headers)) is not None:
        reader.SetOutputPixelType(kind)  # else all slices are cut to the type of the first
    try:
        return reader.Execute(), names
    except RuntimeError as error:
        raise ValueError(f"{folder} is a damaged DICOM series ({_reason(error)}).") from error


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


def tag_of(header: sitk.ImageFileReader, tag: str) -> str:
    """A tag's value without its padding; "" if the file lacks it."""
    return header.GetMetaData(tag).strip(" \0") if header.HasMetaDataKey(tag) else ""


def place_frames(image: sitk.Image, file: str | os.PathLike[str]) -> None:
    """Gives the frames of a DICOM file the geometry that it says they have.

    SimpleITK takes the first frame's slope and intercept for all, and believes voxels 1x1x1 mm
    large where positions are rounded. Files that say nothing of frames stay as they are.

    Args:
      image: what SimpleITK read of the file.
      file: the file.

    Raises:
      ValueError: if frames lack a position, are out of order, at uneven distances, or differ in
        orientation, size of pixels, slope or intercept; or pydicom, which reads this, is missing.
    """
    if image.GetDimension() != 3 or image.GetSize()[2] == 1:
        return
    try:
        import pydicom
    except ImportError as error:
        raise ValueError(
            f"{file} has several frames, whose places are read by pydicom, which is not installed: "
            "pip install hpunet_jax[dicom]."
        ) from error
    header = pydicom.dcmread(file, stop_before_pixels=True)
    if not (own := header.get("PerFrameFunctionalGroupsSequence")):
        return
    if len(own) != (count := image.GetSize()[2]):
        raise ValueError(
            f"{file} is damaged: it has {count} frames and describes {len(own)} of them."
        )
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    positions = [_of_frame(f, shared, "PlanePosition", "ImagePositionPatient") for f in own]
    alike = {
        name: [_of_frame(f, shared, group, name) for f in own]
        for group, name in (
            ("PlaneOrientation", "ImageOrientationPatient"),
            ("PixelMeasures", "PixelSpacing"),
            ("PixelValueTransformation", "RescaleSlope"),
            ("PixelValueTransformation", "RescaleIntercept"),
        )
    }
    for name, found in alike.items():
        other = next((n for n, value in enumerate(found) if value != found[0]), None)
        if other is not None:
            raise ValueError(
                f"{file} has frames that are no volume: frame 1 and frame {other + 1} have "
                f"different values of {name} ({_shown(found[0])} and {_shown(found[other])}): "
                "convert it to a series of one slice a file."
            )
    orientation = alike["ImageOrientationPatient"][0]
    if not any(positions):
        return  # nothing is known of their places
    if not all(positions) or not orientation:
        raise ValueError(
            f"{file} has frames without a position or orientation, others have one: convert it to "
            "a series of one slice a file."
        )
    rows, columns = orientation[:3], orientation[3:]
    origins, normal = np.array(positions), np.cross(rows, columns)
    steps = np.diff(origins @ normal)
    if steps.min() < 0 < steps.max():
        raise ValueError(
            f"{file} has frames out of order: they go to and fro along their normal; convert it to "
            "a series of one slice a file."
        )
    normal = normal if steps.max() > 0 else -normal
    _check_steps(file, [f"frame {n + 1}" for n in range(len(own))], origins, normal)
    image.SetOrigin(positions[0])
    high, wide = alike["PixelSpacing"][0] or image.GetSpacing()[1::-1]
    image.SetSpacing((wide, high, float(np.abs(steps).mean())))
    image.SetDirection(np.transpose([rows, columns, normal]).ravel().tolist())


def _of_frame(frame: Any, shared: Any, group: str, name: str) -> tuple[float, ...]:
    """Numbers that a frame, or all frames together, have in a functional group; () if none."""
    for holder in (frame, shared):
        value = (holder.get(f"{group}Sequence") or [{}])[0].get(name)
        if value is not None:
            return tuple(float(number) for number in np.ravel(value))
    return ()


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
        if is_dicom(file) and file.name not in listed and file.name.upper() != "DICOMDIR":
            raise ValueError(f"{file} is damaged, or no DICOM image: mend it or move it elsewhere.")
    if not found:
        raise ValueError(f"{folder} has no DICOM series: expected one in a folder of its own.")
    if len(found) > 1:
        examples = [f"{pathlib.Path(n[0]).name} of {len(n)} files" for n in found.values()]
        raise ValueError(
            f"{folder} has {len(found)} DICOM series: expected one in a folder of its own; one "
            f"begins with {examples[0]}, another with {examples[1]}."
        )
    return next(iter(found.values()))


def _check_alike(
    folder: str | os.PathLike[str], names: Sequence[str], headers: Sequence[sitk.ImageFileReader]
) -> None:
    """All slices must have one size, orientation, size of pixels and meaning of their values."""
    first = headers[0]
    for name, header in zip(names, headers, strict=True):
        files = f"{pathlib.Path(names[0]).name} and {pathlib.Path(name).name}"
        one, other = (tag_of(slice_, _PHOTOMETRIC) or "none" for slice_ in (first, header))
        if one != other:
            raise ValueError(
                f"{folder} has slices that are no volume: {files} have different photometric "
                f"interpretations ({one} and {other}): move what is another image elsewhere."
            )
        for what, one, other in (
            ("pixels", first.GetSize()[:2], header.GetSize()[:2]),
            ("mm of spacing", first.GetSpacing()[:2], header.GetSpacing()[:2]),
            ("directions of rows and columns", first.GetDirection(), header.GetDirection()),
        ):
            if not np.allclose(one, other, rtol=1e-4, atol=1e-4):
                raise ValueError(
                    f"{folder} has slices that are no volume: {files} have different {what} "
                    f"({_shown(one)} and {_shown(other)}). Move what is another image elsewhere."
                )


def _common_type(headers: Sequence[sitk.ImageFileReader]) -> int | None:
    """SimpleITK's number of the type that holds the values of all slices; None for colours."""
    kinds = {header.GetPixelID() for header in headers}
    if not kinds <= set(_TYPES):
        return None
    common = np.result_type(*(_TYPES[kind] for kind in kinds))
    return next(kind for kind, dtype in _TYPES.items() if dtype == common)


def _check_steps(
    folder: str | os.PathLike[str], names: Sequence[str], origins: np.ndarray, normal: np.ndarray
) -> None:
    """Slices must follow each other at even distances, straight along their normal."""
    moves = np.diff(origins, axis=0)
    steps = moves @ normal
    if not len(steps):
        return
    middle = np.median(steps)
    if np.ptp(steps) > _MOST_UNEVEN * middle:
        worst = int(np.argmax(np.abs(steps - middle)))
        first, second = (pathlib.Path(name).name for name in names[worst : worst + 2])
        raise ValueError(
            f"{folder} has slices at uneven distances: {first} and {second} are {steps[worst]:.3f} "
            f"mm apart, others {middle:.3f} mm. A slice is missing, or there twice."
        )
    if middle <= 0:
        raise ValueError(f"{folder} has slices at one place: expected one at each position.")
    aside = np.linalg.norm(moves - steps[:, None] * normal, axis=1).max()
    if aside > _MOST_UNEVEN * middle:
        raise ValueError(
            f"{folder} has a geometry that is no grid: each slice is shifted by up to {aside:.3f} "
            "mm against the one before (a tilted gantry?). Resample it first."
        )


def _reason(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1].removeprefix("sitk::ERROR: ")


def _shown(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
