"""Slices, or frames, must follow each other at even distances."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

_MOST_UNEVEN = 0.01  # of the distance of two slices; positions are rounded in files


def check_steps(
    source: str | os.PathLike[str],
    names: Sequence[str],
    origins: np.ndarray,
    normal: np.ndarray,
) -> None:
    """Slices must follow each other at even distances, straight along their normal.

    Args:
      source: the folder or file, for messages.
      names: what the slices are called.
      origins: positions of their first voxels in mm [slices, 3], in their order.
      normal: the direction from slice to slice [3].

    Raises:
      ValueError: if they do not; it names two slices.
    """
    moves = np.diff(origins, axis=0)
    steps = moves @ normal
    if not len(steps):
        return
    middle = np.sort(steps)[(len(steps) - 1) // 2]  # one that occurs
    if np.ptp(steps) > _MOST_UNEVEN * middle:
        worst = int(np.argmax(np.abs(steps - middle)))
        first, second = (pathlib.Path(name).name for name in names[worst : worst + 2])
        raise ValueError(
            f"{source} has slices at uneven distances: {first} and {second} are {steps[worst]:.3f} "
            f"mm apart, others {middle:.3f} mm. A slice is missing, or there twice."
        )
    if middle <= 0:
        raise ValueError(f"{source} has slices at one place: expected one at each position.")
    aside = np.linalg.norm(moves - steps[:, None] * normal, axis=1).max()
    if aside > _MOST_UNEVEN * middle:
        raise ValueError(
            f"{source} has a geometry that is no grid: each slice is shifted by up to {aside:.3f} "
            "mm against the one before (a tilted gantry?). Resample it first."
        )


def shown(numbers: Sequence[float]) -> str:
    """Numbers for a message."""
    return ", ".join(f"{number:g}" for number in numbers)
