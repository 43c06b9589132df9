"""The examples of the embedded data set, made in parallel; needs no TensorFlow.

Real outlines of LIDC-IDRI on simulated CT (`simulated_ct`), split by patient as scans are
(`lidc.split`, Appendix C).
"""

import functools
import io
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from hpunet_jax.data.lidc.lesions import Lesion, group_lesions, marked_crops
from hpunet_jax.data.lidc.readings import read_scans
from hpunet_jax.data.lidc.split import draw_split
from hpunet_jax.data.phantoms.simulated_ct import SimulatedLesion

SPLITS = {"train": "train", "validation": "val", "test": "test"}  # split: part of patients

Example = dict[str, np.ndarray | str | bytes]


def phantom_examples(
    split: str,
    workers: int | None = None,
    limit: int | None = None,
    progress: bool = True,
    png: bool = False,
) -> Iterator[Example]:
    """Makes the examples of a split.

    Args:
      split: "train", "validation" or "test".
      workers: number of processes; None: one for each core; 0: none but this one.
      limit: only the first so many lesions.
      progress: whether to show a bar.
      png: whether to encode image and masks as PNG, in the processes that make them.

    Yields:
      `id` text, `image` uint8 [180, 180, 1], `masks` uint8 [180, 180, 4], ordered by scan, lesion
      and slice.

    Raises:
      ValueError: for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}.")
    scans = read_scans()
    part_of = draw_split({scan.patient for scan in scans})
    lesions = [
        (scan.number, scan.patient, scan.pixel_spacing, number, lesion)
        for scan in scans
        if part_of[scan.patient] == SPLITS[split]
        for number, lesion in enumerate(group_lesions(scan.readings))
    ][:limit]
    bar = tqdm(
        total=len(lesions), desc=f"lidc_phantom {split}", unit="lesion", disable=not progress
    )
    make = functools.partial(_examples_of, png=png)
    with bar:
        for examples in _in_processes(make, lesions, workers):
            bar.update()
            yield from examples


def phantom_arrays(split: str, **options: Any) -> dict[str, np.ndarray]:
    """A split as arrays, for machines without TensorFlow.

    Args:
      split: as in `phantom_examples`.
      **options: of `phantom_examples`.

    Returns:
      `image` uint8 [B, 180, 180, 1] and `masks` uint8 [B, 180, 180, 4].
    """
    examples = list(phantom_examples(split, **options))
    return {name: np.stack([e[name] for e in examples]) for name in ("image", "masks")}


def lesion_examples(
    scan: int, patient: str, pixel_spacing: float, number: int, lesion: Lesion
) -> list[Example]:
    """The examples of one lesion: one for each slice that a grader marked.

    Args:
      scan: number of the scan.
      patient: name of the patient.
      pixel_spacing: of the scan, in mm.
      number: number of the lesion within its scan.
      lesion: the lesion.

    Returns:
      As in `phantom_examples`.
    """
    simulated = SimulatedLesion(scan, number, lesion, pixel_spacing)
    return [
        {
            "id": f"{patient}/scan{scan}_lesion{number}_z{z:.2f}",
            "image": simulated.image(z, masks)[..., None],
            "masks": masks,
        }
        for z, masks in marked_crops(lesion, pixel_spacing)
    ]


def _examples_of(arguments: tuple[int, str, float, int, Lesion], png: bool) -> list[Example]:
    examples = lesion_examples(*arguments)
    if png:
        for example in examples:
            example.update({name: _encode(example[name]) for name in ("image", "masks")})
    return examples


def _encode(pixels: Any) -> bytes:
    file = io.BytesIO()
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "png", compress_level=1)
    return file.getvalue()


def _in_processes(
    make: Callable[[tuple], list[Example]], lesions: list, workers: int | None
) -> Iterator[list[Example]]:
    if workers == 0:
        yield from map(make, lesions)
        return
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        # A few chunks at a time, so that finished examples do not pile up in memory.
        size = 256
        for start in range(0, len(lesions), size):
            yield from pool.map(make, lesions[start : start + size], chunksize=8)
