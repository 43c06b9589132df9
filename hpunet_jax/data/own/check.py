"""Checking own data (the layout of the published LIDC crops, Appendix C) before training on it.

Every image and mask is read once; what is found is counted, each file that training could not use
is named, and what is suspicious is told.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tqdm

from hpunet_jax.data.crop_archives import Folder
from hpunet_jax.data.crop_layout import GradedImage
from hpunet_jax.data.own.folder import find_images, find_others, find_parts
from hpunet_jax.data.own.judge import image_problems, image_warnings, mask_problems, mask_warnings
from hpunet_jax.data.own.look import Look, look_at
from hpunet_jax.data.own.report import DataReport, PartReport
from hpunet_jax.data.problems import Problem
from hpunet_jax.labels import IGNORED


def check(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    bits: int | None = None,
    num_classes: int | None = None,
    foreground: int | None = None,
    crop: tuple[int, int] | None = None,
) -> DataReport:
    """Reads all images and masks of a data set.

    Args:
      folder: holds train, val and test, or some of them.
      size: height and width to crop or pad all images to; None: they keep their own.
      bits: 8 or 16, that all images must have; None: as most of them.
      num_classes: classes must be less than this; None: any.
      foreground: 255 if that is the object in masks of 0 and 255, so that it becomes class 1; 1 if
        classes are 1, 2, ... and 255 is ignored; None: the latter, but masks of nothing except 0
        and 255 are a problem.
      crop: height and width of the centre crop that is evaluated, to warn where it is ignored.

    Returns:
      The report.

    Raises:
      FileNotFoundError: if there are none of the three folders.
      ValueError: if `bits` is neither 8 nor 16, or `foreground` neither 1 nor 255.
    """
    if bits not in (None, 8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16.")
    if foreground not in (None, 1, IGNORED):
        raise ValueError(f"foreground is {foreground}; expected 1 or 255.")
    parts: dict[str, list[Look]] = {}
    problems: list[Problem] = []
    for part, files in find_parts(folder).items():
        crops, misplaced = find_images(files)
        problems += [Problem("file missing or out of place", text) for text in misplaced]
        parts[part] = list(_look_at_all(files, crops, size, foreground, crop))
    looks = [look for found in parts.values() for look in found]
    problems += [problem for look in looks for problem in look.problems]
    readable = [look for look in looks if look.readable]
    channels, usual_bits = _most_common([look.kind for look in readable], (1, 8))
    kind = channels, bits or usual_bits
    problems += [_other_kind(look, kind) for look in readable if look.kind != kind]
    sizes = {look.size for look in readable}
    if size is None and len(sizes) == 1:
        (size,) = sizes
    problems += mask_problems(readable, num_classes, foreground) + image_problems(parts)
    classes = {v for look in readable for mask in look.masks.values() for v in mask.classes}
    return DataReport(
        folder=os.fspath(folder),
        parts={part: _count(found) for part, found in parts.items()},
        problems=problems,
        warnings=[
            *(Problem("folder that is not read", text) for text in find_others(folder)),
            *image_warnings(readable, crop),
            *mask_warnings(parts),
        ],
        size=size,
        channels=channels,
        bits=kind[1],
        graders=sorted({grader for look in readable for grader in look.masks}),
        num_classes=max(classes - {IGNORED}, default=0) + 1,
    )


def _look_at_all(
    files: Folder,
    crops: Sequence[GradedImage],
    size: tuple[int, int] | None,
    foreground: int | None,
    centre: tuple[int, int] | None,
) -> Iterator[Look]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding does not hold Python's lock
        looks = pool.map(lambda crop: look_at(files, crop, size, foreground, centre), crops)
        yield from tqdm.tqdm(looks, f"Checking {files.path.name}", len(crops), unit=" images")


def _other_kind(look: Look, kind: tuple[int, int]) -> Problem:
    text = (
        f"{look.name} is {_kind(look.kind)}; expected {_kind(kind)}, one kind in the whole data "
        "set."
    )
    return Problem("image of another kind", text)


def _count(found: Sequence[Look]) -> PartReport:
    masks = [mask.classes for look in found for mask in look.masks.values()]
    return PartReport(
        images=len(found),
        sizes=_counted(_shown(look.size) for look in found if look.readable),
        kinds=_counted(_kind(look.kind) for look in found if look.readable),
        graders=_counted(grader for look in found for grader in look.masks),
        graders_per_image=_counted(len(look.masks) for look in found),
        classes=_counted(value for classes in masks for value in classes),
        empty_masks=sum(classes - {IGNORED} == {0} for classes in masks),
        ignored_masks=sum(classes == {IGNORED} for classes in masks),
    )


def _counted(values: Iterable[Any]) -> dict:
    return dict(sorted(Counter(values).items()))


def _most_common(values: Sequence, otherwise: Any) -> Any:
    return Counter(values).most_common(1)[0][0] if values else otherwise


def _kind(kind: tuple[int, int]) -> str:
    return f"{'RGB' if kind[0] == 3 else 'grey'} {kind[1]} bit"


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
