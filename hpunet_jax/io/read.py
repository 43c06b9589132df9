"""Reading any file that a user has: the one door for images, maps of labels and volumes.

A volume is its slices. Pictures are decoded from memory (`decode`), volumes with their geometry
(`volumes`); either way the values become those of a network by the same `Preparation`.
"""

import os

from hpunet_jax.io.decode import decode_label_values, decode_values, whole_numbers
from hpunet_jax.io.image import Image, Slices
from hpunet_jax.io.listing import is_medical
from hpunet_jax.io.preparation import AS_STORED, Preparation
from hpunet_jax.io.stored import invert, read_bytes, stretch
from hpunet_jax.io.volumes import Volume, read_volume


def read_image(path: str | os.PathLike[str], preparation: Preparation = AS_STORED) -> Image:
    """Reads one image.

    Args:
      path: as for `read_slices`; a volume must have one slice.
      preparation: as for `read_slices`.

    Returns:
      The image, uint8 or uint16 [H, W, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
      OSError: if it cannot be read at all.
    """
    return _only(read_slices(path, preparation))


def read_labels(path: str | os.PathLike[str]) -> Image:
    """Reads one map of classes or instances.

    Args:
      path: as for `read_slices`, but compressed without loss.

    Returns:
      The labels, integers [H, W].

    Raises:
      ValueError: if the file is damaged or no such image; the message names it and says which.
      OSError: if it cannot be read at all.
    """
    return _only(read_label_slices(path))


def read_slices(
    path: str | os.PathLike[str],
    preparation: Preparation = AS_STORED,
    name: str | None = None,
) -> Slices:
    """Reads an image, or all slices of a volume, and prepares it for a network.

    Args:
      path: a PNG, JPEG, TIFF, BMP or WebP file, whose content decides which; a NIfTI, NRRD,
        MetaImage, DICOM or HDF5 file, which its suffix says; or the folder of a DICOM series.
      preparation: window and spacing.
      name: the file, for messages; None: its path.

    Returns:
      The slices, uint8 or uint16 [D, h, w, 1 or 3].

    Raises:
      ValueError: if the file is damaged or no such image, or cannot be prepared; the message names
        it and says why.
      OSError: if it cannot be read at all.
    """
    source = os.fspath(path) if name is None else name
    as_shown = not (preparation.window or preparation.percentiles)
    if is_medical(path):
        volume = read_volume(path, preparation.hdf5[0] if preparation.hdf5 else None)
        if volume.segments:
            raise ValueError(
                f"{source} is a DICOM segmentation: expected an image; labels are read as masks."
            )
        values, turned = volume.array[..., None], False
        inverted = volume.white_is_0 and not as_shown
        if as_shown and volume.bits:
            values = invert(values, volume.bits) if volume.white_is_0 else values
            values = stretch(values, volume.bits)
    else:
        values, turned, inverted = decode_values(read_bytes(path), source, as_shown)
        volume = Volume(values[..., 0], os.fspath(path)) if len(values) > 1 else None
    spacing = volume.pixel_spacing if volume else None
    ends = preparation.ends(values, source)
    array = preparation.between(ends, values, spacing, source)
    if inverted:  # the window is in the file's units, so that it goes first
        array, ends = invert(array, 0), ends and ends[::-1]
    return Slices(
        array=array,
        source=source,
        size=values.shape[1:3],
        turned=turned,
        volume=volume,
        stored=values,
        values=(float(values.min()), float(values.max())),
        ends=ends,
    )


def read_label_slices(
    path: str | os.PathLike[str], dataset: str | None = None, name: str | None = None
) -> Slices:
    """Reads a map of classes or instances, or all slices of a volume of them, as they are.

    Args:
      path: as for `read_slices`, but compressed without loss.
      dataset: of HDF5, the data set in the file; None: the only one of three axes.
      name: the file, for messages; None: its path.

    Returns:
      The slices, integers [D, H, W].

    Raises:
      ValueError: if the file is damaged or no such map; the message names it and says why.
      OSError: if it cannot be read at all.
    """
    source = os.fspath(path) if name is None else name
    if is_medical(path):
        volume = read_volume(path, dataset)
        labels, turned = whole_numbers(volume.array, source), False
        if volume.white_is_0:
            if not volume.bits:
                raise ValueError(
                    f"{source} says that its least value is white (MONOCHROME1) and has "
                    f"{labels.dtype} values, which leaves open which is 0: save it as MONOCHROME2."
                )
            labels = invert(labels, volume.bits)
    else:
        labels, turned, _ = decode_label_values(read_bytes(path), source)
        volume = Volume(labels, os.fspath(path)) if len(labels) > 1 else None
    return Slices(labels, source, labels.shape[1:], turned, volume)


def _only(slices: Slices) -> Image:
    if len(slices.array) > 1:
        raise ValueError(
            f"{slices.source} is a volume of {len(slices.array)} slices: expected one image."
        )
    return Image(slices.array[0], slices.source, slices.turned)
