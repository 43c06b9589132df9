"""The confidences in instances that `hpunet segment` writes beside its maps (Appendix B.3)."""

import csv
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer

from hpunet_jax.io import name_of

TABLE = "instances.csv"
_NEEDED = ("image", "instance", "confidence")


class Confidences(NamedTuple):
    """What a table says.

    Attributes:
      of: {image: {(slice, instance): confidence}}; all in slice 0 if it does not tell slices.
      by_slice: whether each slice of a volume has instances of its own, as of `hpunet segment`.
    """

    of: Mapping[str, Mapping[tuple[int, int], float]]
    by_slice: bool


def read_confidences(samples: str | os.PathLike[str]) -> Confidences | None:
    """Reads the table of confidences in a folder of instance maps.

    Args:
      samples: the folder.

    Returns:
      The confidences; None if there is no table of the columns `image`, `instance`, `confidence`.

    Raises:
      ValueError: if a row of it is damaged.
    """
    path = pathlib.Path(samples).expanduser() / TABLE
    if not path.is_file():
        return None
    found: dict[str, dict[tuple[int, int], float]] = {}
    with path.open(encoding="utf-8", newline="", errors="surrogateescape") as file:
        rows = csv.DictReader(file)
        if not set(_NEEDED) <= set(rows.fieldnames or ()):
            return None
        for number, row in enumerate(rows, start=2):
            try:
                of_image = found.setdefault(name_of(row["image"]), {})
                place = int(row.get("slice", 0)), int(row["instance"])
                of_image[place] = float(row["confidence"])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path} is damaged: line {number} is no row of it.") from error
    return Confidences(found, "slice" in (rows.fieldnames or ()))


def of_instances(
    instances: Integer[np.ndarray, "D H W"], confidences: Confidences | None, name: str
) -> Float64[np.ndarray, " I"]:
    """The confidence in each instance that occurs, by ascending id, of slices one after the other.

    Args:
      instances: integers [D, H, W], 0 for background.
      confidences: of all images; None: the same in all instances.
      name: the image's.

    Raises:
      ValueError: if there are confidences, but not in an instance of this image.
    """
    apart = confidences is not None and confidences.by_slice
    slices = enumerate(instances) if apart else [(0, instances)]
    places = [(n, id_) for n, ids in slices for id_ in np.unique(ids[ids != 0]).tolist()]
    if confidences is None:
        return np.ones(len(places))
    known = confidences.of.get(name, {})
    if missing := [id_ for number, id_ in places if (number, id_) not in known]:
        raise ValueError(
            f"{TABLE} has no confidence in the instance {missing[0]} of {name}: segment it again, "
            "or take the table out of the folder of samples."
        )
    return np.array([known[place] for place in places], np.float64)


def apart_by_slice(instances: Integer[np.ndarray, "D H W"]) -> Integer[np.ndarray, "D H W"]:
    """New numbers, by slice and then by number, that no two slices share; 0 stays background."""
    numbered, last = np.zeros(instances.shape, np.int64), 0
    for one, out in zip(instances, numbered, strict=True):
        ids, places = np.unique(one, return_inverse=True)
        new = np.cumsum(ids != 0)
        out[:] = np.where(ids != 0, last + new, 0)[places.reshape(one.shape)]
        last += int(new[-1])
    return numbered
