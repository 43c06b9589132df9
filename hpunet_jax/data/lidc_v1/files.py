"""The two forms in which the slices are passed on: a pickle, and HDF5.

data_lidc.pickle   {name: {image: float [128, 128] in [0, 1], masks: four [128, 128] of 0 and 1,
                   series_uid: text}}, as published with Knegt's Probabilistic U-Net in PyTorch
data_lidc.hdf5     groups train, val, test with images [n, 128, 128] (0.5 less), labels
                   [n, 128, 128, 4] and uids [n], as PHiSeg's code makes it of the pickle; or a
                   group for each name, with the same entries as in the pickle
"""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import UInt8, UInt16

from hpunet_jax.data.lidc.lesions import GRADERS
from hpunet_jax.data.lidc_v1.array_pickle import read_array_pickle
from hpunet_jax.data.lidc_v1.split import draw_split

SIZE = 128
PICKLES, HDF5 = (".pickle", ".pkl", ".p"), (".hdf5", ".h5")
_PARTS = ("train", "val", "test")
_FIELDS = ("image", "masks", "series_uid")


class Slice(NamedTuple):
    """One slice.

    Attributes:
      name: its name in the file.
      image: [128, 128], 0 to 65535 for 0 to 1.
      masks: [128, 128, 4], 0 or 1.
    """

    name: str
    image: UInt16[np.ndarray, "128 128"]
    masks: UInt8[np.ndarray, "128 128 4"]


class Slices:
    """The slices of a file, by part."""

    def __init__(self, path: str | os.PathLike[str]):
        """Opens a file and finds its split: its own if it has one, else `split.draw_split`.

        Args:
          path: .pickle (read whole) or .hdf5.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it holds something else, naming what.
        """
        self.path = pathlib.Path(path)
        if self.path.suffix.lower() in HDF5:
            try:
                content: Any = h5py.File(self.path)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{path} does not exist.") from error
            except OSError as error:
                raise ValueError(f"{path} is damaged, or no HDF5 file ({error}).") from error
        else:
            content = read_array_pickle(self.path)
        if not isinstance(content, Mapping) or not len(content):
            raise ValueError(f"{path} holds a {type(content).__name__}: expected slices by name.")
        self._content = content
        self._shift = 0.0
        if set(content) <= set(_PARTS) and isinstance(content, h5py.File):
            self._names = {part: self._numbered(part) for part in _PARTS if part in content}
        else:
            self._names = self._by_subject()

    def counts(self) -> dict[str, int]:
        """The number of slices of each part."""
        return {part: len(names) for part, names in self._names.items()}

    def read(self, part: str) -> Iterator[Slice]:
        """The slices of a part, in the order of the file.

        Raises:
          ValueError: naming the slice that is not as it should be.
        """
        for name in self._names[part]:
            if part in self._content:
                group, number = self._content[part], int(name.rpartition("/")[2])
                image, masks = group["images"][number], group["labels"][number]
            else:
                entry = self._content[name]
                image, masks = entry["image"], entry["masks"]
            where = f"{self.path}: {name}"
            yield Slice(name, _image(image, self._shift, where), _masks(masks, where))

    def _numbered(self, part: str) -> list[str]:
        """The slices of a part of PHiSeg's form."""
        group = self._content[part]
        if not isinstance(group, h5py.Group) or not {"images", "labels"} <= set(group):
            raise ValueError(f"{self.path}: {part} has no images and labels.")
        if len(group["images"]) != len(group["labels"]):
            raise ValueError(
                f"{self.path}: {part} has {len(group['images']):,} images and "
                f"{len(group['labels']):,} labels: expected as many."
            )
        if any(image.min() < 0 for image in group["images"]):
            self._shift = 0.5
        return [f"{part}/{number}" for number in range(len(group["images"]))]

    def _by_subject(self) -> dict[str, list[str]]:
        series = {}
        for name, entry in self._content.items():
            has = entry.keys() if isinstance(entry, Mapping) else ()
            if missing := [field for field in _FIELDS if field not in has]:
                raise ValueError(
                    f"{self.path}: {name!r} has no {missing[0]!r}: expected {', '.join(_FIELDS)}."
                )
            series[name] = _as_text(entry["series_uid"], f"{self.path}: {name}")
        split = draw_split(series)
        names: dict[str, list[str]] = {part: [] for part in _PARTS}
        for name, part in split.items():
            names[part].append(name)
        return names


def _as_text(uid: Any, where: str) -> str:
    if isinstance(uid, h5py.Dataset):
        uid = uid[()]
    if isinstance(uid, np.ndarray) and uid.ndim == 0:
        uid = uid.item()
    if isinstance(uid, bytes):
        uid = uid.decode("latin1")
    if not isinstance(uid, str) or not uid:
        raise ValueError(f"{where} has the series_uid {uid!r}: expected a text.")
    return uid


def _image(image: Any, shift: float, where: str) -> np.ndarray:
    array = np.asarray(image)
    if array.shape != (SIZE, SIZE) or array.dtype.kind != "f":
        raise ValueError(
            f"{where} has an image of {array.shape} {array.dtype} values: expected {SIZE}x{SIZE} "
            "floating-point numbers."
        )
    array = array.astype(np.float64) + shift
    tolerance = 1e-6  # of float32 less 0.5
    if not (np.isfinite(array).all() and -tolerance <= array.min() <= array.max() <= 1 + tolerance):
        raise ValueError(
            f"{where} has values from {array.min():g} to {array.max():g}: expected 0 to 1"
            + (" (less 0.5)." if shift else ".")
        )
    return np.round(65535 * np.clip(array, 0, 1)).astype(np.uint16)


def _masks(masks: Any, where: str) -> np.ndarray:
    planes = [np.asarray(mask) for mask in masks] if isinstance(masks, list | tuple) else masks
    if len({np.shape(plane) for plane in planes}) > 1:
        raise ValueError(f"{where} has masks of different sizes.")
    array = np.asarray(planes)
    if array.shape == (GRADERS, SIZE, SIZE):
        array = np.moveaxis(array, 0, -1)
    if array.shape != (SIZE, SIZE, GRADERS) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{where} has masks of {array.shape} {array.dtype} values: expected {GRADERS} of "
            f"{SIZE}x{SIZE}."
        )
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"{where} has masks of other values than 0 and 1.")
    return np.ascontiguousarray(array.astype(np.uint8))
