"""Ours beside the paper's: merging the runs of a table's rows over seeds (Tables 1 and 2).

The scores of all seeds of a row are bootstrapped together, as the paper does. Our numbers and the
paper's stand in different columns, each of which says what data it was measured on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hpunet_jax.config import NO_SCORES, differences
from hpunet_jax.evaluation.results import why_not_comparable
from hpunet_jax.evaluation.scores import summarize
from hpunet_jax.reproduction.paper_tables import Column, Row, Table
from hpunet_jax.reproduction.runs import Run
from hpunet_jax.text_table import aligned, markdown

DATA = {
    "lidc_phantom": "real outlines on SIMULATED CT",
    "lidc_crops": "LIDC-IDRI, real CT",
    "snemi3d": "SNEMI3D, real micrographs",
    "neurites_phantom": "GENERATED micrographs",
    "vnc": "ventral nerve cord, real micrographs",
    "cityscapes": "Cityscapes, real photographs",
    "streets_phantom": "GENERATED street scenes",
}
_MAY_DIFFER = ("training.seed", *NO_SCORES)  # where the runs of a row may
_MISSING = "–"


def merge(
    table: Table,
    runs: Mapping[str, Sequence[Run]],
    num_bootstraps: int = 1000,
    bootstrap_seed: int = 0,
) -> dict[str, Any]:
    """Our numbers and the paper's for each row of a table.

    Args:
      table: the table.
      runs: the runs of each row, by the row's config; rows without runs stay empty.
      num_bootstraps: number of bootstraps of each run.
      bootstrap_seed: seed of their draws.

    Returns:
      A JSON object: `title`, `columns`, `paper_data`, `our_data`, `bootstraps`, `orderings` (see
      `orderings`) and `rows`, each with `label`, `config`, `seeds`, `steps`, and by column `ours`
      {"mean", "std", "of_each_seed"} and `paper` {"mean", "std", "source"}.

    Raises:
      ValueError: if runs of a row were made by different configs, or any two runs on different
        data, or scored on other images or by other settings or definitions of the metrics.
    """
    everything = [run for row in table.rows for run in runs.get(row.config, ())]
    names = sorted({run.config.data.name for run in everything})
    if len(names) > 1:
        raise ValueError(
            f"the runs were trained on different data, {names[0]} and {names[1]}, and do not "
            "belong in one table: use another --workdir for each."
        )
    _check_same_evaluation(table, runs)
    rows = []
    for row in table.rows:
        of_row = sorted(runs.get(row.config, ()), key=lambda run: run.seed)
        _check_same_config(row, of_row)
        rows.append(
            {
                "label": row.label,
                "config": row.config,
                "seeds": [run.seed for run in of_row],
                "steps": of_row[0].config.training.steps if of_row else None,
                "ours": _estimates(table.columns, of_row, num_bootstraps, bootstrap_seed),
                "paper": {key: number._asdict() for key, number in row.published.items()},
            }
        )
    return {
        "title": table.title,
        "columns": {key: column.label for key, column in table.columns.items()},
        "paper_data": table.data,
        "our_data": _our_data(everything),
        "bootstraps": num_bootstraps,
        "rows": rows,
        "orderings": orderings(table.columns, rows),
    }


def orderings(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    """Whether our models are ordered as the paper's, for each score and pair of rows.

    Args:
      columns: the scores.
      rows: rows as `merge` makes them.

    Returns:
      One {"column", "better", "worse", "wins", "pairs", "agrees"} for each pair of rows that the
      paper tells apart and that we have runs of: in how many of the pairs of seeds the row that is
      better in the paper is better with us, and whether it is so on average.
    """
    found = []
    for key, column in columns.items():
        known = [row for row in rows if key in row["paper"] and key in row["ours"]]
        known.sort(key=lambda row: row["paper"][key]["mean"], reverse=column.higher_is_better)
        for index, better in enumerate(known):
            for worse in known[index + 1 :]:
                if better["paper"][key]["mean"] == worse["paper"][key]["mean"]:
                    continue
                sign = 1 if column.higher_is_better else -1
                pairs = [
                    sign * (a - b) > 0
                    for a in better["ours"][key]["of_each_seed"]
                    for b in worse["ours"][key]["of_each_seed"]
                ]
                difference = better["ours"][key]["mean"] - worse["ours"][key]["mean"]
                found.append(
                    {
                        "column": column.label,
                        "better": better["label"],
                        "worse": worse["label"],
                        "wins": sum(pairs),
                        "pairs": len(pairs),
                        "agrees": bool(sign * difference > 0),
                    }
                )
    return found


def text_table(result: Mapping[str, Any]) -> str:
    """What `merge` gives as aligned text, without a final line break."""
    table = aligned([_header(result), *_lines(result)], left=2)
    return "\n".join([result["title"], "", table, "", *_notes(result)])


def markdown_table(result: Mapping[str, Any]) -> str:
    """What `merge` gives as Markdown, without a final line break."""
    table = markdown([_header(result), *_lines(result)], left=2)
    notes = "\n".join(f"- {note}" for note in _notes(result))
    return f"### {result['title']}\n\n{table}\n\n{notes}"


def _estimates(
    columns: Mapping[str, Column], runs: Sequence[Run], num_bootstraps: int, seed: int
) -> dict[str, dict[str, Any]]:
    if not runs:
        return {}
    summary = summarize([run.scores for run in runs], num_bootstraps, seed)
    alone = [summarize([run.scores], 1, seed) for run in runs]

    def value(summary: Mapping[str, Any], column: Column) -> dict[str, Any]:
        rows = summary["subset_b"] if column.subset_b else summary
        return rows["model"].get(column.metric, {"mean": None, "std": None})

    found = {}
    for key, column in columns.items():
        estimate = value(summary, column)
        if estimate["mean"] is not None:
            of_each_seed = [value(one, column)["mean"] for one in alone]
            found[key] = {**estimate, "of_each_seed": of_each_seed}
    return found


def _check_same_config(row: Row, runs: Sequence[Run]) -> None:
    for run in runs[1:]:
        if changed := differences(runs[0].config, run.config, _MAY_DIFFER):
            name, (first, other) = next(iter(changed.items()))
            raise ValueError(
                f"{row.config}: the run of seed {runs[0].seed} has {name}={first!r}, that of seed "
                f"{run.seed} has {other!r}. The seeds of a row must be trained alike: remove one, "
                "or use another --workdir."
            )


def _check_same_evaluation(table: Table, runs: Mapping[str, Sequence[Run]]) -> None:
    """Whatever is in one table was scored on the same images, and alike."""
    everything = [(row.config, run) for row in table.rows for run in runs.get(row.config, ())]
    for config, run in everything[1:]:
        first_config, first = everything[0]
        if difference := why_not_comparable(first.scores.settings, run.scores.settings):
            raise ValueError(
                f"{first_config}/seed{first.seed} and {config}/seed{run.seed} were evaluated with "
                f"different {difference}, and do not belong in one table: evaluate them alike, by "
                "`hpunet evaluate`."
            )


def _our_data(runs: Sequence[Run]) -> str | None:
    if not runs:
        return None
    data = runs[0].config.data
    images = runs[0].scores.num_images
    name = DATA.get(data.name, data.name)
    return f"{name} ({data.name}, {images:,} images of {data.crop[0]}x{data.crop[1]} pixels)"


def _header(result: Mapping[str, Any]) -> list[str]:
    ours = result["our_data"] or "no runs yet"
    return ["model", "score", f"ours: {ours.split(' (')[0]}", f"the paper: {result['paper_data']}"]


def _lines(result: Mapping[str, Any]) -> list[list[str]]:
    return [
        [row["label"], label, _cell(row["ours"].get(key)), _cell(row["paper"].get(key), digits=2)]
        for row in result["rows"]
        for key, label in result["columns"].items()
    ]


def _cell(number: Mapping[str, Any] | None, digits: int = 3) -> str:
    if number is None:
        return _MISSING
    digits = digits if round(number["mean"], digits) == round(number["mean"], 9) else 3
    std = "" if number["std"] is None else f" ± {number['std']:.{digits}f}"
    return f"{number['mean']:.{digits}f}{std}"


def _notes(result: Mapping[str, Any]) -> list[str]:
    notes = []
    for row in result["rows"]:
        if row["seeds"]:
            seeds = ", ".join(map(str, row["seeds"]))
            notes.append(f"{row['label']}: {row['config']}, seeds {seeds}, {row['steps']:,} steps.")
        else:
            notes.append(f"{row['label']}: {row['config']}, no finished run.")
    if result["our_data"]:
        notes.append(f"Data: ours {result['our_data']}; the paper's {result['paper_data']}.")
    notes.append(
        f"±: standard deviation over {result['bootstraps']:,} bootstraps of the images of each "
        "seed; the paper has 10 seeds."
    )
    for found in result["orderings"]:
        notes.append(
            f"{found['column'].rstrip(' ↑↓')}: in the paper {found['better']} is better than "
            f"{found['worse']}; ours {'too' if found['agrees'] else 'NOT'}, in {found['wins']} "
            f"of {found['pairs']} pairs of seeds."
        )
    return notes
