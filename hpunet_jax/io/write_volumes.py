"""Results of a volume, written in its own format and geometry, so that they open over it."""

import gzip
import os
import pathlib
import shutil

import h5py
import numpy as np
import SimpleITK as sitk
import tifffile
from jaxtyping import Float32, Integer

from hpunet_jax.files import cannot_write, write_aside
from hpunet_jax.io.dicom_seg import check_segmentation, write_segmentation
from hpunet_jax.io.listing import HDF5, TIFF, suffix_of
from hpunet_jax.io.volumes import Volume

_ITK = (".nii", ".nii.gz", ".nrrd", ".mha")
WRITTEN = (*_ITK, *TIFF, *HDF5, ".dcm")
DATASET = "volume"
"""The data set in HDF5 files that are written."""


def result_suffix(like: Volume, floats: bool = False) -> str:
    """The suffix of the files that results of a volume are written to: its own, where possible.

    Results of a DICOM series are DICOM segmentations, which hold labels only; maps of floating
    point numbers become NIfTI. Those of `.mhd`, which is two files, become `.mha`.

    Args:
      like: the volume.
      floats: whether the results are floating point numbers.
    """
    if like.files:
        return ".nii.gz" if floats else ".dcm"
    suffix = suffix_of(like.source)
    return ".mha" if suffix == ".mhd" else suffix


def check_writable(like: Volume) -> None:
    """Refuses a volume whose results could not be written in its format, before they are computed.

    Raises:
      ValueError: if it is a DICOM series that lacks what a segmentation must say; it names a file.
    """
    if like.files:
        check_segmentation(like.array.shape, like.files, like.spacing[2])


def write_volume(
    path: str | os.PathLike[str],
    array: Integer[np.ndarray, "D H W"] | Float32[np.ndarray, "D H W"],
    like: Volume,
    instances: bool = False,
) -> None:
    """Writes labels, or a map of numbers, with the geometry of the volume it belongs to.

    Args:
      path: a NIfTI, NRRD, MetaImage (.mha), TIFF or HDF5 file, of which the latter two know no
        geometry; or of a DICOM series also a DICOM segmentation (.dcm), only of labels.
      array: integers [D, H, W], written as the least unsigned type that holds them; or float32.
      like: the volume whose geometry it gets.
      instances: whether labels are instances rather than classes.

    Raises:
      ValueError: for another suffix, another size than the volume's, labels below 0, or what a
        DICOM segmentation cannot hold.
    """
    suffix = suffix_of(path)
    if suffix not in WRITTEN:
        raise ValueError(f"{path} cannot be written: expected one of {', '.join(WRITTEN)}.")
    if suffix == ".dcm" and (not like.files or array.dtype.kind == "f"):
        raise ValueError(
            f"{path}: DICOM segmentations hold labels of a DICOM series only: write .nii.gz."
        )
    if array.shape != like.array.shape:
        raise ValueError(
            f"{path}: labels of {_shown(array.shape)} voxels do not fit {like.source}, which has "
            f"{_shown(like.array.shape)}."
        )
    if array.dtype.kind != "f":
        if array.size and array.min() < 0:
            raise ValueError(f"{path}: labels go down to {array.min()}: expected 0 or more.")
        array = array.astype(np.min_scalar_type(int(array.max(initial=0))))
    with write_aside(path) as aside:
        if suffix in TIFF:
            tifffile.imwrite(aside, array, compression="deflate", photometric="minisblack")
        elif suffix in HDF5:
            with h5py.File(aside, "w") as file:
                file.create_dataset(DATASET, data=array, compression="gzip", compression_opts=1)
        elif suffix == ".dcm":
            name = pathlib.Path(path).stem
            write_segmentation(aside, array, like.files, like.spacing[2], name, instances)
        else:
            _write_itk(aside, suffix, array, like)


def _write_itk(aside: pathlib.Path, suffix: str, array: np.ndarray, like: Volume) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(like.spacing)
    image.SetOrigin(like.origin)
    image.SetDirection(like.direction)
    image = image[..., 0] if like.flat else image
    # SimpleITK wants the suffix whole: of `.nii.gz`, the temporary name ends in `.gz` alone.
    both = like.forms if suffix.startswith(".nii") else None
    written = ".nii" if both else suffix
    whole = aside.with_name(f".{aside.name[1:].replace('.', '_')}{written}")
    try:
        sitk.WriteImage(image, str(whole), useCompression=True)
        if both:  # SimpleITK writes the one it read twice
            with whole.open("r+b") as file:
                both.put_into(file)
        if suffix == written:
            whole.replace(aside)
        else:
            with (
                whole.open("rb") as plain,
                aside.open("wb") as file,
                gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
            ):
                shutil.copyfileobj(plain, packed)
    except RuntimeError as error:  # of SimpleITK, which does not say what the system said
        raise cannot_write(aside.parent, error) from error
    finally:
        whole.unlink(missing_ok=True)


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
