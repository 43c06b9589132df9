"""Volumes: read with their geometry. `write_volume` writes results into the same geometry.

NIfTI, NRRD, MetaImage and DICOM series are read by SimpleITK, stacks of TIFF pages by tifffile,
HDF5 by h5py. Geometry is SimpleITK's: millimetres, axes x (columns), y (rows), z (slices), in the
patient's system of DICOM (LPS), also for NIfTI, whose file has another.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import tifffile
from jaxtyping import Num

from hpunet_jax.io.detached import check_parts
from hpunet_jax.io.dicom import Dicom, read_file, read_itk, read_series
from hpunet_jax.io.dicom_seg_read import is_segmentation, read_segmentation
from hpunet_jax.io.hdf5 import read_hdf5
from hpunet_jax.io.listing import HDF5, ITK, KNOWN, TIFF, is_dicom, suffix_of
from hpunet_jax.io.nifti import Forms, check_nifti
from hpunet_jax.io.tiff import check_pages

_RIGHT_ANGLE = 1e-3  # by how much the product of two axes' directions may differ from 0


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
      files: of DICOM, the files of the slices in their order.
      flat: whether the file has but two axes.
      forms: of NIfTI, both geometries that it has, which may differ.
      bits: of DICOM, how many bits a value has; 0: all of its type, or it is no stored value.
      white_is_0: of DICOM, whether the least value is shown as white (MONOCHROME1).
      sized: whether a file that knows a geometry knows how large its pixels are, too.
      segments: whether it is a DICOM segmentation, which may leave out slices without labels.
    """

    array: Num[np.ndarray, "D H W"]
    source: str
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    files: tuple[str, ...] = ()
    flat: bool = False
    forms: Forms | None = None
    bits: int = 0
    white_is_0: bool = False
    sized: bool = True
    segments: bool = False

    @property
    def located(self) -> bool:
        """Whether the file knows a geometry."""
        return suffix_of(self.source) not in (*TIFF, *HDF5)

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Mm from row to row and from column to column; None where the file does not know."""
        return (self.spacing[1], self.spacing[0]) if self.located and self.sized else None


def read_volume(path: str | os.PathLike[str], dataset: str | None = None) -> Volume:
    """Reads a volume.

    Args:
      path: a NIfTI, NRRD, MetaImage, DICOM, TIFF or HDF5 file, or the folder of a DICOM series; a
        DICOM segmentation is the volume of its labels.
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
        return _from_dicom(read_series(path), path)
    if suffix in KNOWN and not path.stat().st_size:
        raise ValueError(f"{path} is empty: it has 0 bytes.")
    dicom = suffix == ".dcm" or (suffix not in KNOWN and is_dicom(path))
    if dicom and is_segmentation(path):
        found = read_segmentation(path)
        grid = (found.spacing, found.origin, found.direction)
        return Volume(found.labels, str(path), *grid, segments=True)
    if dicom:
        return _from_dicom(read_file(str(path)), path)
    if suffix in ITK:
        forms = None
        check_parts(path)
        if suffix.startswith(".nii"):
            forms = read_itk(check_nifti, path)
        return _from_itk(read_itk(sitk.ReadImage, path), path, forms)
    if suffix in TIFF:
        return Volume(_read_tiff(path), str(path))
    if suffix in HDF5:
        return Volume(read_hdf5(path, dataset), str(path))
    raise ValueError(
        f"{path} is no volume: expected {', '.join((*ITK, *TIFF, *HDF5))}, or the folder of a "
        "DICOM series."
    )


def _from_itk(
    image: sitk.Image,
    path: pathlib.Path,
    forms: Forms | None = None,
) -> Volume:
    axes, values = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if axes == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    elif axes == 2 and values == 1:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3 or values != 1:
        colours = " (colours)" if values in (3, 4) else ""
        raise ValueError(
            f"{path} has {axes} axes and {values} values a voxel{colours}: expected 3 axes "
            "(slices, rows, columns) and 1 value."
        )
    _check_grid(image, path)
    return Volume(
        sitk.GetArrayFromImage(image),
        str(path),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
        flat=axes == 2,
        forms=forms,
    )


def _from_dicom(dicom: Dicom, path: pathlib.Path) -> Volume:
    volume = _from_itk(dicom.image, path)
    array = volume.array if dicom.values is None else dicom.values
    return dataclasses.replace(
        volume,
        array=array,
        files=tuple(dicom.files),
        bits=dicom.bits if array.dtype in (np.uint8, np.uint16) else 0,
        white_is_0=dicom.white_is_0,
        sized=dicom.sized,
    )


def _check_grid(image: sitk.Image, path: pathlib.Path) -> None:
    """Refuses geometries whose voxels do not lie on a grid with right angles."""
    numbers = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    axes = np.reshape(image.GetDirection(), (3, 3))
    if not np.isfinite(numbers).all() or min(image.GetSpacing()) <= 0:
        wrong = f"its voxels are {_shown(image.GetSpacing())} mm large"
    elif np.abs(axes.T @ axes - np.eye(3)).max() > _RIGHT_ANGLE:
        wrong = "its axes are not at right angles"
    else:
        return
    raise ValueError(f"{path} has a geometry that is no grid: {wrong}. Resample it first.")


def _read_tiff(path: pathlib.Path) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as file:
            check_pages(file)
            array = file.series[0].asarray() if len(file.series) == 1 else file.asarray(key=None)
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user: change its rights.") from error
    except (tifffile.TiffFileError, RuntimeError, ValueError, IndexError, OSError) as error:
        raise ValueError(f"{path} is damaged or no TIFF stack ({error}).") from error
    array = array[None] if array.ndim == 2 else array
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim != 3 or array.dtype.kind not in "uif":
        raise ValueError(
            f"{path} has {_shown(array.shape)} {array.dtype} values: expected a stack."
        )
    return array


def _shown(lengths: Sequence[float]) -> str:
    return "x".join(f"{length:g}" for length in lengths)
