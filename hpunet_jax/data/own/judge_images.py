"""What the images of own data as a whole say: what training must refuse, and what is suspicious."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hpunet_jax.data.own.look import Look
from hpunet_jax.data.problems import Problem
from hpunet_jax.io import Preparation
from hpunet_jax.io.preparation import are_square

_NARROW = 0.1  # of the range from 0 to 1: most of it unused
_PIECES = 4  # pieces of an instance, on the average, from which on it looks like a class
_TINY = 16  # pixels


def image_problems(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    """What no image may be: in two parts, or called like another.

    The same picture in two parts, also as slices of volumes, would have the scores of training.
    """
    return [*_in_two_parts(parts), *_of_one_name(parts)]


def _in_two_parts(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    places: dict[str, list[tuple[str, Look, int]]] = defaultdict(list)
    for part, looks in parts.items():
        for look in looks:
            for number, content in enumerate(look.contents):
                if content:
                    places[content].append((part, look, number))
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (first, one, place), *others in places.values():
        for part, other, number in others:
            if part != first:
                pair = f"{_where(one, place)} and {_where(other, number)}"
                pairs[one.name, other.name].append(pair)
    return [
        Problem(
            "image in two parts",
            f"{same[0]} are the same image{_more(len(same) - 1)}: its scores would be those of "
            "training.",
        )
        for same in pairs.values()
    ]


def _of_one_name(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    problems = []
    for looks in parts.values():
        known: dict[str, Look] = {}
        for look in looks:
            for name in look.examples:
                if (other := known.setdefault(name, look)) is not look:
                    text = (
                        f"{other.name} and {look.name} would both give an example called {name}, "
                        "as slices are called after their volume: rename one of them."
                    )
                    problems.append(Problem("two examples of one name", text))
    return problems


def _more(count: int) -> str:
    return f" (and {count:,} more)" if count else ""


def _where(look: Look, number: int) -> str:
    return f"slice {number} of {look.name}" if look.slices else look.name


def patient_warnings(parts: Mapping[str, Sequence[Look]]) -> list[Problem]:
    """Patients whose images are in two parts, as far as files know whose they are."""
    warnings = []
    first: dict[str, tuple[str, Look]] = {}
    told = set()
    for part, looks in parts.items():
        for look in looks:
            known, other = first.setdefault(look.patient, (part, look))
            if look.patient and known != part and look.patient not in told:
                told.add(look.patient)
                text = (
                    f"{other.name} and {look.name} are of one patient, {look.patient!r}: scores of "
                    "patients that were trained on are too good. Put all of them into one part, "
                    "unless the ID stands for many."
                )
                warnings.append(Problem("patient in two parts", text))
    return warnings


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


def value_warnings(looks: Sequence[Look], preparation: Preparation) -> list[Problem]:
    """Images that use a small part of the range from black to white.

    Args:
      looks: all images.
      preparation: how they were prepared.

    Returns:
      At most one warning.
    """
    if not any(content for look in looks for content in look.contents):
        return []
    low, high = (choose(look.bulk[end] for look in looks) for end, choose in enumerate((min, max)))
    if preparation.percentiles or high - low >= _NARROW:
        return []
    bits = looks[0].kind[1]
    ends = looks[0].ends or (0, 2**bits - 1)
    values = [ends[0] + share * (ends[1] - ends[0]) for share in (low, high)]
    what = "the window" if looks[0].ends else f"what {bits} bits can hold"
    text = (
        f"nearly all values lie between {values[0]:g} and {values[1]:g}, which is "
        f"{100 * (high - low):.2g} % of {what}: images are nearly of one grey. Set "
        "data.percentiles=(0.5,99.5), or data.window to the values that are to be black and white."
    )
    return [Problem("small part of the range used", text)]


def spacing_warnings(looks: Sequence[Look], preparation: Preparation) -> list[Problem]:
    """Pixels of several sizes, and pixels that are no squares, unless they are resampled.

    Args:
      looks: all images.
      preparation: how they were prepared.

    Returns:
      The warnings.
    """
    known = [(look.spacing, look.name) for look in looks if look.spacing is not None]
    if preparation.spacing or not known:
        return []
    warnings = []
    areas = [(spacing[0] * spacing[1], spacing, name) for spacing, name in known]
    least, greatest = min(areas), max(areas)
    medians = [statistics.median(spacing[axis] for spacing, _ in known) for axis in (0, 1)]
    if not np.allclose(least[1], greatest[1], rtol=0.01):
        text = (
            f"pixels are {shown_spacing(least[1])} in {least[2]} and {shown_spacing(greatest[1])} "
            f"in {greatest[2]}: things of one size have several sizes in pixels. Resample with "
            f"data.spacing=({medians[0]:.3g},{medians[1]:.3g}), the median."
        )
        warnings.append(Problem("pixels of several sizes", text))
    oblong = [(spacing, name) for spacing, name in known if not are_square(spacing)]
    if oblong:
        side = min(medians)
        text = (
            f"pixels are no squares in {len(oblong):,} of {len(looks):,} images, such as "
            f"{shown_spacing(oblong[0][0])} in {oblong[0][1]}: augmentation turns and shears "
            f"pixels, not millimetres. Resample with data.spacing=({side:.3g},{side:.3g})."
        )
        warnings.append(Problem("pixels that are no squares", text))
    return warnings


def instance_problems(looks: Sequence[Look]) -> list[Problem]:
    """No instance anywhere."""
    maps = [look.instances for look in looks if look.instances is not None]
    if maps and not any(sum(found.counts) for found in maps):
        return [Problem("no instances", "no map has an instance: all ids are 0, the background.")]
    return []


def instance_warnings(looks: Sequence[Look]) -> list[Problem]:
    """Images without instances, maps of classes instead of instances, and stray pixels."""
    warnings = []
    found = [(look.name, look.instances) for look in looks if look.instances is not None]
    for name, instances in found:
        count = sum(instances.counts)
        if not count:
            text = f"{name} has no instance: all ids are 0, the background."
            warnings.append(Problem("image without instances", text))
        elif instances.pieces >= _PIECES * count:
            text = (
                f"the {count:,} ids of {name} lie in {instances.pieces:,} pieces: if they are "
                "classes, number the pieces (skimage.measure.label), since each instance needs an "
                "id of its own."
            )
            warnings.append(Problem("instances in many pieces", text))
    tiny = [(name, int((instances.areas < _TINY).sum())) for name, instances in found]
    if any(count for _, count in tiny):
        text = (
            f"{sum(count for _, count in tiny):,} of "
            f"{sum(sum(instances.counts) for _, instances in found):,} instances have less than "
            f"{_TINY} pixels, the first in {next(name for name, count in tiny if count)}: stray "
            "pixels?"
        )
        warnings.append(Problem("tiny instances", text))
    return warnings


def shown_spacing(spacing: tuple[float, float]) -> str:
    """The size of a pixel for a person."""
    return f"{spacing[0]:.3g}x{spacing[1]:.3g} mm"
