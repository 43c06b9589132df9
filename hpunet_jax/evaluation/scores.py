"""Results of an evaluation: the scores of each image, and their summary with bootstrap errors."""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpunet_jax.evaluation.bootstrap import bootstrap
from hpunet_jax.files import write_aside

_SUBSET_B = "subset_b"
_SETTINGS = "settings"


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of each image of a split.

    Attributes:
      rows: {row: {metric: float64 [images]}}; NaN where an image has no such score, e.g. for
        `human` if there is only one grader.
      subset_b: bool [images], the images that every grader marked (Appendix C).
      settings: what the scores depend on; anything JSON can hold.
    """

    rows: Mapping[str, Mapping[str, np.ndarray]]
    subset_b: np.ndarray
    settings: Mapping[str, Any]

    def summary(self, num_bootstraps: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Means and bootstrap errors as a JSON object; see `summarize`."""
        return summarize([self], num_bootstraps, seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the scores of each image as .npz: arrays `<row>/<metric>`, `subset_b`."""
        arrays = {
            f"{row}/{metric}": values
            for row, metrics in self.rows.items()
            for metric, values in metrics.items()
        }
        arrays[_SUBSET_B] = self.subset_b
        arrays[_SETTINGS] = np.array(json.dumps(dict(self.settings)))
        with write_aside(path) as aside:
            np.savez_compressed(aside, **arrays)


def load_scores(path: str | os.PathLike[str]) -> Scores:
    """Reads what `Scores.save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is damaged or something else.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run experiments.evaluate to write it.")
    rows: dict[str, dict[str, np.ndarray]] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays:
                row, slash, metric = name.partition("/")
                if slash:
                    rows.setdefault(row, {})[metric] = arrays[name]
            return Scores(rows, arrays[_SUBSET_B], json.loads(str(arrays[_SETTINGS])))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} does not hold the scores of an evaluation ({error}): run "
            "experiments.evaluate again."
        ) from error


def summarize(runs: Sequence[Scores], num_bootstraps: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Means and bootstrap errors over images, and over the seeds of several runs (Table 1).

    Args:
      runs: one or more evaluations of the same images.
      num_bootstraps: number of bootstraps with replacement.
      seed: seed of the draws.

    Returns:
      A JSON object: {row: {metric: {"mean": …, "std": …}}}, the same for the images of subset B
      under "subset_b", and "counts" and "settings". Undefined values are None, so that every
      JSON reader accepts them.

    Raises:
      ValueError: if there is no run, or the runs do not score the same images.
    """
    if not runs:
        raise ValueError("there are no scores to summarize: expected those of at least one run.")
    first, *others = runs
    if any(not np.array_equal(run.subset_b, first.subset_b) for run in others):
        raise ValueError(
            "the runs were not evaluated on the same images: evaluate all of them on one split of "
            "one data set, with the same crop."
        )

    def estimates(chosen: np.ndarray) -> dict[str, Any]:
        return {
            row: {
                metric: _estimate([run.rows[row][metric] for run in runs], chosen)
                for metric in metrics
            }
            for row, metrics in first.rows.items()
        }

    def _estimate(scores: list[np.ndarray], chosen: np.ndarray) -> dict[str, float | None]:
        value = bootstrap(np.stack(scores)[:, chosen], num_bootstraps, seed)
        return {
            name: float(number) if np.isfinite(number) else None
            for name, number in (("mean", value.mean), ("std", value.std))
        }

    return {
        **estimates(np.ones(len(first.subset_b), bool)),
        _SUBSET_B: estimates(first.subset_b),
        "counts": {
            "images": len(first.subset_b),
            _SUBSET_B: int(first.subset_b.sum()),
            "runs": len(runs),
        },
        _SETTINGS: {**first.settings, "bootstraps": num_bootstraps, "bootstrap_seed": seed},
    }
