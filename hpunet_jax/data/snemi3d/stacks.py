"""SNEMI3D (Section 3.3, Appendix C): finding and reading the stacks.

The challenge gives one annotated block of 1024x1024x100 voxels: an 8-bit volume and the neurites'
ids, as multi-page TIFF or as HDF5.
"""

import os
import pathlib
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8, UInt16

from hpunet_jax.io import Slices, read_label_slices, read_slices
from hpunet_jax.io.listing import HDF5, TIFF, suffix_of
from hpunet_jax.io.preparation import WindowNeeded
from hpunet_jax.io.walk import list_files

SHAPE = (100, 1024, 1024)  # z, y, x
PATCH = 256  # pixels
# First and last-but-one z of each split.
SPLITS = {"train": (0, 80), "validation": (80, 90), "test": (90, 100)}
MAX_ID = 65_535

_NAMES = {"volume": "train-input", "labels": "train-labels"}


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
    files = [path for path in list_files(folder) if suffix_of(path) in (*TIFF, *HDF5)]
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
    expected = "expected the 8-bit grey values (uint8) of the challenge. Download it again."
    try:
        volume = _read(read_slices, path, shape)
    except WindowNeeded as error:
        low, high = error.values
        raise ValueError(f"{path} has values from {low:g} to {high:g}; {expected}") from error
    if volume.dtype != np.uint8:
        raise ValueError(f"{path} has {volume.dtype} voxels; {expected}")
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
    labels = _read(read_label_slices, path, shape)
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


def _read(
    read: Callable[..., Slices], path: str | os.PathLike[str], shape: tuple[int, ...]
) -> np.ndarray:
    try:
        voxels = read(path).array
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    voxels = voxels[..., 0] if voxels.shape[3:] == (1,) else voxels
    if voxels.shape != tuple(shape):
        raise ValueError(
            f"{path} has {'x'.join(map(str, voxels.shape))} voxels; expected "
            f"{'x'.join(map(str, shape))} (z, y, x), one grey value or id each."
        )
    return voxels
