"""Results of files: they know what they were computed from, and go on where they were stopped.

A finished result has a record beside it, a JSON file with its settings: the digests of weights and
image, and the options. Asked for again with the same settings it is there already; with others it
is refused, so that files of two computations are never mixed. What is not finished lies in a hidden
folder, slice by slice, and is used again by whoever computes the same.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import re
import zipfile
import zlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from hpunet_jax import files
from hpunet_jax.buckets import AnyPath
from hpunet_jax.folders import LOCK, used_alone
from hpunet_jax.io import Preparation, Slices, check_writable, result_suffix
from hpunet_jax.io.dicom_source import source_digest
from hpunet_jax.io.write_volumes import WRITTEN

FORMAT = "hpunet_jax results 1"
SUFFIX = f"({'|'.join(re.escape(suffix) for suffix in ('.png', *WRITTEN))})"
"""Of files that results are written to: a regular expression for `check_free`."""
_SETTINGS = "settings.json"


def settings_of(
    program: str, weights: str, image: Slices, preparation: Preparation, **options: Any
) -> dict[str, Any]:
    """What a result is computed from.

    Args:
      program: what computes it, such as "sample".
      weights: digest of the weights, as of `Model.digest`.
      image: the image or volume, as it is prepared for the network.
      preparation: how it was.
      **options: all else that changes the result, as JSON values.

    Returns:
      JSON values, in the order in which a message names what differs. Of the image it is the
      content that counts, not its name or place; of DICOM also whose it is; and the format that
      results of it have.
    """
    hashed = hashlib.sha256(repr((image.array.shape, image.array.dtype.str, image.size)).encode())
    hashed.update(image.array.tobytes())
    if image.volume is not None:
        volume = image.volume
        hashed.update(repr((volume.spacing, volume.origin, volume.direction)).encode())
    settings = {
        "program": program,
        "window": preparation.window,
        "percentiles": preparation.percentiles,
        "spacing": preparation.spacing,
        "scale": preparation.scale,
        **options,
        "format": ".png" if image.volume is None else result_suffix(image.volume),
        "weights": weights,
        "image": hashed.hexdigest()[:16],  # last, since it differs with most of the others
    }
    if image.volume is not None and image.volume.files:
        settings["dicom"] = source_digest(image.volume.files)
    return json.loads(json.dumps(settings))  # as they are read again: tuples are lists


def check_results(slices: Slices) -> None:
    """Raises a `ValueError` if results could not be written as those of an image or volume are."""
    if slices.volume is not None:
        check_writable(slices.volume)


def finished(
    record: AnyPath, settings: Mapping[str, Any], overwrite: bool = False
) -> dict[str, Any] | None:
    """The record of a result, if it is there with all its files.

    Args:
      record: the JSON file.
      settings: what is to be computed.
      overwrite: whether a result of other settings is removed, instead of an error.

    Returns:
      What `finish` wrote, or None if the result is to be computed.

    Raises:
      ValueError: if there is a result of other settings; it names one that differs.
    """
    if not files.exists(record):
        return None
    found = read_record(record)
    if isinstance(before := found.get("settings"), dict):
        found["settings"] = {**_of_earlier_versions(found, settings), **before}
    if found.get("settings") == dict(settings):
        there = files.names_in(record.parent)
        return found if set(found.get("files", ())) <= set(there) else None
    if not overwrite:
        raise ValueError(
            f"{record.parent} holds results of something else ({_difference(found, settings)}): "
            "write to another folder with --out, or replace them with --overwrite."
        )
    files.remove(record)  # first, so that what is left is never taken for whole
    for name in found.get("files", ()):
        if pathlib.Path(name).name == name:
            files.remove(record.parent / name)
    return None


def finish(
    record: AnyPath,
    settings: Mapping[str, Any],
    source: str,
    written: Sequence[AnyPath],
    **more: Any,
) -> None:
    """Says that a result is whole.

    Args:
      record: the JSON file; the result's files lie beside it.
      settings: as for `finished`.
      source: the file that it is of, for people.
      written: the result's files.
      **more: what else is to be kept, as JSON values.
    """
    content = {
        "format": FORMAT,
        "source": source,
        "files": [path.name for path in written],
        "settings": dict(settings),
        **more,
    }
    with files.write_aside(record) as aside:
        aside.write_text(json.dumps(content, indent=1), encoding="utf-8")


def check_free(folder: AnyPath, patterns: Sequence[str], overwrite: bool = False) -> None:
    """Refuses to add to files of which nobody knows what they were computed from.

    Args:
      folder: where results are to be written.
      patterns: regular expressions of their whole names.
      overwrite: whether such files are removed, instead of an error.

    Raises:
      ValueError: if there are such files; it names one.
    """
    there = [
        folder / name
        for name in files.names_in(folder)
        if any(re.fullmatch(pattern, name) for pattern in patterns)
    ]
    if there and not overwrite:
        raise ValueError(
            f"{there[0]} has no record of what it was computed from: write to another folder with "
            "--out, or replace such files with --overwrite."
        )
    for file in there:
        files.remove(file)


class Parts:
    """The slices of an unfinished result, each a file of some arrays."""

    def __init__(self, folder: AnyPath):
        self._folder = folder

    def missing(self, count: int) -> list[int]:
        """Numbers of the slices, of so many, that are not there yet, or damaged."""
        there = set(files.names_in(self._folder))
        return [
            number
            for number in range(count)
            if self._file(number).name not in there or not self._is_whole(number)
        ]

    def write(self, number: int, **arrays: Any) -> None:
        """Writes a slice's arrays."""
        with files.write_aside(self._file(number)) as aside:
            np.savez_compressed(aside, **arrays)

    def read(self, number: int, name: str) -> np.ndarray:
        """Reads one of a slice's arrays."""
        with np.load(io.BytesIO(files.read_bytes(self._file(number)))) as file:
            return file[name]

    def remove(self) -> None:
        """Removes them all, when the result is finished."""
        for name in files.names_in(self._folder):
            if name != LOCK:  # which is still held
                files.remove(self._folder / name)

    def _is_whole(self, number: int) -> bool:
        data = files.read_bytes(self._file(number))
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                return file.testzip() is None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
            return False

    def _file(self, number: int) -> AnyPath:
        return self._folder / f"{number:06d}.npz"


@contextlib.contextmanager
def unfinished(folder: AnyPath, settings: Mapping[str, Any]) -> Generator[Parts]:
    """The parts of a result that somebody has begun; those of other settings are removed.

    Args:
      folder: a hidden folder; created if missing. Nobody else may use it at the same time.
      settings: as for `finished`.

    Yields:
      The parts.

    Raises:
      FolderInUseError: if another process computes there.
    """
    with used_alone(folder):
        note = folder / _SETTINGS
        if not files.exists(note) or read_record(note) != dict(settings):
            for name in files.names_in(folder):
                if name.endswith(".npz"):
                    files.remove(folder / name)
            with files.write_aside(note) as aside:
                aside.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        parts = Parts(folder)
        yield parts
    if isinstance(folder, pathlib.Path) and files.names_in(folder) == [LOCK]:  # all is done
        (folder / LOCK).unlink()
        folder.rmdir()


def read_record(path: AnyPath) -> dict[str, Any]:
    """What a JSON file holds; empty if it cannot be read."""
    try:
        found = json.loads(files.read_bytes(path))
    except (ValueError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_earlier_versions(found: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that records of earlier versions lack, where it is known what they were."""
    known: dict[str, Any] = {"scale": 1.0}
    suffix = settings.get("format")
    if suffix and any(str(name).endswith(suffix) for name in found.get("files", ())):
        known["format"] = suffix
    return {name: value for name, value in known.items() if name in settings}


def _difference(found: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    before = found.get("settings")
    if not isinstance(before, dict):
        return "its record cannot be read"
    for name in (*settings, *before):
        if before.get(name) != settings.get(name):
            return f"{name} {before.get(name)}, not {settings.get(name)}"
    return "its record differs"
