"""The table of a sweep: order, fields that differ, what is missing; and its picture."""

import csv
import io

import numpy as np
import pytest

from configs import lidc_hpunet
from hpunet_jax.figures.sweep import sweep_figure
from hpunet_jax.sweeps.grid import configs_of
from hpunet_jax.sweeps.table import Result, as_csv, as_text, sweep_table

POINTS = [
    {"objective.kappa": kappa, "data.crop": crop}
    for kappa in (0.01, 1.0)
    for crop in ((256, 256), (128, 128))
]


@pytest.fixture(scope="module")
def results():
    configs = configs_of(lidc_hpunet.get_config(), POINTS)
    values = [
        {"ged2": 0.3, "hungarian_iou": 0.5, "human/ged2": 0.2, "train/loss": 12.25},
        {"ged2": 0.1, "hungarian_iou": 0.4, "human/ged2": 0.2},
        {"hungarian_iou": 0.9, "human/ged2": 0.2, "train/loss": 1e6},
        {"ged2": 0.2, "hungarian_iou": 0.6, "human/ged2": 0.2, "train/loss": 3.0},
    ]
    return [
        Result(name, config, of_run, {column: 0.01 for column in of_run if "train" not in column})
        for (name, config), of_run in zip(configs.items(), values, strict=True)
    ]


def test_rows_are_sorted_best_first_and_the_undefined_last(results):
    table = sweep_table(results)
    assert table.fields == ("data.crop", "objective.kappa")
    assert table.columns == ("ged2", "hungarian_iou")
    assert [result.values.get("ged2") for _, _, result in table.rows] == [0.1, 0.2, 0.3, None]
    higher = sweep_table(results, sort_by="hungarian_iou")
    assert [result.values["hungarian_iou"] for _, _, result in higher.rows] == [0.9, 0.6, 0.5, 0.4]


def test_text_and_csv_hold_the_chosen_columns(results):
    table = sweep_table(results, ["ged2", "human/ged2", "train/loss"])
    lines = as_text(table).splitlines()
    assert lines[0].split() == [
        "crop",
        "kappa",
        "GED²",
        "↓",
        "human:",
        "GED²",
        "↓",
        "train:",
        "loss",
    ]
    assert lines[2].split() == [
        "128x128",
        "0.01",
        "0.100",
        "±",
        "0.010",
        "0.200",
        "±",
        "0.010",
        "–",
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [row["objective.kappa"] for row in rows] == ["0.01", "1.0", "0.01", "1.0"]
    assert rows[0]["data.crop"] == "(128, 128)"
    assert (rows[2]["train/loss"], rows[2]["ged2_std"], rows[3]["ged2"]) == ("12.25", "0.01", "")


def test_runs_must_be_evaluated_alike_but_for_what_follows_from_the_swept_fields(results):
    common = {"metrics_version": 3, "data_digest": "abc", "num_samples": 16, "weights": "w"}

    def table(*changes, results=results):
        changes = [*changes, *[{}] * (len(results) - len(changes))]
        pairs = zip(results, changes, strict=True)
        return sweep_table([r._replace(settings={**common, **change}) for r, change in pairs])

    table({}, {"weights": "v"}, {"trained_on": "abc"})  # of others it is not known
    for change in ({"data_digest": "def"}, {"metrics_version": 2}, {"limit": 5}):
        same_data = [result._replace(config=results[0].config) for result in results]
        with pytest.raises(ValueError, match=f"crop=256x256 and .* different {next(iter(change))}"):
            table({}, {}, change, results=same_data)
        with pytest.raises(ValueError, match="evaluated with different"):
            table({}, {}, change)  # data.crop and objective.kappa make no other data
    swept = configs_of(lidc_hpunet.get_config(), [{"evaluation.num_samples": n} for n in (16, 8)])
    of_samples = [Result(name, config, {"ged2": 0.1}, {}) for name, config in swept.items()]
    table({}, {"num_samples": 8}, results=of_samples)
    with pytest.raises(ValueError, match=r"different data_digest, 'abc' and 'def', .* alike"):
        table({}, {"num_samples": 8, "data_digest": "def"}, results=of_samples)


def test_one_run_is_a_table_too(results):
    table = sweep_table(results[:1])
    assert table.fields == ()
    assert len(as_text(table).splitlines()) == 3
    sweep_figure(table)


def test_unknown_metrics_and_no_runs_are_refused(results):
    with pytest.raises(ValueError, match="no run has the metric 'gde2': they have ged2"):
        sweep_table(results, ["gde2"])
    with pytest.raises(ValueError, match="no run has the metric 'x'"):
        sweep_table(results, sort_by="x")
    with pytest.raises(ValueError, match="no run of this sweep is finished"):
        sweep_table([])


def test_the_picture_has_a_panel_for_each_metric_and_field(results):
    figure = sweep_figure(sweep_table(results))
    panels = np.array(figure.axes).reshape(2, 2)
    assert [panel.get_xlabel() for panel in panels[1]] == ["data.crop", "objective.kappa"]
    assert [panel.get_ylabel() for panel in panels[:, 0]] == ["GED² ↓", "Hungarian IoU ↑"]
    assert [text.get_text() for text in panels[1, 0].get_xticklabels()] == [
        "(128, 128)",
        "(256, 256)",
    ]
    assert panels[0, 1].get_xscale() == "log"
    points, means = panels[1, 1].lines
    np.testing.assert_allclose(sorted(points.get_ydata()), [0.4, 0.5, 0.6, 0.9])
    np.testing.assert_allclose(means.get_xydata(), [[0.01, 0.45], [1.0, 0.75]])
