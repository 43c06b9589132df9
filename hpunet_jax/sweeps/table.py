"""One table over the runs of a sweep: what came out of each, and the fields in which they differ.

A column's name is a metric of the evaluation (`ged2`, of the model; `human/ged2` of another row) or
`train/<column>`, the last row of metrics.csv.
"""

import csv
import io
import json
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from hpunet_jax import files
from hpunet_jax.buckets import AnyPath
from hpunet_jax.config import PLACES, differences, value_of
from hpunet_jax.evaluation.report import metric_label
from hpunet_jax.evaluation.results import is_of, result_name, why_not_comparable
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.figures import read_metrics
from hpunet_jax.reproduction import runs
from hpunet_jax.text_table import aligned

CURVES = "metrics.csv"
_TRAIN = "train/"
_USUAL = (
    "ged2",
    "hungarian_iou",
    "reconstruction_iou",
    "rand_error",
    "average_precision",
    "average_precision_50",
)
_NOTHING = "–"


class Result(NamedTuple):
    """What came out of a run.

    Attributes:
      name: its folder below the sweep's.
      config: the config that made it.
      values: {column: value}; numbers that are not defined are left out.
      errors: {column: standard deviation over bootstraps}, of metrics of the evaluation.
      settings: those of its scores.
    """

    name: str
    config: ml_collections.ConfigDict
    values: Mapping[str, float]
    errors: Mapping[str, float]
    settings: Mapping[str, Any] = types.MappingProxyType({})


class SweepTable(NamedTuple):
    """The results of a sweep, best first.

    Attributes:
      fields: the fields of the config in which the runs differ, by their dotted names.
      columns: the chosen metrics.
      rows: for each run its name, the fields' values and the result.
    """

    fields: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, Mapping[str, Any], Result], ...]


def read_result(folder: AnyPath, name: str, limit: int | None = None) -> Result | None:
    """Reads what came out of a run; None if it is not finished.

    Args:
      folder: the run's folder.
      name: its name in the table.
      limit: how many images were to be evaluated; None: all.

    Raises:
      ValueError: if its scores are of another config or other definitions of the metrics.
    """
    found = runs.evaluated(folder, limit)
    if found is None:
        return None
    config, scores = found
    summary = _summary(folder, limit, config, scores)
    values, errors = {}, {}
    for row, metrics in summary.items():
        for metric, value in metrics.items():
            column = metric if row == "model" else f"{row}/{metric}"
            if isinstance(value, Mapping) and value.get("mean") is not None:
                values[column], errors[column] = value["mean"], value["std"]
    if files.exists(folder / CURVES):
        curves = read_metrics(folder / CURVES)
        values |= {f"{_TRAIN}{column}": float(rows[-1]) for column, rows in curves.items()}
    return Result(name, config, values, errors, scores.settings)


def sweep_table(
    results: Sequence[Result], columns: Sequence[str] = (), sort_by: str | None = None
) -> SweepTable:
    """The table of a sweep.

    Args:
      results: the finished runs.
      columns: the metrics to show; (): those of the paper's tables.
      sort_by: the metric to sort by, the best first; None: the first column.

    Raises:
      ValueError: if there are no runs, or none has one of the metrics; if they were not evaluated
        alike, but for what follows from the fields in which they differ.
    """
    if not results:
        raise ValueError("no run of this sweep is finished, so there is no table yet.")
    known = dict.fromkeys(column for result in results for column in result.values)
    usual = [column for column in _USUAL if column in known]
    columns = tuple(columns or usual or (column for column in known if "/" not in column))
    sort_by = sort_by or columns[0]
    for column in (*columns, sort_by):
        if column not in known:
            raise ValueError(f"no run has the metric {column!r}: they have {', '.join(known)}.")
    fields = _compared_fields(results)
    rows = [
        (
            result.name,
            {field: _field(result.config, field) for field in fields},
            result,
        )
        for result in results
    ]
    sign = -1 if is_better_high(sort_by) else 1
    rows.sort(key=lambda row: sign * row[2].values.get(sort_by, sign * float("inf")))
    return SweepTable(fields, columns, tuple(rows))


def _compared_fields(results: Sequence[Result]) -> tuple[str, ...]:
    """The fields in which the runs differ, which were evaluated alike."""
    first, *others = results
    found: dict[str, None] = {}
    for other in others:
        changed = differences(first.config, other.config, PLACES)
        if difference := why_not_comparable(first.settings, other.settings, changed):
            raise ValueError(
                f"the runs {first.name} and {other.name} were evaluated with different "
                f"{difference}, and do not belong in one table: evaluate them alike, by `hpunet "
                "evaluate`."
            )
        found |= dict.fromkeys(changed)
    return tuple(found)


def _summary(
    folder: AnyPath, limit: int | None, config: ml_collections.ConfigDict, scores: Scores
) -> Mapping[str, Any]:
    """Means and errors of scores, as written beside them, or computed again if they are not."""
    settings = config.evaluation
    place = folder / f"{result_name(settings.split, limit, config.training.steps, '')}.json"
    if files.is_file(place):
        try:
            written = json.loads(files.read_bytes(place))
            if is_of(written["settings"], scores.settings):
                return written
        except (ValueError, KeyError, TypeError):  # cut off, or of somebody else
            pass
    return scores.summary(settings.bootstraps, settings.seed)


def as_text(table: SweepTable) -> str:
    """The table for the terminal, with bootstrap errors."""
    rows = [
        [*map(_shown, fields.values()), *(_cell(result, column) for column in table.columns)]
        for _, fields, result in table.rows
    ]
    header = [*(field.rpartition(".")[2] for field in table.fields), *map(label, table.columns)]
    return aligned([header, *rows], left=len(table.fields))


def as_csv(table: SweepTable) -> str:
    """The table with all digits: the run, the fields, and of each metric its mean and error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    errors = [column for column in table.columns if not column.startswith(_TRAIN)]
    writer.writerow(["run", *table.fields, *table.columns, *(f"{name}_std" for name in errors)])
    for name, fields, result in table.rows:
        numbers = [result.values.get(column, "") for column in table.columns]
        stds = [result.errors.get(column, "") for column in errors]
        writer.writerow([name, *fields.values(), *numbers, *stds])
    return text.getvalue()


def label(column: str) -> str:
    """A column's name for people: "GED² ↓", "human: GED² ↓"."""
    row, _, metric = column.rpartition("/")
    return f"{row}: {metric_label(metric)}" if row else metric_label(metric)


def is_better_high(column: str) -> bool:
    """Whether a higher value of a column is better."""
    return label(column).endswith("↑")


def _cell(result: Result, column: str) -> str:
    value = result.values.get(column)
    if value is None:
        return _NOTHING
    if column in result.errors:
        return f"{value:.3f} ± {result.errors[column]:.3f}"
    return f"{value:.4g}"


def _field(config: ml_collections.ConfigDict, name: str) -> Any:
    try:
        return value_of(config, name)
    except ValueError:  # of another network
        return None


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
