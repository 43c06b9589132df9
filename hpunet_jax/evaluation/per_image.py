"""The scores of each image, with its name, as a table for other programs (CSV)."""

import csv
import os
from collections.abc import Mapping, Sequence

import numpy as np

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.files import write_table_aside
from hpunet_jax.metrics.calibration import adaptive_calibration_error, expected_calibration_error


def image_scores(scores: Scores, row: str = "model") -> dict[str, np.ndarray]:
    """Everything that a row has of each image.

    Args:
      scores: the scores.
      row: the row.

    Returns:
      {metric: float64 [images]}, the row's metrics and, if there are graders, the image's own
      calibration errors, whose mean is not that of the data set, and whether every grader marked
      it, 0 or 1.
    """
    found = dict(scores.rows[row])
    if row in scores.levels:
        levels = scores.levels[row]
        found["expected_calibration_error"] = expected_calibration_error(levels)
        found["adaptive_calibration_error"] = adaptive_calibration_error(levels)
    if scores.subset_b is not None:
        found["subset_b"] = scores.subset_b.astype(np.float64)
    return found


def write_image_scores(
    path: str | os.PathLike[str],
    columns: Mapping[str, np.ndarray],
    names: Sequence[str] | None = None,
) -> None:
    """Writes scores of each image as CSV; a cell is empty where there is no score.

    Args:
      path: the file.
      columns: {metric: float64 [images]}.
      names: the images' names; None numbers them from 0.
    """
    rows = np.stack(list(columns.values()), axis=1)
    if names is None:
        names = [str(number) for number in range(len(rows))]
    with write_table_aside(path) as file:
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for name, row in zip(names, rows.tolist(), strict=True):
            writer.writerow([name, *("" if np.isnan(value) else value for value in row)])
