"""The files of `hpunet sample`: label maps and maps of numbers, of pictures and of volumes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hpunet_jax.buckets import AnyPath
from hpunet_jax.files import exists
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.outputs import (
    SUFFIX,
    Parts,
    check_free,
    finish,
    finished,
    unfinished,
)
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.inference.volumes import sample_slice
from hpunet_jax.io import Slices, Volume, result_suffix, write_labels, write_volume

RECORD, PICTURE = "samples.json", "scales.png"
_UNFINISHED = ".unfinished"
_NAMES = (  # whole ones, so that files that a user put there, such as sample_00_mine.png, stay
    rf"sample_(\d\d|[1-9]\d\d+){SUFFIX}",
    rf"(probability|std)(_class\d+)?{SUFFIX}",
    re.escape(PICTURE),
)
_AT_ONCE = 2**28  # bytes of label maps in memory while they are put together


def write_samples(
    model: Model,
    slices: Slices,
    folder: AnyPath,
    settings: Mapping[str, Any],
    *,
    num_samples: int,
    seed: int,
    tile: Sequence[int] = TILE,
    draw: Callable[[np.ndarray, AnyPath], Any] | None = None,
    on_slice: Callable[[int], Any] = lambda _: None,
) -> list[AnyPath]:
    """Samples an image or volume into files; what an earlier call left unfinished is gone on with.

    Written are a label map for each sample, the mean probability of each foreground class and its
    standard deviation over the samples, a picture of the slice in which they mark most, and the
    record. docs/files.md says how they are called.

    Args:
      model: the model.
      slices: the slices, as of `read_for`.
      folder: where to.
      settings: of `settings_of`; the folder must not hold results of others (`finished_samples`).
      num_samples: number of samples N.
      seed: seed of the samples.
      tile: greatest height and width that the network sees at once.
      draw: draws a slice [H, W, channels] into a file; None: there is no picture.
      on_slice: called with 1 for each slice that is done, and with the number of those done before.

    Returns:
      The files.
    """
    count = len(slices.array)
    with unfinished(folder / _UNFINISHED, settings) as parts:
        missing = parts.missing(count)
        on_slice(count - len(missing))
        for number in missing:
            try:
                drawn = sample_slice(model, slices, number, num_samples, seed, tile=tile)
            except ValueError as error:
                raise ValueError(f"{slices.source}: {error}") from error
            parts.write(number, labels=drawn.labels, mean=drawn.mean, std=drawn.std)
            on_slice(1)
        check_free(folder, _NAMES, overwrite=True)  # what was put together, but not finished
        files = _write_labels(folder, slices, parts, num_samples)
        files += _write_maps(folder, slices, parts, model.num_classes)
        if draw is not None:
            marked = [parts.read(number, "mean")[..., 1:].sum() for number in range(count)]
            draw(slices.array[int(np.argmax(marked))], folder / PICTURE)
            files.append(folder / PICTURE)
        finish(folder / RECORD, settings, slices.source, files)
        parts.remove()
    return files


def finished_samples(folder: AnyPath, settings: Mapping[str, Any], overwrite: bool = False) -> bool:
    """Whether a folder holds just these samples; see `outputs.finished`."""
    known = exists(folder / RECORD) or exists(folder / _UNFINISHED)
    if finished(folder / RECORD, settings, overwrite) is not None:
        return True
    if overwrite or not known:
        check_free(folder, _NAMES, overwrite)
    return False


def _write_labels(folder: AnyPath, slices: Slices, parts: Parts, num_samples: int) -> list[AnyPath]:
    first, count = parts.read(0, "labels"), len(slices.array)
    step = max(1, _AT_ONCE // (count * first[0].nbytes))
    files = []
    for begin in range(0, num_samples, step):
        end = min(begin + step, num_samples)
        chunk = np.stack([parts.read(z, "labels")[begin:end] for z in range(count)], axis=1)
        for number, labels in enumerate(chunk, begin):
            files.append(_write(folder, f"sample_{number:02d}", labels, slices))
    return files


def _write_maps(folder: AnyPath, slices: Slices, parts: Parts, num_classes: int) -> list[AnyPath]:
    files = []
    for name, stored in (("probability", "mean"), ("std", "std")):
        for label in range(1, num_classes):
            values = np.stack([parts.read(z, stored)[..., label] for z in range(len(slices.array))])
            which = "" if num_classes == 2 else f"_class{label}"
            files.append(_write(folder, name + which, values, slices))
    return files


def _write(folder: AnyPath, name: str, array: np.ndarray, slices: Slices) -> AnyPath:
    """Writes a map as a volume like the source; of a picture as PNG, or TIFF where it is floats."""
    floats = array.dtype.kind == "f"
    if slices.volume is not None:
        path = folder / (name + result_suffix(slices.volume, floats))
        write_volume(path, array, slices.volume)
    elif floats:
        path = folder / f"{name}.tif"
        write_volume(path, array, Volume(array, slices.source))
    else:
        path = folder / f"{name}.png"
        write_labels(path, array[0])
    return path
