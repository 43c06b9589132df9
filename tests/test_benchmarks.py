"""Benchmarks on little: programs that do next to nothing, tiny networks, drawn probabilities."""

import itertools
import sys

import jax
import numpy as np
import pytest

from benchmarks import gpu, step, tpu
from benchmarks.side_by_side import Measured, measure, ratio
from hpunet_jax.inference.segment import SegmentOptions

WORKER = """
import json, sys
print(json.dumps({"ready": "1"}), flush=True)
for i, line in enumerate(sys.stdin, 1):
    answer = {"seconds": [i * FACTOR] * int(line), "peak_bytes": 7, "waits": 2}
    print(json.dumps(answer), flush=True)
"""


def worker(factor):
    return [sys.executable, "-c", WORKER.replace("FACTOR", str(factor))]


@pytest.fixture(scope="module")
def found():
    broken = [sys.executable, "-c", "raise ValueError('no card here')"]
    return measure({"ours": worker(2), "port": worker(4), "other": broken}, rounds=3, steps=2)


def test_programs_are_asked_in_turns_and_one_that_fails_says_why(found):
    assert found["ours"].seconds == [2, 2, 4, 4, 6, 6]
    assert found["ours"].median == 4
    assert (found["ours"].peak_bytes, found["ours"].waits, found["ours"].page_faults) == (7, 6, 0)
    assert ratio(found["ours"], found["port"]) == 0.5
    assert found["other"] == "ValueError: no card here"


def test_tables_have_a_row_for_each_program_also_for_one_that_failed(found, monkeypatch, capsys):
    monkeypatch.setattr(step, "measure", lambda *_: found)
    step.main(["--work", "demo, step, batch 12"])
    row = next(line for line in capsys.readouterr().out.splitlines() if "| port" in line)
    assert [cell.strip() for cell in row.split("|")[3:-1]] == ["8000.0", "4000.0", "2.00", ""]

    monkeypatch.setattr(gpu, "measure", lambda *_: found)
    gpu.main(["--tiny", "--tflops=1"])
    output = capsys.readouterr().out
    assert output.count("| ours ") == 2 * len(gpu.TINY)
    assert "failed: ValueError: no card here" in output


def test_the_port_is_asked_only_where_there_is_one(tmp_path):
    port = tmp_path / "port.py"
    port.write_text("")
    made = step.commands("demo, step, batch 12", port, sys.executable, str(tmp_path))
    assert list(made)[-1] == step.PORT
    assert str(port) in made[step.PORT]
    with pytest.raises(SystemExit):
        step.main([f"--port={tmp_path / 'missing.py'}"])


def test_rows_that_are_there_are_not_compiled_again(tmp_path):
    first, *others = tpu.ROWS
    (tmp_path / f"{first}.json").write_text("{}")
    assert tpu.missing(tmp_path) == others
    command = tpu.command(others[0], tmp_path)
    assert f"--name={others[0]}" in command
    assert "--config.model.blocks=(1,)" in command


def test_a_row_that_cannot_be_compiled_does_not_keep_others_from_it(tmp_path, monkeypatch):
    def command(name, folder):
        (folder / f"{name}.asked").touch()
        return [sys.executable, "-c", f"raise SystemExit({name == 'lidc-v4'})"]

    monkeypatch.setattr(tpu, "command", command)
    assert tpu.compile_missing(tmp_path) == ["lidc-v4"]
    assert {path.stem for path in tmp_path.iterdir()} == set(tpu.ROWS)


def test_a_measurement_knows_its_median():
    assert Measured([3.0, 1.0, 2.0], 0, 0, 0, {}).median == 2.0


def test_a_training_at_its_own_size_is_timed_and_ends_when_it_is_told(module_config, examples):
    pytest.importorskip("tensorflow_datasets")
    from benchmarks import paper_size

    batches = itertools.repeat(examples)
    result, rows = paper_size.measure(module_config, batches, 9, 0, jax.devices()[:1])
    assert [row["step"] for row in rows] == [1, 2]  # no minutes are given, but it takes two steps
    assert result["images_per_second"] == pytest.approx(4 / result["step_seconds"])
    assert result["whole_training_days"] == pytest.approx(4 * result["step_seconds"] / 86_400)
    assert f"| LIDC | 4 | 2 | {result['first_step_seconds']:.0f} s |" in paper_size.table(
        {"lidc": result}
    )


def test_a_watershed_parts_what_touches_and_its_threshold_is_the_best():
    pytest.importorskip("tensorflow_datasets")
    from benchmarks import watershed

    y, x = np.mgrid[:32, :48]
    truth = np.where(np.hypot(y - 16, x - 14) < 10, 1, 0) + np.where(
        np.hypot(y - 16, x - 34) < 10, 2, 0
    )
    # A membrane of which the network is not sure: 0.6 between two cells of 0.95.
    foreground = np.where(truth > 0, 0.95, 0.1)
    foreground[14:18, 23:26] = 0.6
    images = [watershed.Predicted(foreground, truth)]
    options = SegmentOptions(num_samples=1, threshold=1, erosion=1)
    assert len(np.unique(watershed.watershed(foreground, 0.5, options))) == 2
    assert len(np.unique(watershed.watershed(foreground, 0.8, options))) == 3
    threshold, error = watershed.choose(images, options)
    assert 0.6 <= threshold < 0.95
    assert error < 0.02
    scores = watershed.score(images, threshold, options, 5, 25)
    assert scores.rows["watershed"]["rand_error"][0] == pytest.approx(error)
    assert scores.rows["watershed"]["reconstruction_iou"][0] > 0.95
    assert "average_precision_50" in str(scores.summary(10))
