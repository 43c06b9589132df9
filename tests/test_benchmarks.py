"""Benchmarks that measure programs in turns, on programs that do next to nothing."""

import sys

import pytest

from benchmarks import gpu, step, tpu
from benchmarks.side_by_side import Measured, measure, ratio

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


def test_a_measurement_knows_its_median():
    assert Measured([3.0, 1.0, 2.0], 0, 0, 0, {}).median == 2.0
