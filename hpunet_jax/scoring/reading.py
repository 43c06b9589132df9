"""The label maps of one image, checked against one another."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Integer

from hpunet_jax.io import Slices, read_label_slices
from hpunet_jax.labels import IGNORED
from hpunet_jax.scoring.pairing import Case
from hpunet_jax.scoring.placing import on_the_same_slices

_APART = 1e-3  # of a voxel, by which positions may differ; files round them


def read_case(
    case: Case, foreground: int | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads the gradings and samples of an image.

    Args:
      case: the files.
      foreground: 255 if maps are of 0 and 255, whose 255 is class 1; None if values are classes, or
        instances.

    Returns:
      {grader: integers [D, H, W]} and {sample: integers [D, H, W]}; a picture has one slice.

    Raises:
      ValueError: if a file is damaged or no label map, or has another size or geometry than the
        image's first grading; the message names it.
      OSError: if a file cannot be read at all.
    """
    paths = [*case.truth.values(), *case.samples.values()]
    read = on_the_same_slices([read_label_slices(path) for path in paths])
    for slices in read:
        _check_fits(slices, read[0])
        if slices.array.size and slices.array.min() < 0:
            raise ValueError(
                f"{slices.source} has the label {slices.array.min()}: expected 0 or more."
            )
    arrays = [np.where(s.array == 255, 1, s.array) if foreground else s.array for s in read]
    split = len(case.truth)
    return (
        dict(zip(case.truth, arrays[:split], strict=True)),
        dict(zip(case.samples, arrays[split:], strict=True)),
    )


def as_gradings(
    maps: dict[str, np.ndarray], graders: Sequence[str]
) -> Integer[np.ndarray, "G 1 rows W"]:
    """The gradings of an image as uint8 [G, 1, D H, W]; 255 everywhere of graders who gave none."""
    shape = next(iter(maps.values())).shape
    planes = [maps.get(grader, np.full(shape, IGNORED)) for grader in graders]
    return flat(planes).astype(np.uint8)


def flat(maps: Sequence[np.ndarray]) -> Integer[np.ndarray, "N 1 rows W"]:
    """Volumes as one image each, their slices one below the other: [N, 1, D H, W]."""
    return np.stack([volume.reshape(1, -1, volume.shape[-1]) for volume in maps])


def check_classes(
    maps: dict[str, np.ndarray],
    files: Mapping[str, pathlib.Path],
    num_classes: int,
    ignored: Bool[np.ndarray, "D H W"],
) -> None:
    """Refuses maps of other values than classes.

    Args:
      maps: of one image, by grader or sample.
      files: their files, for the message.
      num_classes: number of classes C.
      ignored: bool [D, H, W], where 255 may stand.

    Raises:
      ValueError: naming the file and the value.
    """
    for key, labels in maps.items():
        wrong = (labels >= num_classes) & ~(ignored & (labels == IGNORED))
        if wrong.any():
            value = labels[wrong].flat[0]
            more = f", and {IGNORED} where the truth ignores a pixel" if ignored.any() else ""
            advice = "--foreground=255 for maps of 0 and 255" if value == IGNORED else "--instances"
            raise ValueError(
                f"{files[key]} has the value {value}: expected classes 0 to {num_classes - 1}"
                f"{more}. Or give {advice}."
            )


def _check_fits(slices: Slices, first: Slices) -> None:
    if slices.array.shape != first.array.shape:
        raise ValueError(
            f"{slices.source} has {_shown(slices.array.shape)} pixels, but {first.source} has "
            f"{_shown(first.array.shape)}: maps of one image must have one size."
        )
    a, b = slices.volume, first.volume
    if a is None or b is None or not (a.located and b.located):
        return
    voxel = min(b.spacing)
    corner = np.array(slices.array.shape[::-1]) - 1
    for name, tolerance in (("spacing", _APART / max(corner.max(), 1)), ("origin", _APART)):
        ours, theirs = getattr(a, name), getattr(b, name)
        if not np.allclose(ours, theirs, rtol=0, atol=tolerance * voxel):
            raise ValueError(_elsewhere(slices, first, name, ours, theirs))
    if not np.allclose(a.direction, b.direction, rtol=0, atol=_APART):
        raise ValueError(_elsewhere(slices, first, "direction", a.direction, b.direction))


def _elsewhere(a: Slices, b: Slices, what: str, ours: tuple, theirs: tuple) -> str:
    shown = (" ".join(f"{value:.6g}" for value in values) for values in (ours, theirs))
    one, other = shown
    return (
        f"{a.source} lies elsewhere than {b.source}: its {what} is {one}, not {other}. Resample it "
        "onto the truth's grid."
    )


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in (shape[1:] if shape[0] == 1 else shape))
