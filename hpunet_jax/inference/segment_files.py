"""The files of `hpunet segment`: maps of instances, overlays, and the table of their confidences.

A volume is segmented slice by slice: numbers of instances are those of a slice, as the network sees
one at a time; an object that goes on in the next slice has another number there.
"""

import csv
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import tifffile
from PIL import Image

from hpunet_jax.buckets import AnyPath
from hpunet_jax.figures.overlay import overlay
from hpunet_jax.files import exists, names_in, read_bytes, write_aside, write_table_aside
from hpunet_jax.inference.outputs import (
    FORMAT,
    SUFFIX,
    check_free,
    finish,
    finished,
    read_record,
    unfinished,
)
from hpunet_jax.inference.segment import Segmenter
from hpunet_jax.instances.scores import InstanceTable
from hpunet_jax.io import Slices, name_of, resize_labels, result_suffix, write_labels, write_volume

COLUMNS = (
    *("image", "slice", "instance", "area", "left", "top", "width", "height"),
    *("confidence", "agreement"),
)
TABLE = "instances.csv"
_RECORD = "_instances.json"
_FIELDS = ("areas", "boxes", "confidences", "agreements")


def finished_instances(
    out: AnyPath, name: str, settings: Mapping[str, Any], overwrite: bool = False
) -> list[list[Any]] | None:
    """The rows of the table of an image, if it is segmented already; see `outputs.finished`."""
    known = exists(_record(out, name)) or exists(_parts_folder(out, name))
    record = finished(_record(out, name), settings, overwrite)
    if record is not None:
        return record["rows"]
    if overwrite or not known:
        check_free(out, (rf"{re.escape(name)}_(instances|overlay){SUFFIX}",), overwrite)
    return None


def write_instances(
    segmenter: Segmenter,
    slices: Slices,
    out: AnyPath,
    name: str,
    settings: Mapping[str, Any],
    on_slice: Callable[[int], Any] = lambda _: None,
) -> list[list[Any]]:
    """Segments an image or volume into files; what was left unfinished is gone on with.

    Args:
      segmenter: the segmenter.
      slices: the slices, as the model takes them (`volumes.read_for`).
      out: where to.
      name: what the files are named after: <name>_instances and <name>_overlay.
      settings: of `outputs.settings_of`; see `finished_instances`.
      on_slice: called with 1 for each slice that is done, and with the number of those done before.

    Returns:
      Rows of the table: the slice's number, the instance's, and so on as in `COLUMNS`.
    """
    count = len(slices.array)
    with unfinished(_parts_folder(out, name), settings) as parts:
        missing = parts.missing(count)
        on_slice(count - len(missing))
        for number in missing:
            try:
                found = segmenter(slices.array[number])
            except ValueError as error:
                raise ValueError(f"{slices.source}: {error}") from error
            instances, table = on_grid(found.instances, found.table, slices.size)
            arrays = {field: getattr(table, field) for field in _FIELDS}
            painted = overlay(slices.array[number], found.instances)
            parts.write(number, instances=instances, overlay=painted, ids=table.ids, **arrays)
            on_slice(1)
        rows = []
        for number in range(count):
            table = InstanceTable(*(parts.read(number, field) for field in ("ids", *_FIELDS)))
            rows += rows_of(number, table)
        maps = np.stack([parts.read(number, "instances") for number in range(count)])
        painted = np.stack([parts.read(number, "overlay") for number in range(count)])
        files = [
            _write_maps(out / f"{name}_instances", maps, slices),
            _write_overlays(out / f"{name}_overlay", painted),
        ]
        more = {"image": image_name(slices.source), "rows": rows}
        finish(_record(out, name), settings, slices.source, files, **more)
        parts.remove()
    return rows


def on_grid(
    instances: np.ndarray, table: InstanceTable, size: Sequence[int]
) -> tuple[np.ndarray, InstanceTable]:
    """A map of instances on the pixels of the file, and its table with areas and boxes there.

    Args:
      instances: uint16 [h, w], numbered without gaps.
      table: its table.
      size: height and width of the result.

    Returns:
      uint16 [H, W], and the table of what is left of the instances there.
    """
    if instances.shape == tuple(size):
        return instances, table
    instances = resize_labels(instances[None], size)[0]
    areas = np.bincount(instances.ravel(), minlength=int(table.ids.max(initial=0)) + 1)[table.ids]
    left = areas > 0
    found = scipy.ndimage.find_objects(instances)
    boxes = [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in filter(None, found)]
    return instances, InstanceTable(
        table.ids[left],
        areas[left],
        np.array(boxes, np.int64).reshape(-1, 4),
        table.confidences[left],
        table.agreements[left],
    )


def rows_of(number: int, table: InstanceTable) -> list[list[Any]]:
    """Rows of the table for one slice, as JSON values."""
    return [
        [number, int(id_), int(area), *map(int, box), *(round(float(score), 4) for score in scores)]
        for id_, area, box, *scores in zip(*table, strict=True)
    ]


def image_name(path: str | os.PathLike[str]) -> str:
    """What the table calls an image: the name of its file or folder, also of a folder `.`."""
    return name_of(path) if pathlib.Path(path).is_dir() else pathlib.Path(path).name


def check_table(out: AnyPath) -> None:
    """Refuses a folder whose table is not one of instances, so that no file of a user is replaced.

    Args:
      out: where results are to be written.

    Raises:
      ValueError: if the file of the table's name there has other columns.
    """
    path = out / TABLE
    if not exists(path):
        return
    found = read_bytes(path).split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if found != ",".join(COLUMNS):
        raise ValueError(
            f"{path} is not a table of hpunet segment (its first line is {found[:60]!r}, not "
            f"{','.join(COLUMNS)}): move it away, or choose another --out."
        )


def write_table(out: AnyPath) -> AnyPath:
    """Writes the instances of all images that are segmented in a folder as one CSV file.

    The columns are the image's name, the slice's number in it (0 in a picture), the instance's
    number in its map, its area in pixels, the least box around it, its confidence (Appendix B.3,
    `instance_scores`) and how far the samples agree on it (`sample_agreement`).

    Args:
      out: the folder. It is its records that are read, also those of earlier calls.

    Returns:
      The file.
    """
    names = names_in(out)
    with write_table_aside(out / TABLE) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name in names:
            record = read_record(out / name) if name.endswith(_RECORD) else {}
            if record.get("format") != FORMAT or not set(record["files"]) <= set(names):
                continue
            # Earlier versions did not note the image's name.
            image = record.get("image") or pathlib.Path(record["source"]).name
            image = image or name.removesuffix(_RECORD)
            for *integers, confidence, agreement in record["rows"]:
                writer.writerow([image, *integers, f"{confidence:.4f}", f"{agreement:.4f}"])
    return out / TABLE


def _write_maps(path: AnyPath, maps: np.ndarray, slices: Slices) -> AnyPath:
    if slices.volume is None:
        path = path.with_name(f"{path.name}.png")
        write_labels(path, maps[0])
    else:
        path = path.with_name(path.name + result_suffix(slices.volume))
        write_volume(path, maps, slices.volume, instances=True)
    return path


def _write_overlays(path: AnyPath, painted: np.ndarray) -> AnyPath:
    """A picture, or a stack of TIFF pages."""
    path = path.with_name(path.name + (".png" if len(painted) == 1 else ".tif"))
    with write_aside(path) as aside:
        if len(painted) == 1:
            Image.fromarray(painted[0]).save(aside)
        else:
            tifffile.imwrite(aside, painted, compression="deflate", photometric="rgb")
    return path


def _record(out: AnyPath, name: str) -> AnyPath:
    return out / f"{name}{_RECORD}"


def _parts_folder(out: AnyPath, name: str) -> AnyPath:
    return out / f".{name}_unfinished"
