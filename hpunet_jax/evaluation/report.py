"""Tables like Table 1 from the results of an evaluation, for the terminal and for Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpunet_jax.text_table import aligned, markdown

ROWS = {
    "model": "the model's samples",
    "human": "one grader against the others",
    "thresholded_mean": "thresholded mean of the samples",
    "training_marginal": "thresholded mean of the training masks",
    "independent_pixels": "independent pixels",
    "marginal_components": "components of the thresholded foreground",
    "sample_components": "components of one sample, not clustered",
}
_METRICS = {
    "ged2": "GED² ↓",
    "hungarian_iou": "Hungarian IoU ↑",
    "reconstruction_iou": "IoU_rec ↑",
    "rand_error": "Rand error ↓",
    "average_precision": "AP ↑",
    "average_precision_50": "AP50 ↑",
    "ged2_without_self_pairs": "GED² without self-pairs ↓",
    "to_graders": "E[d(S, Y)]",
    "among_samples": "E[d(S, S')]",
    "among_graders": "E[d(Y, Y')]",
    "best_of_n": "best of N (D_max) ↑",
    "matched_dice": "matched Dice ↑",
    "brier": "Brier ↓",
    "uncertainty_correlation": "NCC ↑",
    "confidence": "confidence",
    "subset_b": "subset B",
    "expected_calibration_error": "ECE ↓",
    "adaptive_calibration_error": "adaptive ECE ↓",
    "risk_coverage_area": "AURC ↓",
}
# Tables of their own: what is compared on beside the paper's scores.
_TABLES = {
    "terms of GED²": (
        *("ged2_without_self_pairs", "to_graders", "among_samples", "among_graders"),
    ),
    "overlap by Dice": ("best_of_n", "matched_dice"),
    "against the graders' frequencies": (
        *("expected_calibration_error", "adaptive_calibration_error", "brier"),
        *("uncertainty_correlation", "risk_coverage_area"),
    ),
}
_NOT_IN_THE_FIRST = {"confidence", *(name for names in _TABLES.values() for name in names)}
_BY_NUMBER = (*("ged2", "hungarian_iou", *_TABLES["terms of GED²"], *_TABLES["overlap by Dice"]),)
_UNDEFINED = "–"
# Of images that all graders marked: a Hungarian IoU below both says that hardly anything is met.
_HARDLY, _HARDLY_OF_HUMAN = 0.05, 0.25
_BIAS = (
    " GED² is 2 E[d(S, Y)] - E[d(S, S')] - E[d(Y, Y')] with self-pairs, as is usual: so "
    "E[d(S, S')] of N samples is too small by a factor of 1 - 1/N, and GED² too large by "
    "E[d(S, S')]/N, where E is that without self-pairs."
)
_FREQUENCIES = (
    " ECE and its adaptive form compare how many samples and how many graders give a class to a "
    "pixel, all pixels together; NCC is the correlation of the two variances, AURC the mean risk "
    "E[d(S, Y)] of the most confident images, by how far samples agree."
)


def metric_label(name: str) -> str:
    """A metric's name for people, with what is better: "GED² ↓", "Hungarian IoU ↑"."""
    return _METRICS.get(name, name)


def results_table(results: Mapping[str, Any]) -> str:
    """The results as aligned plain text: all images, subset B, further scores, and by class.

    Args:
      results: what `scores.summarize` gives, or the same read from its file.

    Returns:
      Several lines, without a final line break.
    """
    return "\n\n".join([*map(aligned, tables(results)), note(results)])


def tables(results: Mapping[str, Any]) -> list[list[list[str]]]:
    """The cells of all tables, for every form they are shown in.

    Args:
      results: as for `results_table`.

    Returns:
      The rows of each table, the header first: all images, subset B, further scores, by class.
    """
    first = [_rows_of(caption, rows, _metrics_of(rows)) for caption, rows in _sections(results)]
    return first + _further_tables(results)


def markdown_table(results: Mapping[str, Any]) -> str:
    """The results as a Markdown table; subset B, if any, stands in the columns on the right.

    Further tables have the scores beside the paper's, the model's by class if there are several,
    and by number of samples if that was asked for.

    Args:
      results: as for `results_table`.

    Returns:
      Several lines, without a final line break.
    """
    sections = _sections(results)
    columns = [
        (name, rows, "all images" if caption.startswith("all") else "subset B")
        for caption, rows in sections
        for name in _metrics_of(rows)
    ]
    header = [f"{_METRICS.get(name, name)}<br>{images}" for name, _, images in columns]
    lines = [["", *header]]
    for row in sections[0][1]:
        cells = (_cells(rows.get(row, {}), [name])[0] for name, rows, _ in columns)
        lines.append([_row_label(row), *cells])
    parts = [markdown(lines), *map(markdown, _further_tables(results))]
    counts = results["counts"]
    images = f"{counts['images']:,} images"
    if "subset_b" in counts:
        images += f", {counts['subset_b']:,} in subset B (all graders marked it)"
    return "\n\n".join([*parts, f"{images}; {note(results)}"])


def _sections(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(caption, rows) of all images and of subset B, if there are graders."""
    counts = results["counts"]
    other = ("subset_b", "classes", "numbers_of_samples", "counts", "settings")
    rows = {name: value for name, value in results.items() if name not in other}
    sections = [(f"all {counts['images']:,} images", rows)]
    if "subset_b" in results:
        sections.append((f"subset B: {counts['subset_b']:,} images", results["subset_b"]))
    return sections


def _further_tables(results: Mapping[str, Any]) -> list[list[list[str]]]:
    """The tables below the first: further scores, by class, by number of samples."""
    _, rows = _sections(results)[0]
    tables = []
    for caption, names in _TABLES.items():
        metrics = [name for name in names if any(name in values for values in rows.values())]
        having = {row: v for row, v in rows.items() if any(name in v for name in metrics)}
        if metrics:
            tables.append(_rows_of(caption, having, metrics))
    return tables + [rows for rows in (_class_rows(results), _number_rows(results)) if rows]


def _rows_of(
    caption: str, rows: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]
) -> list[list[str]]:
    header = [caption, *(_METRICS.get(name, name) for name in metrics)]
    return [header, *([_row_label(row), *_cells(values, metrics)] for row, values in rows.items())]


def _class_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """The model's scores of each class, with a header; [] if there is but one."""
    classes = {label: rows["model"] for label, rows in results.get("classes", {}).items()}
    if not classes:
        return []
    metrics = _metrics_of(classes)
    header = ["the model's samples, by class", *(_METRICS.get(name, name) for name in metrics)]
    lines = []
    for label, values in classes.items():
        images = max(v.get("images", results["counts"]["images"]) for v in values.values())
        lines.append([f"class {label} ({images:,} images)", *_cells(values, metrics)])
    return [header, *lines]


def _number_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """The model's scores by number of samples, with a header; [] if they were not asked for."""
    numbers = results.get("numbers_of_samples", {})
    if not numbers:
        return []
    metrics = [name for name in _BY_NUMBER if name in _all_metrics(numbers)]
    header = ["number of samples", *(_METRICS.get(name, name) for name in metrics)]
    return [header, *([number, *_cells(values, metrics)] for number, values in numbers.items())]


def _metrics_of(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every metric of the first tables that some row has, in the order of their first mention."""
    return [metric for metric in _all_metrics(rows) if metric not in _NOT_IN_THE_FIRST]


def _all_metrics(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(metric for values in rows.values() for metric in values))


def _row_label(row: str) -> str:
    return ROWS.get(row, row.replace("_", " "))


def _cells(values: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> list[str]:
    def cell(metric: str) -> str:
        value = values.get(metric)
        if value is None:
            return ""
        if value["mean"] is None:
            return _UNDEFINED
        return f"{value['mean']:.3f} ± {value['std']:.3f}"

    return [cell(metric) for metric in metrics]


def note(results: Mapping[str, Any]) -> str:
    """What stands below the tables: which scores are better, and how they are meant."""
    bootstraps, runs = results["settings"]["bootstraps"], results["counts"]["runs"]
    shown = _all_metrics(_sections(results)[0][1])
    seeds = f" of each of {runs} runs" if runs > 1 else ""
    without = results["counts"].get("without_score", 0)
    left_out = f" Without any score, since nothing of them is annotated: {without:,} images."
    return (
        "↓ lower is better, ↑ higher is better; "
        f"mean ± standard deviation over {bootstraps:,} bootstraps{seeds}."
        + (left_out if without else "")
        + _warning(results)
        + (_BIAS if "among_samples" in shown else "")
        + (_FREQUENCIES if "expected_calibration_error" in shown else "")
    )


def _warning(results: Mapping[str, Any]) -> str:
    """A sentence where the samples hardly overlap with any grading, else nothing."""

    def matched(row: str) -> float | None:
        rows = results["subset_b"] if results["counts"].get("subset_b") else results
        return rows.get(row, {}).get("hungarian_iou", {}).get("mean")

    samples, graders = matched("model"), matched("human")
    if samples is None or samples >= max(_HARDLY, _HARDLY_OF_HUMAN * (graders or 0)):
        return ""
    compared = "" if graders is None else f", {graders:.2f} among the graders"
    return (
        f"\nWarning: the samples hardly overlap with any grading (Hungarian IoU {samples:.2f}"
        f"{compared}). GED² says little of such samples, as they gain by differing from each "
        "other: train longer, look at the samples, and see whether objective.kappa can be reached."
    )
