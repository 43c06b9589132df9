"""Curves on disk, and what resuming does to them."""

import csv
import resource

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

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


def events(workdir):
    """(step, value) of the scalar `loss` in all event files."""
    return [
        (event.step, value.tensor.float_val[0])
        for path in sorted(workdir.glob("events.out.tfevents.*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == "loss"
    ]


def test_tensorboard_and_the_csv_have_the_same_rows_after_resuming(tmp_path):
    with MetricsLog(tmp_path, start_step=0) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": float(step)})
    with MetricsLog(tmp_path, start_step=1) as log:
        log.write(2, {"loss": 20.0})
    assert sorted(events(tmp_path)) == [(1, 1.0), (2, 20.0)]
    assert [(int(r["step"]), float(r["loss"])) for r in rows(tmp_path)] == [(1, 1.0), (2, 20.0)]


@pytest.mark.parametrize(
    "line", [b"", b"# a comment", b"\0\0\0", b"2,\xff", b"2", b"2,0.5,7", b"two,0.5", b"2,much"]
)
def test_a_line_that_is_no_row_is_left_out_and_the_file_kept(tmp_path, line):
    whole = b"step,loss\n1,0.5\n" + line + b"\n3,0.25\n"
    (tmp_path / FILE_NAME).write_bytes(whole)
    with MetricsLog(tmp_path, start_step=5) as log:
        log.write(6, {"loss": 0.125})
    assert [row["step"] for row in rows(tmp_path)] == ["1", "3", "6"]
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == whole


def test_a_file_that_holds_something_else_is_refused_and_kept(tmp_path):
    path = tmp_path / FILE_NAME
    for text, message in (("name,age\na,3\n", "no header"), ("step,step\n1,1\n", "no header")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            MetricsLog(tmp_path, start_step=0)
        assert path.read_text() == text
    path.write_text("step,other\n1,0.5\n")
    others = pytest.raises(ValueError, match=r"other columns than this run writes \(loss, other\)")
    with MetricsLog(tmp_path, start_step=1) as log, others:
        log.check_columns(["loss"])


def test_what_a_killed_writer_left_is_removed(tmp_path):
    left = tmp_path / ".metrics-abcd1234.csv"
    left.touch()
    MetricsLog(tmp_path, start_step=0).__exit__()
    assert not left.exists()


def test_a_row_that_finds_no_room_is_not_begun(tmp_path):
    path, limits = tmp_path / FILE_NAME, resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = pytest.raises(OSError, match=r"metrics\.csv cannot be written \(File too large\)")
    with MetricsLog(tmp_path, start_step=0) as log:
        log.write(1, {"loss": 1.0})
        before = path.read_bytes()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, limits[1]))
            with refused:
                log.write(2, {"loss": 0.123456789})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_columns_of_validations_come_and_go_and_others_are_refused(tmp_path):
    with MetricsLog(tmp_path, start_step=0) as log:
        log.write(1, {"loss": 1.0})
        log.write(2, {"loss": 2.0, "validation_ged2": 0.5})
    with MetricsLog(tmp_path, start_step=2) as log:
        log.write(3, {"loss": 3.0})
        log.write(4, {"loss": 4.0, "validation_ged2": 0.25, "validation_loss": 1.0})
        with pytest.raises(ValueError, match=r"other columns than this run writes \(kl\)"):
            log.write(5, {"loss": 4.0, "kl": 1.0})
    assert (tmp_path / FILE_NAME).read_text().splitlines() == [
        "step,loss,validation_ged2,validation_loss",
        "1,1.0,nan,nan",
        "2,2.0,0.5,nan",
        "3,3.0,nan,nan",
        "4,4.0,0.25,1.0",
    ]
