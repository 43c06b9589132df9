import json

import pytest

from hpunet_jax.evaluation.report import markdown_table, results_table


@pytest.fixture
def results():
    def score(mean, std=0.01):
        return {"mean": mean, "std": std}

    rows = {
        "model": {
            "ged2": score(0.27),
            "hungarian_iou": score(0.53),
            "reconstruction_iou": score(1),
        },
        "human": {"ged2": score(None, None), "hungarian_iou": score(0.5)},
        "a_new_row": {"ged2": score(0.4), "hungarian_iou": score(0.3125)},
    }
    results = {
        **rows,
        "subset_b": {**rows, "model": {**rows["model"], "ged2": score(0.38)}},
        "counts": {"images": 1992, "subset_b": 638, "runs": 1},
        "settings": {"bootstraps": 1000},
    }
    return json.loads(json.dumps(results))


def test_the_text_is_aligned_and_says_which_direction_is_better(results):
    table = results_table(results)
    everything, subset_b, note = table.split("\n\n")
    header, rule, *rows = everything.splitlines()
    assert header.startswith("all 1,992 images ")
    assert "GED² ↓" in header
    assert "IoU_rec ↑" in header
    assert len(rule) == len(header) == len(rows[0])
    assert len(header) <= 100
    cells = [cell.strip() for cell in rows[0].split("  ") if cell]
    assert cells[1:] == ["0.270 ± 0.010", "0.530 ± 0.010", "1.000 ± 0.010"]
    column = rows[0].index("0.530")
    assert rows[1][column:] == "0.500 ± 0.010"
    assert rows[2].startswith("a new row ")
    assert subset_b.startswith("subset B: 638 images ")
    assert "0.380 ± 0.010" in subset_b
    assert note.startswith("↓ lower is better, ↑ higher is better")
    assert "1,000 bootstraps" in note


def test_undefined_scores_are_dashes(results):
    line = results_table(results).splitlines()[3]
    assert line.startswith("one grader against the others ")
    assert line.split()[-4:] == ["–", "0.500", "±", "0.010"]


def test_markdown_has_as_many_cells_in_each_row(results):
    table, note = markdown_table(results).split("\n\n")
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    assert [len(line) for line in lines] == [7] * 5
    assert [cell.strip() for cell in lines[2]][1:5] == [
        "0.270 ± 0.010",
        "0.530 ± 0.010",
        "1.000 ± 0.010",
        "0.380 ± 0.010",
    ]
    assert lines[4][3].strip() == ""
    assert "1,992 images, 638 in subset B" in note


def test_the_number_of_runs_is_told(results):
    results["counts"]["runs"] = 10
    assert "of each of 10 runs" in results_table(results)


def test_without_graders_there_is_one_table_with_the_average_precision():
    def score(mean):
        return {"mean": mean, "std": 0.01}

    metrics = ("reconstruction_iou", "rand_error", "average_precision", "average_precision_50")
    results = {
        "model": dict(zip(metrics, map(score, (0.6, 0.06, 0.3, 0.468)), strict=True)),
        "marginal_components": dict(zip(metrics, map(score, (0.5, 0.5, 0.1, 0.2)), strict=True)),
        "counts": {"images": 500, "runs": 1},
        "settings": {"bootstraps": 1000},
    }
    text = results_table(results)
    assert len(text.split("\n\n")) == 2
    header = text.splitlines()[0]
    assert [header.index(name) for name in ("IoU_rec ↑", "Rand error ↓", "AP ↑", "AP50 ↑")]
    assert "components of the thresholded foreground" in text
    table, note = markdown_table(results).split("\n\n")
    assert [len(line.strip("|").split("|")) for line in table.splitlines()] == [5] * 4
    assert note.startswith("500 images; ")


def test_samples_that_hardly_overlap_with_any_grading_are_warned_of(results):
    def note(model, human, where="subset_b"):
        results[where]["model"]["hungarian_iou"]["mean"] = model
        results[where]["human"]["hungarian_iou"]["mean"] = human
        return results_table(results).split("\n\n")[-1], markdown_table(results)

    for text in note(0.02, 0.5):
        assert "Warning: the samples hardly overlap with any grading" in text
        assert "(Hungarian IoU 0.02, 0.50 among the graders)" in text
    assert "Warning" in note(0.1, 0.5)[0]
    assert "Warning" not in "".join(note(0.2, 0.5))
    assert "Warning" not in "".join(note(0.1, None))
    results["counts"]["subset_b"] = 0
    assert "Warning" not in "".join(note(0.3, 0.5, "subset_b"))
