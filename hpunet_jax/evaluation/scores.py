"""Results of an evaluation: the scores of each image, and their summary with bootstrap errors."""

import dataclasses
import io
import json
import os
import zipfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from hpunet_jax.buckets import place
from hpunet_jax.evaluation.results import is_of
from hpunet_jax.files import is_file, read_bytes, write_aside
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.average_precision import Detections, estimate_average_precision
from hpunet_jax.metrics.bootstrap import Estimate, bootstrap
from hpunet_jax.metrics.calibration import Levels, estimate_calibration
from hpunet_jax.metrics.risk_coverage import estimate_risk_coverage

_SUBSET_B = "subset_b"
_SETTINGS = "settings"
_DETECTIONS = "detections."
_LEVELS = "levels."
_CLASS = "class_"
_SAMPLES = "samples_"


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of each image of a split.

    Attributes:
      rows: {row: {metric: float64 [images]}}; NaN where an image has no such score, e.g. for
        `human` if there is only one grader.
      subset_b: bool [images], the images that every grader marked (Appendix C); None where there
        are no graders.
      settings: what the scores depend on; anything JSON can hold.
      detections: {row: detections}, which make the average precision; it is a score of the data
        set, not of an image.
      of_class: {class: rows}, the scores of each foreground class alone where there are several
        and graders; NaN also where an image has no score of the class.
      by_number: {number of samples: {metric: float64 [images]}}, the model's by the first of its
        samples; empty if that was not asked for.
      levels: {row: levels}, which make the calibration errors, scores of the data set as well;
        empty where there are no graders.
    """

    rows: Mapping[str, Mapping[str, np.ndarray]]
    subset_b: np.ndarray | None
    settings: Mapping[str, Any]
    detections: Mapping[str, Detections] = dataclasses.field(default_factory=dict)
    of_class: Mapping[int, Mapping[str, Mapping[str, np.ndarray]]] = dataclasses.field(
        default_factory=dict
    )
    by_number: Mapping[int, Mapping[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    levels: Mapping[str, Levels] = dataclasses.field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(next(iter(next(iter(self.rows.values())).values())))

    def scored(self) -> Bool[np.ndarray, " images"]:
        """The images that have any score, or detections."""
        if self.detections:
            return np.ones(self.num_images, bool)
        values = [values for metrics in self.rows.values() for values in metrics.values()]
        return np.asarray(~np.isnan(values).all(axis=0))

    def check_scored(self) -> None:
        """Raises a `ValueError` if no image has any score."""
        if not self.scored().any():
            crop = self.settings.get("crop")
            where = "in their crops of {}x{} ".format(*crop) if crop else ""
            raise ValueError(f"no image has a pixel to be scored: {where}all masks are {IGNORED}.")

    def summary(self, num_bootstraps: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Means and bootstrap errors as a JSON object; see `summarize`."""
        return summarize([self], num_bootstraps, seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the scores as .npz.

        Its arrays are `<row>/<metric>`, `<row>/<metric>/class_<c>`, `model/<metric>/samples_<n>`,
        `<row>/detections.<field>`, `<row>/levels.<field>` and `subset_b`; `settings` is JSON.
        """
        arrays: dict[str, Any] = {
            f"{row}/{metric}": values
            for row, metrics in self.rows.items()
            for metric, values in metrics.items()
        }
        for label, rows in self.of_class.items():
            for row, metrics in rows.items():
                for metric, values in metrics.items():
                    arrays[f"{row}/{metric}/{_CLASS}{label}"] = values
        for number, metrics in self.by_number.items():
            for metric, values in metrics.items():
                arrays[f"model/{metric}/{_SAMPLES}{number}"] = values
        for kind, of_rows in ((_DETECTIONS, self.detections), (_LEVELS, self.levels)):
            for row, of_set in of_rows.items():
                for field, values in of_set._asdict().items():
                    arrays[f"{row}/{kind}{field}"] = values
        if self.subset_b is not None:
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
    path = place(path, "the file of scores")
    if not is_file(path):
        raise FileNotFoundError(f"{path} does not exist: run `hpunet evaluate` to write it.")
    data = io.BytesIO(read_bytes(path))
    rows: dict[str, dict[str, np.ndarray]] = {}
    of_set: dict[str, dict[str, dict[str, np.ndarray]]] = {_DETECTIONS: {}, _LEVELS: {}}
    of_class: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    by_number: dict[int, dict[str, np.ndarray]] = {}
    try:
        with np.load(data, allow_pickle=False) as arrays:
            for name in arrays:
                row, _, metric = name.partition("/")
                metric, _, label = metric.partition("/")
                kind, dot, field = metric.partition(".")
                if dot:
                    of_set[kind + dot].setdefault(row, {})[field] = arrays[name]
                elif label.startswith(_SAMPLES):
                    number = int(label.removeprefix(_SAMPLES))
                    by_number.setdefault(number, {})[metric] = arrays[name]
                elif label:
                    of_row = of_class.setdefault(int(label.removeprefix(_CLASS)), {})
                    of_row.setdefault(row, {})[metric] = arrays[name]
                elif metric:
                    rows.setdefault(row, {})[metric] = arrays[name]
            subset_b = arrays.get(_SUBSET_B)
            settings = json.loads(str(arrays[_SETTINGS]))
        detections = {row: Detections(**fields) for row, fields in of_set[_DETECTIONS].items()}
        levels = {row: Levels(**fields) for row, fields in of_set[_LEVELS].items()}
        return Scores(rows, subset_b, settings, detections, of_class, by_number, levels)
    except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} does not hold the scores of an evaluation ({error}): run "
            "`hpunet evaluate` again."
        ) from error


def load_scores_of(path: str | os.PathLike[str], settings: Mapping[str, Any]) -> Scores | None:
    """Reads saved scores if they are of these settings.

    Args:
      path: what `Scores.save` wrote; it need not exist.
      settings: what the scores must be of, as `results.is_of` compares them.

    Returns:
      The scores; None if there are none, or others.
    """
    try:
        scores = load_scores(path)
    except (FileNotFoundError, ValueError):
        return None
    return scores if is_of(scores.settings, settings) else None


def summarize(runs: Sequence[Scores], num_bootstraps: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Means and bootstrap errors over images, and over the seeds of several runs (Table 1).

    Args:
      runs: one or more evaluations of the same images.
      num_bootstraps: number of bootstraps with replacement.
      seed: seed of the draws.

    Returns:
      A JSON object: {row: {metric: {"mean": …, "std": …}}} with the scores of the data set last
      (average precision, calibration errors, area under the risk-coverage curve), the same for the
      images of subset B under "subset_b" if there are graders, {class: rows} under "classes" if
      there are several, and "counts" and "settings". counts["images"] is the number of
      images that have any score in all runs, "without_score" that of the others, if there are such;
      "images" stands beside a mean that is of fewer. "numbers_of_samples" has the model's scores by
      the first of its samples, {number: {metric: …}}, if they were asked for. Undefined values are
      None, so that every JSON reader accepts them.

    Raises:
      ValueError: if there is no run, or the runs do not score the same images.
    """
    if not runs:
        raise ValueError("there are no scores to summarize: expected those of at least one run.")
    first, *others = runs
    if any(not _same_images(run, first) for run in others):
        raise ValueError(
            "the runs were not evaluated on the same images: evaluate all of them on one split of "
            "one data set, with the same crop."
        )

    def estimates(of_runs: Sequence[Mapping], chosen: np.ndarray) -> dict[str, dict[str, Any]]:
        def estimate(row: str, metric: str) -> dict[str, Any]:
            values = np.stack([rows[row][metric] for rows in of_runs])[:, chosen]
            value = bootstrap(values, num_bootstraps, seed)
            fewer = {"images": value.num_images} if value.num_images < chosen.sum() else {}
            return {**_as_json(value), **fewer}

        return {
            row: {metric: estimate(row, metric) for metric in metrics}
            for row, metrics in of_runs[0].items()
        }

    scored = np.logical_and.reduce([run.scored() for run in runs])
    summary: dict[str, Any] = estimates([run.rows for run in runs], scored)
    for row, metrics in first.rows.items():
        of_set = _scores_of_the_set(row, metrics, runs, num_bootstraps, seed)
        summary[row].update({name: _as_json(value) for name, value in of_set.items()})
    counts = {"images": int(scored.sum()), "runs": len(runs)}
    if not scored.all():
        counts["without_score"] = int((~scored).sum())
    if first.subset_b is not None:
        summary[_SUBSET_B] = estimates([run.rows for run in runs], first.subset_b)
        counts[_SUBSET_B] = int(first.subset_b.sum())
    if first.of_class:
        summary["classes"] = {
            str(label): estimates([run.of_class[label] for run in runs], scored)
            for label in first.of_class
        }
    if first.by_number:
        of_runs = [{str(n): run.by_number[n] for n in first.by_number} for run in runs]
        summary["numbers_of_samples"] = estimates(of_runs, scored)
    settings = {**first.settings, "bootstraps": num_bootstraps, "bootstrap_seed": seed}
    return {**summary, "counts": counts, _SETTINGS: settings}


def _scores_of_the_set(
    row: str, metrics: Collection[str], runs: Sequence[Scores], num_bootstraps: int, seed: int
) -> dict[str, Estimate]:
    """Those scores of a row that are of all images together."""
    found: dict[str, Estimate] = {}
    if row in runs[0].detections:
        detections = [run.detections[row] for run in runs]
        found |= estimate_average_precision(detections, num_bootstraps, seed)
    if row in runs[0].levels:
        levels = [run.levels[row] for run in runs]
        found |= estimate_calibration(levels, num_bootstraps, seed)
    if "confidence" in metrics and "to_graders" in metrics:
        confidence, risk = (
            [run.rows[row][metric] for run in runs] for metric in ("confidence", "to_graders")
        )
        area = estimate_risk_coverage(confidence, risk, num_bootstraps, seed)
        found["risk_coverage_area"] = area
    return found


def _same_images(a: Scores, b: Scores) -> bool:
    if a.num_images != b.num_images or a.detections.keys() != b.detections.keys():
        return False
    if any(getattr(a, f).keys() != getattr(b, f).keys() for f in ("rows", "of_class", "by_number")):
        return False
    if a.subset_b is None or b.subset_b is None:
        return a.subset_b is b.subset_b
    return np.array_equal(a.subset_b, b.subset_b)


def _as_json(value: Estimate) -> dict[str, float | None]:
    return {
        name: float(number) if np.isfinite(number) else None
        for name, number in (("mean", value.mean), ("std", value.std))
    }
