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

from hpunet_jax.data.crop_layout import GradedImage, in_order
from hpunet_jax.data.own.description import read_description
from hpunet_jax.data.own.folder import INSTANCES, Part, find_images, find_others, find_parts
from hpunet_jax.data.own.judge_images import (
    image_problems,
    image_warnings,
    instance_problems,
    instance_warnings,
    patient_warnings,
    shown_spacing,
    spacing_warnings,
    value_warnings,
)
from hpunet_jax.data.own.judge_masks import mask_problems, mask_warnings
from hpunet_jax.data.own.look import Look, Wanted, look_at
from hpunet_jax.data.own.report import DataReport, PartReport
from hpunet_jax.data.problems import Problem
from hpunet_jax.io import Preparation
from hpunet_jax.io.preparation import AS_STORED
from hpunet_jax.labels import IGNORED

_MOST_AT_ONCE = 8  # images in memory, which may be volumes


def check(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    bits: int | None = None,
    num_classes: int | None = None,
    foreground: int | None = None,
    crop: tuple[int, int] | None = None,
    preparation: Preparation = AS_STORED,
) -> DataReport:
    """Reads all images and masks of a data set.

    Args:
      folder: holds train, val and test, or some of them.
      size: height and width to crop or pad all images to; None: they keep their own.
      bits: 8 or 16, that all images must have; None: as most of them.
      num_classes: classes must be less than this; None: any.
      foreground: 255 if that is the object in masks of 0 and 255, so that it becomes class 1; 1 if
        classes are 1, 2, ... and 255 is ignored; None: the latter, but masks of nothing except 0
        and 255 are a problem. Where `dataset.json` names values, these count.
      crop: height and width of the centre crop that is evaluated, to warn where it is ignored.
      preparation: window and spacing.

    Returns:
      The report.

    Raises:
      FileNotFoundError: if there are none of the three folders.
      ValueError: if `bits` is neither 8 nor 16, or `foreground` neither 1 nor 255; or
        `dataset.json` makes no sense.
    """
    if bits not in (None, 8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16.")
    if foreground not in (None, 1, IGNORED):
        raise ValueError(f"foreground is {foreground}; expected 1 or 255.")
    description = read_description(folder, foreground)
    wanted = Wanted(description, preparation, size, crop)
    found_parts = find_parts(folder)
    parts: dict[str, list[Look]] = {}
    problems: list[Problem] = []
    for name, part in found_parts.items():
        images, misplaced = find_images(part, description.file_ending)
        problems += [Problem("file missing or out of place", text) for text in misplaced]
        parts[name] = list(_look_at_all(part, images, wanted))
    looks = [look for found in parts.values() for look in found]
    problems += [problem for look in looks for problem in look.problems]
    readable = [look for look in looks if look.readable]
    channels, usual_bits = _most_common([look.kind for look in readable], (1, 8))
    kind = channels, bits or usual_bits
    problems += [_other_kind(look, kind) for look in readable if look.kind != kind]
    sizes = {look.size for look in readable}
    if size is None and len(sizes) == 1:
        (size,) = sizes
    problems += mask_problems(readable, num_classes, description) + image_problems(parts)
    problems += instance_problems(readable)
    classes = {v for look in readable for mask in look.masks.values() for v in mask.classes}
    names = tuple(description.classes.values())
    return DataReport(
        folder=os.fspath(folder),
        parts={part: _count(found) for part, found in parts.items()},
        problems=problems,
        warnings=[
            *(Problem("folder that is not read", text) for text in find_others(folder)),
            *image_warnings(readable, crop),
            *patient_warnings(parts),
            *value_warnings(readable, preparation),
            *spacing_warnings(readable, preparation),
            *mask_warnings(parts, names),
            *instance_warnings(readable),
        ],
        size=size,
        channels=channels,
        bits=kind[1],
        graders=in_order(grader for look in readable for grader in look.masks),
        num_classes=len(names) or max(classes - {IGNORED}, default=0) + 1,
        class_names=list(names),
        instances=any(part.kind == INSTANCES for part in found_parts.values()),
        values=_values(looks),
        used=_used(readable, preparation),
    )


def _look_at_all(part: Part, images: Sequence[GradedImage], wanted: Wanted) -> Iterator[Look]:
    # Decoding does not hold Python's lock.
    with ThreadPoolExecutor(min(_MOST_AT_ONCE, os.cpu_count() or 1)) as pool:
        looks = pool.map(lambda image: look_at(part, image, wanted), images)
        yield from tqdm.tqdm(looks, f"Checking {part.name}", len(images), unit=" images")


def _values(looks: Sequence[Look]) -> tuple[float, float]:
    """The least and greatest value in all files."""
    known = [look.values for look in looks if look.values is not None] or [(0.0, 0.0)]
    return min(low for low, _ in known), max(high for _, high in known)


def _used(looks: Sequence[Look], preparation: Preparation) -> str:
    """Which values become black and white, in words."""
    if preparation.window:
        low, high = preparation.window
        return f"{low:g} to {high:g} (data.window)"
    if preparation.percentiles:
        lows, highs = zip(*(look.ends or (0.0, 0.0) for look in looks), strict=True)
        low, high = preparation.percentiles
        return (
            f"percentiles {low:g} to {high:g} of each image: from {min(lows):g} ... {max(lows):g} "
            f"to {min(highs):g} ... {max(highs):g}"
        )
    bits = sorted({look.kind[1] for look in looks})
    return " or ".join(f"0 to {2**n - 1} ({n} bits)" for n in bits)


def _other_kind(look: Look, kind: tuple[int, int]) -> Problem:
    text = (
        f"{look.name} is {_kind(look.kind)}; expected {_kind(kind)}, one kind in the whole data "
        "set."
    )
    return Problem("image of another kind", text)


def _count(found: Sequence[Look]) -> PartReport:
    masks = [mask.classes for look in found for mask in look.masks.values()]
    maps = [look.instances for look in found if look.instances is not None]
    readable = [look for look in found if look.readable]
    spacings = [shown_spacing(look.spacing) for look in readable if look.spacing is not None]
    return PartReport(
        images=len(found),
        slices=sum(look.slices for look in found),
        sizes=_counted(_shown(look.size) for look in readable),
        kinds=_counted(_kind(look.kind) for look in readable),
        spacings=_counted(spacings),
        graders=_in_order(Counter(grader for look in found for grader in look.masks)),
        graders_per_image={} if maps else _counted(len(look.masks) for look in found),
        classes=_counted(value for classes in masks for value in classes),
        empty_masks=sum(classes - {IGNORED} == {0} for classes in masks),
        ignored_masks=sum(classes == {IGNORED} for classes in masks),
        instances=sum(sum(one.counts) for one in maps),
    )


def _in_order(counts: Counter) -> dict:
    return {grader: counts[grader] for grader in in_order(counts)}


def _counted(values: Iterable[Any]) -> dict:
    return dict(sorted(Counter(values).items()))


def _most_common(values: Sequence, otherwise: Any) -> Any:
    return Counter(values).most_common(1)[0][0] if values else otherwise


def _kind(kind: tuple[int, int]) -> str:
    return f"{'RGB' if kind[0] == 3 else 'grey'} {kind[1]} bit"


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
