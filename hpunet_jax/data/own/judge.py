"""What the masks of own data as a whole say: what training must refuse, and what is suspicious."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hpunet_jax.data.own.look import Look, MaskLook
from hpunet_jax.data.problems import Problem
from hpunet_jax.labels import IGNORED

_FEW_PIXELS, _SMALL_SHARE = 16, 1e-5  # a class of fewer pixels is suspicious


def mask_problems(
    looks: Sequence[Look], num_classes: int | None, foreground: int | None
) -> list[Problem]:
    """Masks that do not mean what training would take them for.

    Args:
      looks: all images.
      num_classes: classes must be less than this; None: any.
      foreground: what a mask's 255 means; None: nobody has said so.

    Returns:
      The problems.
    """
    problems = [
        _smoothed(look, grader, mask)
        for look in looks
        for grader, mask in look.masks.items()
        if mask.smoothed
    ]
    if foreground is None:
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


def mask_warnings(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    """What is suspicious in the masks, though they can be trained on.

    Args:
      parts: the images of each part.

    Returns:
      The warnings.
    """
    looks = [look for found in parts.values() for look in found]
    pixels = _pixels(looks)
    classes = np.flatnonzero(pixels).tolist()
    warnings = []
    if missing := sorted(set(range(max(classes, default=0))) - set(classes)):
        text = (
            f"no mask has the class{'es' * (len(missing) > 1)} {_ranges(missing)}, but some have "
            f"{max(classes)}: num_classes counts all up to the greatest."
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


def image_problems(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    """The same image in two parts, so that its scores would be those of training."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for part, looks in parts.items():
        for look in looks:
            if look.content:
                places[look.content].append((part, look.name))
    return [
        Problem(
            "image in two parts",
            f"{found[0][1]} and {other} are the same image: its scores would be those of training.",
        )
        for found in places.values()
        for part, other in found[1:]
        if part != found[0][0]
    ]


def image_warnings(looks: Iterable[Look], centre: tuple[int, int] | None) -> list[Problem]:
    """Images that are turned while their masks are not; and such that have nothing to score."""
    warnings = []
    for look in looks:
        if look.turned and look.masks and not any(mask.turned for mask in look.masks.values()):
            text = (
                f"{look.name} is turned as its file says (EXIF), its masks are not: look at it "
                "with `hpunet show_data`."
            )
            warnings.append(Problem("turned image, masks not turned", text))
        if look.crop_ignored and centre:
            text = (
                f"the centre of {centre[0]}x{centre[1]} of {look.name} is ignored in all its "
                "masks: it has no score."
            )
            warnings.append(Problem("centre crop that is ignored", text))
    return warnings


def _only_0_and_255(grader: int, masks: Sequence[tuple[str, MaskLook]]) -> Problem | None:
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


def _smoothed(look: Look, grader: int, mask: MaskLook) -> Problem:
    examples = ", ".join(str(value) for value in sorted(mask.scattered)[:3])
    text = (
        f"grader {grader} of {look.name} has {len(mask.values)} values, of which "
        f"{len(mask.scattered)} ({examples}, ...) occur in scattered pixels only: the mask was "
        "smoothed (anti-aliased, resized or compressed). Export it without, or threshold it."
    )
    return Problem("smoothed mask", text)


def _beyond(look: Look, grader: int, mask: MaskLook, num_classes: int) -> Problem:
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


def _by_grader(looks: Iterable[Look]) -> dict[int, list[tuple[str, MaskLook]]]:
    """{grader: [(image, mask)]} of all images."""
    found: dict[int, list[tuple[str, MaskLook]]] = defaultdict(list)
    for look in looks:
        for grader, mask in look.masks.items():
            found[grader].append((look.name, mask))
    return dict(sorted(found.items()))


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
