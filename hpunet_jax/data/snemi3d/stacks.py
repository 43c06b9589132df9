"""SNEMI3D (Section 3.3, Appendix C): reading the stacks and cutting them into patches.

The challenge gives one annotated block of 1024x1024x100 voxels: an 8-bit volume and the neurites'
ids, as multi-page TIFF or as HDF5.
"""

import os
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8, UInt16

from hpunet_jax.io.walk import list_files

SHAPE = (100, 1024, 1024)  # z, y, x
PATCH = 256  # pixels
# First and last-but-one z of each split.
SPLITS = {"train": (0, 80), "validation": (80, 90), "test": (90, 100)}
MAX_ID = 65_535

_NAMES = {"volume": "train-input", "labels": "train-labels"}
_TIFF, _HDF5 = (".tif", ".tiff"), (".h5", ".hdf5", ".hdf")


def find_stacks(folder: str | os.PathLike[str]) -> tuple[pathlib.Path, pathlib.Path]:
    """Finds the volume and its labels below a folder.

    Args:
      folder: holds `train-input` and `train-labels`, each as .tif, .tiff, .h5 or .hdf5; folders
        in between do not matter, and an underscore may stand for the hyphen.

    Returns:
      The files of the volume and of the labels.

    Raises:
      FileNotFoundError: if one is missing.
      ValueError: if there is more than one candidate.
    """
    folder = pathlib.Path(folder)
    files = [path for path in list_files(folder) if path.suffix.lower() in (*_TIFF, *_HDF5)]
    found = []
    for kind, name in _NAMES.items():
        candidates = [path for path in files if path.stem.lower().replace("_", "-") == name]
        if not candidates:
            raise FileNotFoundError(
                f"the SNEMI3D {kind} is missing: there is no {name}.tif or {name}.h5 in {folder}. "
                "Download the training data of the challenge and unpack it there."
            )
        if len(candidates) > 1:
            raise ValueError(
                f"the SNEMI3D {kind} is there more than once: {', '.join(map(str, candidates))}. "
                "Leave only one of them."
            )
        found.append(candidates[0])
    return found[0], found[1]


def read_volume(
    path: str | os.PathLike[str], shape: tuple[int, ...] = SHAPE
) -> UInt8[np.ndarray, "z y x"]:
    """Reads the electron micrographs.

    Args:
      path: the stack.
      shape: what it must be.

    Returns:
      uint8 [z, y, x].

    Raises:
      ValueError: if the file is damaged, of another size or not 8-bit.
    """
    volume = read_stack(path, shape)
    if volume.dtype != np.uint8:
        raise ValueError(
            f"{path} has {volume.dtype} voxels; expected the 8-bit grey values (uint8) of the "
            "challenge. Download it again."
        )
    return volume


def read_labels(
    path: str | os.PathLike[str], shape: tuple[int, ...] = SHAPE
) -> UInt16[np.ndarray, "z y x"]:
    """Reads the neurites' ids.

    Args:
      path: the stack.
      shape: what it must be.

    Returns:
      uint16 [z, y, x]; 0 is background.

    Raises:
      ValueError: if the file is damaged, of another size, 8-bit, or has ids that do not fit.
    """
    labels = read_stack(path, shape)
    if labels.dtype.kind not in "iu" or labels.dtype.itemsize < 2:
        raise ValueError(
            f"{path} has {labels.dtype} voxels; expected integer ids of at least 16 bits: the "
            "block has more neurites than 8 bits can tell apart. Download it again."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > MAX_ID:
        raise ValueError(
            f"{path} has ids from {low} to {high}; expected 0 to {MAX_ID}. Renumber them, for "
            "instance with skimage.segmentation.relabel_sequential."
        )
    if not high:
        raise ValueError(f"{path} has only background (0); expected the neurites' ids.")
    return labels.astype(np.uint16)


def read_stack(
    path: str | os.PathLike[str], shape: tuple[int, ...] = SHAPE
) -> Shaped[np.ndarray, "z y x"]:
    """Reads a stack from TIFF or HDF5, as it is.

    Args:
      path: a .tif, .tiff, .h5 or .hdf5 file; a HDF5 file with a single data set of three axes.
      shape: what it must be.

    Returns:
      [z, y, x] of any type.

    Raises:
      ValueError: if the file is damaged or of another size.
    """
    path = pathlib.Path(path)
    read = _read_hdf5 if path.suffix.lower() in _HDF5 else _read_tiff
    try:
        return read(path, shape)
    except _WrongStack as error:
        raise ValueError(f"{path} {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # both libraries raise many kinds for damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}.") from error
        raise ValueError(
            f"{path} cannot be read; it is damaged, cut short or of another format ({error}). "
            "Download it again."
        ) from error


class _WrongStack(ValueError):
    """The file is fine, its content is not what it should be."""


def _check_shape(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(found) != tuple(expected):
        raise _WrongStack(
            f"has {'x'.join(map(str, found))} voxels; expected {'x'.join(map(str, expected))} "
            "(z, y, x), one grey value or id each."
        )


def _read_tiff(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    with tifffile.TiffFile(path) as stack:
        series = stack.series[0]
        _check_shape(series.shape, shape)
        compression = stack.pages.first.compression
        if compression != tifffile.COMPRESSION.NONE and not _has_decoder(compression):
            name = getattr(compression, "name", compression)
            raise _WrongStack(f"is compressed as {name}, for which no decoder is installed.")
        # tifffile fills what is cut off with zeros.
        for page in stack.pages:
            ends = np.add(page.dataoffsets, page.databytecounts)
            if ends.size == 0 or ends.max() > stack.filehandle.size:
                raise ValueError(f"page {page.index} lies beyond the end of the file")
        return series.asarray()


def _has_decoder(compression: int) -> bool:
    try:
        return tifffile.TIFF.DECOMPRESSORS[compression] is not None
    except KeyError:
        return False


def _read_hdf5(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    datasets = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: (
                datasets.update({name: item.ndim}) if isinstance(item, h5py.Dataset) else None
            )
        )
        stacks = [name for name, axes in datasets.items() if axes == 3]
        if len(stacks) != 1:
            raise _WrongStack(
                f"has the data sets {', '.join(sorted(datasets)) or '(none)'}; expected exactly "
                "one with three axes (z, y, x)."
            )
        stack = file[stacks[0]]
        _check_shape(stack.shape, shape)
        filters = stack.id.get_create_plist()
        for code, _, _, name in map(filters.get_filter, range(filters.get_nfilters())):
            if not h5py.h5z.filter_avail(code):
                name = name.decode(errors="replace") or code
                raise _WrongStack(
                    f"is compressed by the HDF5 filter {name}, which is not installed: the package "
                    "hdf5plugin has many."
                )
        return stack[()]


def patches(
    volume: UInt8[np.ndarray, "z y x"],
    labels: UInt16[np.ndarray, "z y x"],
    split: str,
    patch: int = PATCH,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Cuts the slices of a split into patches that do not overlap.

    Args:
      volume: [z, y, x].
      labels: [z, y, x].
      split: "train", "validation" or "test".
      patch: height and width of a patch.

    Yields:
      The patch's name, its part of the volume and its part of the labels, both [patch, patch],
      slice by slice, row by row.
    """
    first, end = SPLITS[split]
    for z in range(first, end):
        for y in range(0, volume.shape[1] - patch + 1, patch):
            for x in range(0, volume.shape[2] - patch + 1, patch):
                place = z, slice(y, y + patch), slice(x, x + patch)
                yield f"z{z:03d}_y{y:04d}_x{x:04d}", volume[place], labels[place]
