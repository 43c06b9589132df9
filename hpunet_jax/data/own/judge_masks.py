"""What the masks of own data as a whole say: what training must refuse, and what is suspicious."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hpunet_jax.data.crop_layout import Grader, in_order
from hpunet_jax.data.own.description import NAME, Description
from hpunet_jax.data.own.look import Look, MaskLook
from hpunet_jax.data.problems import Problem
from hpunet_jax.labels import IGNORED

_FEW_PIXELS, _SMALL_SHARE = 16, 1e-5  # a class of fewer pixels is suspicious


def mask_problems(
    looks: Sequence[Look], num_classes: int | None, description: Description
) -> list[Problem]:
    """Masks that do not mean what training would take them for.

    Args:
      looks: all images.
      num_classes: classes must be less than this; None: any.
      description: what the masks' values mean.

    Returns:
      The problems.
    """
    problems = [
        _smoothed(look, grader, mask)
        for look in looks
        for grader, mask in look.masks.items()
        if mask.smoothed
    ]
    problems += [
        _undescribed(look, grader, mask)
        for look in looks
        for grader, mask in look.masks.items()
        if mask.unknown
    ]
    if not description.says:
        problems += [
            problem
            for grader, masks in _by_grader(looks).items()
            if (problem := _only_0_and_255(grader, masks)) is not None
        ]
    for look in looks:
        if look.masks and all(mask.classes == {IGNORED} for mask in look.masks.values()):
            text = (
                f"{look.name} has no pixel to learn from: all its masks are {IGNORED} everywhere."
            )
            problems.append(Problem("image to be ignored altogether", text))
    if num_classes is not None:
        problems += [
            _beyond(look, grader, mask, num_classes)
            for look in looks
            for grader, mask in look.masks.items()
            if max(mask.classes - {IGNORED}, default=0) >= num_classes
        ]
    values = set().union(*(mask.classes for look in looks for mask in look.masks.values()))
    if values and not values - {0, IGNORED} and not problems:
        problems.append(
            Problem("no classes", "no mask marks anything: there is no class but 0 anywhere.")
        )
    return problems


def mask_warnings(parts: Mapping[str, Sequence[Look]], names: Sequence[str] = ()) -> list[Problem]:
    """What is suspicious in the masks, though they can be trained on.

    Args:
      parts: the images of each part.
      names: of the classes; (): they have none.

    Returns:
      The warnings.
    """
    looks = [look for found in parts.values() for look in found]
    pixels = _pixels(looks)
    classes = np.flatnonzero(pixels).tolist()
    warnings = []
    if missing := sorted(set(range(len(names) or max(classes, default=0))) - set(classes)):
        named = ", ".join(f"{value} ({names[value]})" for value in missing if value < len(names))
        text = (
            f"no mask has the class{'es' * (len(missing) > 1)} {named or _ranges(missing)}, but "
            f"{f'{NAME} names them' if named else f'some have {max(classes)}'}: num_classes counts "
            "all up to the greatest."
        )
        warnings.append(Problem("gaps between the classes", text))
    for value in classes:
        if pixels[value] < max(_FEW_PIXELS, _SMALL_SHARE * pixels.sum()):
            warnings.append(_rare(value, int(pixels[value]), looks))
    if parts.get("train"):
        untrained = sorted(set(classes) - set(np.flatnonzero(_pixels(parts["train"])).tolist()))
        if untrained:
            text = f"no mask in train has the class{'es' * (len(untrained) > 1)} "
            text += f"{_ranges(untrained)}, which other parts have."
            warnings.append(Problem("classes that are never trained", text))
    for grader, masks in _by_grader(looks).items():
        if len(masks) > 1 and not any(mask.classes - {0, IGNORED} for _, mask in masks):
            text = f"grader {grader} marks nothing in any of {len(masks):,} masks."
            warnings.append(Problem("grader who never marks anything", text))
    return warnings


def _only_0_and_255(grader: Grader, masks: Sequence[tuple[str, MaskLook]]) -> Problem | None:
    """Masks that were meant as 0 and 1, unless somebody says that 255 is to be ignored."""
    only = [name for name, mask in masks if mask.values == {0, IGNORED}]
    others = [mask for _, mask in masks if mask.values - {0, IGNORED}]
    if not only or len(only) < len(others):
        return None
    besides = f", {len(others):,} other values besides" if others else ""
    text = (
        f"{len(only):,} masks of grader {grader} have only the values 0 and 255{besides}, and 255 "
        f"means ignore: nothing is marked in {only[0]}. If 255 is the object there, set "
        "data.foreground=255 (here --foreground=255); if it does mean ignore, set it to 1."
    )
    return Problem("masks of 0 and 255", text)


def _undescribed(look: Look, grader: Grader, mask: MaskLook) -> Problem:
    values = ", ".join(map(str, mask.unknown[:3])) + ", ..." * (len(mask.unknown) > 3)
    text = (
        f"grader {grader} of {look.name} has the value{'s' * (len(mask.unknown) > 1)} {values}, "
        f"which the labels in {NAME} do not name."
    )
    return Problem(f"value that {NAME} does not know", text)


def _smoothed(look: Look, grader: Grader, mask: MaskLook) -> Problem:
    examples = ", ".join(str(value) for value in sorted(mask.scattered)[:3])
    text = (
        f"grader {grader} of {look.name} has {len(mask.values)} values, of which "
        f"{len(mask.scattered)} ({examples}, ...) occur in scattered pixels only: the mask was "
        "smoothed (anti-aliased, resized or compressed). Export it without, or threshold it."
    )
    return Problem("smoothed mask", text)


def _beyond(look: Look, grader: Grader, mask: MaskLook, num_classes: int) -> Problem:
    beyond = min(value for value in mask.classes - {IGNORED} if value >= num_classes)
    text = (
        f"grader {grader} of {look.name} has the class {beyond}; expected 0 to "
        f"{num_classes - 1}, or 255 for ignore."
    )
    return Problem("class that the model does not know", text)


def _rare(value: int, pixels: int, looks: Sequence[Look]) -> Problem:
    holders = [
        f"grader {grader} of {look.name}"
        for look in looks
        for grader, mask in look.masks.items()
        if value in mask.classes
    ]
    text = (
        f"class {value} has {pixels:,} pixel{'s' * (pixels != 1)} in {len(holders):,} "
        f"mask{'s' * (len(holders) != 1)}, the first by {holders[0]}: a stray value?"
    )
    return Problem("class of few pixels", text)


def _by_grader(looks: Iterable[Look]) -> dict[Grader, list[tuple[str, MaskLook]]]:
    """{grader: [(image, mask)]} of all images."""
    found: dict[Grader, list[tuple[str, MaskLook]]] = defaultdict(list)
    for look in looks:
        for grader, mask in look.masks.items():
            found[grader].append((look.name, mask))
    return {grader: found[grader] for grader in in_order(found)}


def _pixels(looks: Iterable[Look]) -> np.ndarray:
    """int64 [255], the pixels of each class in all masks, without those to ignore."""
    total = np.zeros(256, np.int64)
    for look in looks:
        for mask in look.masks.values():
            total += mask.pixels
    return total[:IGNORED]


def _ranges(values: Sequence[int]) -> str:
    """Ascending numbers in words: '1 to 4, 7'."""
    runs = Counter(value - place for place, value in enumerate(values))
    parts, place = [], 0
    for length in runs.values():
        first, last = values[place], values[place + length - 1]
        parts.append(str(first) if length == 1 else f"{first} to {last}")
        place += length
    return ", ".join(parts)
