"""Curves on disk, and what resuming does to them."""

import csv

from hpunet_jax.training.metrics_log import FILE_NAME, MetricsLog


def rows(workdir):
    with (workdir / FILE_NAME).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_resumed_run_writes_the_rows_beyond_its_checkpoint_again(tmp_path):
    with MetricsLog(tmp_path, start_step=0) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": step / 10})
    with MetricsLog(tmp_path, start_step=2) as log:
        log.write(3, {"loss": 7.0})
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [
        ("1", "0.1"),
        ("2", "0.2"),
        ("3", "7.0"),
    ]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_a_row_cut_off_by_a_crash_is_dropped(tmp_path):
    (tmp_path / FILE_NAME).write_text("step,loss\n1,0.5\n2,0.")
    with MetricsLog(tmp_path, start_step=5) as log:
        log.write(6, {"loss": 0.25})
    assert [row["step"] for row in rows(tmp_path)] == ["1", "6"]


def test_starting_over_empties_the_file(tmp_path):
    (tmp_path / FILE_NAME).write_text("step,other\n1,0.5\n")
    with MetricsLog(tmp_path, start_step=0) as log:
        log.write(1, {"loss": 0.25})
    assert rows(tmp_path) == [{"step": "1", "loss": "0.25"}]
