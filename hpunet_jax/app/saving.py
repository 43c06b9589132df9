"""Saved segmentations: a label map, and a JSON file from which it can be made again."""

import datetime
import glob
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpunet_jax.files import write_aside
from hpunet_jax.io import Volume, resize_labels, result_suffix, write_labels, write_volume

FORMAT = "hpunet_jax explored segmentation 1"
NOTE = "Research software, not for clinical use."


def save(
    folder: str | os.PathLike[str],
    name: str,
    labels: np.ndarray,
    record: Mapping[str, Any],
    size: Sequence[int] | None = None,
    volume: Volume | None = None,
    number: int = 0,
) -> tuple[str, list[pathlib.Path]]:
    """Writes a label map and its record under a name that is not taken.

    Of a slice of a volume it also writes a volume in the format and geometry of the source, a DICOM
    segmentation of a DICOM series, in which this slice alone has labels.

    Args:
      folder: where to; created if missing.
      name: the picture's name; what cannot stand in a file name becomes "_".
      labels: uint8 [h, w], on the pixels that the network sees.
      record: what the label map was made from, as JSON values.
      size: height and width of the file's image, on whose pixels the map is written; None: those
        of `labels`.
      volume: the volume that it is a slice of.
      number: the slice's.

    Returns:
      The name that was chosen, and the files: <name>_<number>.png and .json, and perhaps that of
      the volume.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    chosen, reserved = _reserve(folder, re.sub(r"[^\w.-]", "_", name) or "image")
    picture = reserved.with_name(f"{chosen}.png")
    files = [picture, reserved]
    try:
        own = np.asarray(labels, np.uint8)
        own = own if size is None else resize_labels(own[None], size)[0]
        write_labels(picture, own)
        if volume is not None:
            files.append(reserved.with_name(chosen + result_suffix(volume)))
            _write_slice(files[-1], own, volume, number)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        whole = {"format": FORMAT, "note": NOTE, "time": now, "labels": picture.name, **record}
        with write_aside(reserved) as aside:
            aside.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    return chosen, files


def _write_slice(path: pathlib.Path, labels: np.ndarray, volume: Volume, number: int) -> None:
    """Writes a volume of zeros but for one slice."""
    whole = np.zeros(volume.array.shape, np.uint8)
    whole[number] = labels
    write_volume(path, whole, volume)


def saved(folder: str | os.PathLike[str], name: str) -> list[str]:
    """The names of what `save` wrote of the picture of this name, oldest first."""
    stem = re.escape(re.sub(r"[^\w.-]", "_", name) or "image")
    pattern = re.compile(rf"{stem}_(\d{{3,}})\.json")
    found = []
    if pathlib.Path(folder).is_dir():
        for entry in os.scandir(folder):
            if (match := pattern.fullmatch(entry.name)) and entry.stat().st_size:
                found.append((int(match[1]), entry.name.removesuffix(".json")))
    return [name for _, name in sorted(found)]


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a record that `save` wrote.

    Raises:
      ValueError: if the file is no such record.
    """
    try:
        record = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no saved segmentation: {error}.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path} is no saved segmentation: it does not say {FORMAT!r}.")
    return record


def _reserve(folder: pathlib.Path, stem: str) -> tuple[str, pathlib.Path]:
    """Creates the empty record of a name that nobody has, also with several people saving."""
    number = 1
    while True:
        chosen = f"{stem}_{number:03d}"
        if not any(folder.glob(f"{glob.escape(chosen)}.*")):
            try:
                (folder / f"{chosen}.json").open("x").close()
            except FileExistsError:
                pass
            else:
                return chosen, folder / f"{chosen}.json"
        number += 1
