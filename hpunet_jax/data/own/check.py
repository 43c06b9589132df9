"""Checking own data (the layout of the published LIDC crops, Appendix C) before training on it.

Every image and mask is read once; what is found is counted, and each file that training could not
use is named.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tqdm

from hpunet_jax.data.crop_archives import Folder
from hpunet_jax.data.crop_layout import Crop
from hpunet_jax.data.own.folder import find_images, find_parts, fit, read_image, read_mask
from hpunet_jax.data.own.report import DataReport, PartReport
from hpunet_jax.data.problems import Problem
from hpunet_jax.labels import IGNORED


@dataclasses.dataclass
class _Found:
    """What was found of one image; of the masks, by grader."""

    name: str
    problems: list[Problem]
    size: tuple[int, int] = (0, 0)
    kind: tuple[int, int] = (0, 0)  # channels, bits
    classes: dict[int, frozenset[int]] = dataclasses.field(default_factory=dict)


def check(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    bits: int | None = None,
    num_classes: int | None = None,
) -> DataReport:
    """Reads all images and masks of a data set.

    Args:
      folder: holds train, val and test, or some of them.
      size: height and width to crop or pad all images to; None: they must have one size.
      bits: 8 or 16, that all images must have; None: as most of them.
      num_classes: classes must be less than this; None: any.

    Returns:
      The report.

    Raises:
      FileNotFoundError: if there are none of the three folders.
      ValueError: if `bits` is neither 8 nor 16.
    """
    if bits not in (None, 8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16.")
    found: dict[str, list[_Found]] = {}
    problems: list[Problem] = []
    for part, files in find_parts(folder).items():
        crops, misplaced = find_images(files)
        problems += [Problem("file missing or out of place", text) for text in misplaced]
        found[part] = list(_look_at_all(files, crops, size))
    every = [one for images in found.values() for one in images]
    problems += [problem for one in every for problem in one.problems]
    readable = [one for one in every if one.kind[0]]
    channels, usual_bits = _most_common([one.kind for one in readable], (1, 8))
    kind = channels, bits or usual_bits
    problems += [_other_kind(one, kind) for one in readable if one.kind != kind]
    sizes = [one.size for one in readable]
    usual_size = _most_common(sizes, (0, 0))
    if size is None:
        problems += [_other_size(one, usual_size) for one in readable if one.size != usual_size]
        size = usual_size if len(set(sizes)) == 1 else None
    values = {v for one in readable for classes in one.classes.values() for v in classes}
    problems += _check_classes(readable, values, num_classes)
    return DataReport(
        folder=os.fspath(folder),
        parts={part: _count(images) for part, images in found.items()},
        problems=problems,
        size=size,
        channels=channels,
        bits=kind[1],
        graders=sorted({grader for one in readable for grader in one.classes}),
        num_classes=max(values - {IGNORED}, default=0) + 1,
    )


def _look_at_all(
    files: Folder, crops: Sequence[Crop], size: tuple[int, int] | None
) -> Iterator[_Found]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding does not hold Python's lock
        looks = pool.map(lambda crop: _look_at(files, crop, size), crops)
        yield from tqdm.tqdm(looks, f"Checking {files.path.name}", len(crops), unit=" images")


def _look_at(files: Folder, crop: Crop, size: tuple[int, int] | None) -> _Found:
    found = _Found(f"{files.path.name}/{crop.image}", [])
    try:
        image = read_image(files, crop.image).array
    except (ValueError, OSError) as error:
        found.problems.append(Problem("unreadable image", str(error)))
        return found
    found.size = image.shape[:2]
    found.kind = image.shape[2], 8 * image.dtype.itemsize
    for grader, name in crop.masks.items():
        try:
            mask = read_mask(files, name).array
        except (ValueError, OSError) as error:
            found.problems.append(Problem("unreadable mask", str(error)))
            continue
        if mask.shape != found.size:
            text = (
                f"{files.path.name}/{name} has {_shown(mask.shape)} pixels; expected "
                f"{_shown(found.size)}, as its image."
            )
            found.problems.append(Problem("mask of another size than its image", text))
            continue
        mask = mask if size is None else fit(mask, size, IGNORED)
        present = np.flatnonzero(np.bincount(mask.ravel(), minlength=1))
        found.classes[grader] = frozenset(present.tolist())
    if found.classes and all(classes == {IGNORED} for classes in found.classes.values()):
        text = f"{found.name} has no pixel to learn from: all its masks are {IGNORED} everywhere."
        found.problems.append(Problem("image to be ignored altogether", text))
    return found


def _check_classes(
    found: Sequence[_Found], values: set[int], num_classes: int | None
) -> list[Problem]:
    if values and values <= {0, IGNORED}:
        text = (
            f"all masks have only the values {', '.join(map(str, sorted(values)))}: there is no "
            "class but 0. The value is the class, and 255 means ignore; if 255 is meant to be a "
            "class, write 1 in its place."
        )
        return [Problem("no classes", text)]
    if num_classes is None:
        return []
    problems = []
    for one in found:
        for grader, classes in one.classes.items():
            beyond = sorted(value for value in classes - {IGNORED} if value >= num_classes)
            if beyond:
                text = (
                    f"grader {grader} of {one.name} has the class {beyond[0]}; expected 0 to "
                    f"{num_classes - 1}, or 255 for ignore."
                )
                problems.append(Problem("class that the model does not know", text))
    return problems


def _other_kind(one: _Found, kind: tuple[int, int]) -> Problem:
    text = (
        f"{one.name} is {_kind(one.kind)}; expected {_kind(kind)}, one kind in the whole data set."
    )
    return Problem("image of another kind", text)


def _other_size(one: _Found, usual: tuple[int, int]) -> Problem:
    text = (
        f"{one.name} has {_shown(one.size)} pixels, most others {_shown(usual)}; batches need one "
        "size. Resample it, or set data.size (here --size) to crop or pad all images to one size."
    )
    return Problem("image of another size", text)


def _count(found: Sequence[_Found]) -> PartReport:
    masks = [classes for one in found for classes in one.classes.values()]
    return PartReport(
        images=len(found),
        sizes=_counted(_shown(one.size) for one in found if one.kind[0]),
        kinds=_counted(_kind(one.kind) for one in found if one.kind[0]),
        graders=_counted(grader for one in found for grader in one.classes),
        graders_per_image=_counted(len(one.classes) for one in found),
        classes=_counted(value for classes in masks for value in classes),
        empty_masks=sum(classes - {IGNORED} == {0} for classes in masks),
        ignored_masks=sum(classes == {IGNORED} for classes in masks),
    )


def _counted(values) -> dict:
    return dict(sorted(Counter(values).items()))


def _most_common(values: Sequence, otherwise):
    return Counter(values).most_common(1)[0][0] if values else otherwise


def _kind(kind: tuple[int, int]) -> str:
    return f"{'RGB' if kind[0] == 3 else 'grey'} {kind[1]} bit"


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
