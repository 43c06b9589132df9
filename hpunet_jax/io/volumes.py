"""Volumes: read with their geometry, and results written back into the same geometry.

NIfTI, NRRD, MetaImage and DICOM series are read by SimpleITK, stacks of TIFF pages by tifffile,
HDF5 by h5py. Geometry is SimpleITK's: millimetres, axes x (columns), y (rows), z (slices), in the
patient's system of DICOM (LPS), also for NIfTI, whose file has another.
"""

import dataclasses
import gzip
import math
import os
import pathlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import SimpleITK as sitk
import tifffile
from jaxtyping import Integer, Num

from hpunet_jax.files import write_aside
from hpunet_jax.io.listing import is_clutter

_ITK = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".dcm")
_TIFF, _HDF5 = (".tif", ".tiff"), (".h5", ".hdf5")
MEDICAL = (*_ITK, *_HDF5)
WRITTEN = (".nii", ".nii.gz", ".nrrd", ".mha", *_TIFF)
_MOST_UNEVEN = 0.01  # of the distance of two slices; positions are rounded in files


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A volume.

    Attributes:
      array: numbers [D, H, W], slices, rows, columns, in the file's own units (Hounsfield units of
        a CT in DICOM, whose slope and intercept are applied).
      source: the file or folder, for messages.
      spacing: distance of voxels in x, y, z; 1, 1, 1 where the file does not know.
      origin: position of the first voxel in x, y, z.
      direction: the axes' directions, a 3x3 matrix row by row.
    """

    array: Num[np.ndarray, "D H W"]
    source: str
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def located(self) -> bool:
        """Whether the file knows a geometry."""
        return suffix_of(self.source) not in (*_TIFF, *_HDF5)

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Mm from row to row and from column to column; None where the file does not know."""
        return (self.spacing[1], self.spacing[0]) if self.located else None


def is_medical(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a volume, and of nothing else: all but TIFF."""
    return suffix_of(path) in MEDICAL or pathlib.Path(path).is_dir()


def is_volume(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a volume, or may be (TIFF); a folder may be a DICOM series."""
    return suffix_of(path) in (*_ITK, *_TIFF, *_HDF5) or pathlib.Path(path).is_dir()


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix in small letters, `.nii.gz` as one."""
    name = pathlib.Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else pathlib.Path(name).suffix


def read_volume(path: str | os.PathLike[str], dataset: str | None = None) -> Volume:
    """Reads a volume.

    Args:
      path: a NIfTI, NRRD, MetaImage, TIFF or HDF5 file, or the folder of a DICOM series.
      dataset: of HDF5, the data set in the file; None: the only one of three axes.

    Returns:
      The volume. TIFF and HDF5 know no geometry here.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is damaged, or no volume of single numbers; the message names it.
    """
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    suffix = suffix_of(path)
    if path.is_dir():
        return _read_series(path)
    if suffix in _ITK:
        image = _read_itk(sitk.ReadImage, path)
        if suffix.startswith(".nii"):
            _check_nifti_whole(path)
        return _from_itk(image, path)
    if suffix in _TIFF:
        return Volume(_read_tiff(path), str(path))
    if suffix in _HDF5:
        return Volume(_read_hdf5(path, dataset), str(path))
    raise ValueError(
        f"{path} is no volume: expected {', '.join((*_ITK, *_TIFF, *_HDF5))}, or the folder of a "
        "DICOM series."
    )


def write_volume(
    path: str | os.PathLike[str], array: Integer[np.ndarray, "D H W"], like: Volume
) -> None:
    """Writes a map of labels with the geometry of the volume it belongs to.

    Args:
      path: a NIfTI, NRRD, MetaImage (.mha) or TIFF file; the latter knows no geometry.
      array: integers [D, H, W]; int64 is written as the least unsigned type that holds it.
      like: the volume whose geometry it gets.

    Raises:
      ValueError: for another suffix, another size than the volume's, or labels below 0.
    """
    suffix = suffix_of(path)
    if suffix not in WRITTEN:
        raise ValueError(f"{path} cannot be written: expected one of {', '.join(WRITTEN)}.")
    if array.shape != like.array.shape:
        raise ValueError(
            f"{path}: labels of {_shown(array.shape)} voxels do not fit {like.source}, which has "
            f"{_shown(like.array.shape)}."
        )
    if array.size and array.min() < 0:
        raise ValueError(f"{path}: labels go down to {array.min()}: expected 0 or more.")
    array = array.astype(np.min_scalar_type(int(array.max(initial=0))))
    with write_aside(path) as aside:
        if suffix in _TIFF:
            tifffile.imwrite(aside, array, compression="deflate", photometric="minisblack")
            return
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(like.spacing)
        image.SetOrigin(like.origin)
        image.SetDirection(like.direction)
        # SimpleITK wants the suffix whole: of `.nii.gz`, the temporary name ends in `.gz` alone.
        whole = aside.with_name(f".{aside.name[1:].replace('.', '_')}{suffix}")
        try:
            sitk.WriteImage(image, str(whole), useCompression=True)
            whole.replace(aside)
        finally:
            whole.unlink(missing_ok=True)


def _from_itk(image: sitk.Image, path: pathlib.Path) -> Volume:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    elif image.GetDimension() == 2 and image.GetNumberOfComponentsPerPixel() == 1:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"{path} has {image.GetDimension()} axes and {image.GetNumberOfComponentsPerPixel()} "
            "values a voxel: expected 3 axes (slices, rows, columns) and 1 value."
        )
    return Volume(
        sitk.GetArrayFromImage(image),
        str(path),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
    )


def _read_itk(read: Callable[[Any], Any], what: str | os.PathLike[str]) -> Any:
    """Runs a reader of SimpleITK, whose errors are RuntimeErrors with places in its sources."""
    try:
        with open(what, "rb"):  # rights are no damage
            pass
        return read(str(what))
    except PermissionError as error:
        raise PermissionError(f"{what} may not be read by this user: change its rights.") from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("sitk::ERROR: ")
        raise ValueError(f"{what} is damaged or no volume ({reason}).") from error


def _check_nifti_whole(path: pathlib.Path) -> None:
    """SimpleITK fills up what a NIfTI file lacks at its end."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            size, expected = len(header := file.read(540)), _nifti_size(header)
            while part := file.read(2**24):
                size += len(part)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise ValueError(f"{path} is damaged or no volume ({error}).") from error
    if size < expected:
        raise ValueError(f"{path} is damaged: it has {size:,} bytes of {expected:,}.")


def _nifti_size(header: bytes) -> int:
    """Bytes that a NIfTI file should have, by the first 540 of it (NIfTI-1 or NIfTI-2)."""
    for order in "<>":
        if struct.unpack(f"{order}i", header[:4])[0] == 348:
            shape = struct.unpack(f"{order}8h", header[40:56])
            bits, begin = struct.unpack(f"{order}h34xf", header[72:112])
        elif struct.unpack(f"{order}i", header[:4])[0] == 540:
            shape = struct.unpack(f"{order}8q", header[16:80])
            bits, begin = (
                struct.unpack(f"{order}h", header[14:16])[0],
                struct.unpack(f"{order}q", header[168:176])[0],
            )
        else:
            continue
        return int(begin) + math.prod(shape[1 : shape[0] + 1]) * bits // 8
    return 0


def _read_series(folder: pathlib.Path) -> Volume:
    """The one DICOM series of a folder, in the order of its positions, none missing."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        found = f"{len(series)} DICOM series" if series else "no DICOM series"
        raise ValueError(f"{folder} has {found}: expected one in a folder of its own.")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    names = [name for name in names if not is_clutter(pathlib.Path(name).name)]
    headers = [_header(name) for name in names]
    normal = np.asarray(headers[0].GetDirection()).reshape(3, 3)[:, 2]
    places = np.array([np.dot(header.GetOrigin(), normal) for header in headers])
    order = np.argsort(places, kind="stable")
    names, places = [names[i] for i in order], places[order]
    steps = np.diff(places)
    if len(steps) and np.ptp(steps) > _MOST_UNEVEN * np.median(steps):
        worst = int(np.argmax(np.abs(steps - np.median(steps))))
        first, second = (pathlib.Path(name).name for name in names[worst : worst + 2])
        raise ValueError(
            f"{folder} has slices at uneven distances: {first} and {second} are {steps[worst]:.3f} "
            f"mm apart, others {np.median(steps):.3f} mm. A slice is missing, or there twice."
        )
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    try:
        return _from_itk(reader.Execute(), folder)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{folder} is a damaged DICOM series ({reason}).") from error


def _header(name: str) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    _read_itk(lambda _: reader.ReadImageInformation(), name)
    return reader


def _read_tiff(path: pathlib.Path) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as file:
            array = file.series[0].asarray() if len(file.series) == 1 else file.asarray(key=None)
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user: change its rights.") from error
    except (tifffile.TiffFileError, RuntimeError, ValueError, IndexError, OSError) as error:
        raise ValueError(f"{path} is damaged or no TIFF stack ({error}).") from error
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype.kind not in "uif":
        raise ValueError(
            f"{path} has {_shown(array.shape)} {array.dtype} values: expected a stack."
        )
    return array


def _read_hdf5(path: pathlib.Path, dataset: str | None) -> np.ndarray:
    try:
        with h5py.File(path) as file:
            names: list[str] = []
            file.visititems(
                lambda name, item: (
                    names.append(name)
                    if isinstance(item, h5py.Dataset)
                    and item.ndim == 3
                    and item.dtype.kind in "uifb"
                    else None
                )
            )
            chosen = [dataset] if dataset is not None else names
            if len(chosen) != 1 or chosen[0] not in names:
                raise KeyError(", ".join(names) or "none")
            values = file[chosen[0]][()]
            return values.astype(np.uint8) if values.dtype == bool else values
    except KeyError as error:
        wanted = f"no data set {dataset!r} of three axes" if dataset else "not one data set"
        raise ValueError(
            f"{path} has {wanted}: name one of those of three axes it has: {error.args[0]}."
        ) from error
    except OSError as error:
        raise ValueError(f"{path} is damaged or no HDF5 file ({error}).") from error


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
