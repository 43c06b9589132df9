"""Volumes in HDF5 files, by h5py."""

import pathlib

import h5py
import numpy as np

_SHOWN = 8  # data sets that a message names


def read_hdf5(path: pathlib.Path, dataset: str | None) -> np.ndarray:
    """Reads a data set of three axes.

    Args:
      path: the file.
      dataset: its name, with the groups that it lies in, as `volumes/raw`, with or without a slash
        before it; None: the only one of three axes.

    Returns:
      Integers or floating-point numbers [D, H, W] in the machine's own order of bytes; bools are
      uint8.

    Raises:
      PermissionError: if the file may not be read.
      ValueError: if it is damaged, or there is no such data set, or several; it names those that
        there are.
    """
    try:
        with h5py.File(path) as file:
            found = _data_sets(file)
            fit = {name: item for name, item in found.items() if _is_volume(item)}
            if dataset is not None:
                item = file.get(dataset.strip("/"))  # also by a link, which is not listed
                chosen = [item] if isinstance(item, h5py.Dataset) and _is_volume(item) else []
            else:
                chosen = list(fit.values())
            if len(chosen) != 1:
                raise ValueError(_not_one(path, dataset, found, fit))
            values = _values(chosen[0], path)
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read by this user: change its rights.") from error
    except OSError as error:
        raise ValueError(f"{path} is damaged or no HDF5 file ({error}).") from error
    return values.astype(np.uint8 if values.dtype == bool else values.dtype.newbyteorder("="))


def _data_sets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(note)
    return found


def _is_volume(item: h5py.Dataset) -> bool:
    return item.ndim == 3 and item.dtype.kind in "uifb"


def _values(item: h5py.Dataset, path: pathlib.Path) -> np.ndarray:
    if not item.size:
        raise ValueError(f"{path} has no values: its data set {item.name} is {_kind(item)}.")
    try:
        return item[()]
    except OSError as error:
        if "filter" not in str(error):
            raise
        raise ValueError(
            f"{path} is compressed in a way for which h5py has no decoder here ({error}): save its "
            "data set with gzip or lzf."
        ) from error


def _not_one(
    path: pathlib.Path,
    dataset: str | None,
    found: dict[str, h5py.Dataset],
    fit: dict[str, h5py.Dataset],
) -> str:
    shown = fit or found
    names = ", ".join(f"{name} ({_kind(item)})" for name, item in list(shown.items())[:_SHOWN])
    more = ", ..." if len(shown) > _SHOWN else ""
    if dataset is not None:
        wanted = f"no data set {dataset!r} of three axes (slices, rows, columns) of numbers"
    elif fit:
        wanted = f"{len(fit)} data sets of three axes: name one, as --hdf5=name or data.hdf5"
    else:
        wanted = "no data set of three axes (slices, rows, columns) of numbers"
    return (
        f"{path} has {wanted}; there {'is' if len(shown) == 1 else 'are'} {names or 'none'}{more}."
    )


def _kind(item: h5py.Dataset) -> str:
    return f"{'x'.join(map(str, item.shape or ())) or 'no axes'} {item.dtype}"
