"""The scores of each image, with its name, as a table for other programs (CSV)."""

import csv
import os
from collections.abc import Sequence

import numpy as np

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.files import write_aside
from hpunet_jax.metrics.calibration import adaptive_calibration_error, expected_calibration_error


def image_scores(scores: Scores, row: str = "model") -> dict[str, np.ndarray]:
    """Everything that a row has of each image.

    Args:
      scores: the scores.
      row: the row.

    Returns:
      {metric: float64 [images]}, the row's metrics and, if there are graders, the image's own
      calibration errors, whose mean is not that of the data set.
    """
    found = dict(scores.rows[row])
    if row in scores.levels:
        levels = scores.levels[row]
        found["expected_calibration_error"] = expected_calibration_error(levels)
        found["adaptive_calibration_error"] = adaptive_calibration_error(levels)
    return found


def write_image_scores(
    path: str | os.PathLike[str], scores: Scores, names: Sequence[str] | None = None
) -> None:
    """Writes the model's scores of each image as CSV; a cell is empty where there is no score.

    Args:
      path: the file.
      scores: the scores.
      names: the images' names; None numbers them from 0.
    """
    names = range(scores.num_images) if names is None else names
    columns = image_scores(scores)
    subset_b = [] if scores.subset_b is None else [scores.subset_b.astype(int)]
    header = ["image", *columns, *["subset_b"] * len(subset_b)]
    with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for name, *values in zip(names, *columns.values(), *subset_b, strict=True):
            writer.writerow([name, *("" if np.isnan(v) else repr(v.item()) for v in values)])
