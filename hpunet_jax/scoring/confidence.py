"""The confidences in instances that `hpunet segment` writes beside its maps (Appendix B.3)."""

import csv
import os
import pathlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Integer

from hpunet_jax.io import name_of

TABLE = "instances.csv"
_NEEDED = ("image", "instance", "confidence")

Confidences = Mapping[str, Mapping[int, float]]
"""{image: {instance: confidence}}"""


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
    found: dict[str, dict[int, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not set(_NEEDED) <= set(rows.fieldnames or ()):
            return None
        for number, row in enumerate(rows, start=2):
            try:
                of_image = found.setdefault(name_of(row["image"]), {})
                of_image[int(row["instance"])] = float(row["confidence"])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path} is damaged: line {number} is no row of it.") from error
    return found


def of_instances(
    instances: Integer[np.ndarray, "H W"], confidences: Confidences | None, name: str
) -> Float64[np.ndarray, " I"]:
    """The confidence in each instance that occurs, by ascending id.

    Args:
      instances: integers [H, W], 0 for background.
      confidences: of all images; None: the same in all instances.
      name: the image's.

    Raises:
      ValueError: if there are confidences, but not in an instance of this image.
    """
    ids = np.unique(instances[instances != 0]).tolist()
    if confidences is None:
        return np.ones(len(ids))
    known = confidences.get(name, {})
    if missing := [id_ for id_ in ids if id_ not in known]:
        raise ValueError(
            f"{TABLE} has no confidence in the instance {missing[0]} of {name}: segment it again, "
            "or take the table out of the folder of samples."
        )
    return np.array([known[id_] for id_ in ids], np.float64)
