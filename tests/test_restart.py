"""Starting a program again: when it is worth it, and that it is the same command."""

import os
import pathlib
import subprocess
import sys

import pytest

from experiments import restart

_PROGRAM = """
import sys
from experiments import restart

print(sys.argv[1:], flush=True)
with restart.in_this_process():
    restart.if_worth_it(steps_left=int(sys.argv[1]))
    print("ran")
"""


@pytest.mark.parametrize(("steps_left", "starts"), [("500", 2), ("499", 1)])
def test_the_same_command_runs_once_more_if_many_steps_are_left(tmp_path, steps_left, starts):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    command = [sys.executable, program, steps_left, "--with space=a b"]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.splitlines()
    assert lines.count(f"[{steps_left!r}, '--with space=a b']") == starts
    assert lines[-1] == "ran"


def test_a_notebooks_process_is_not_started_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["hpunet train", "--config=demo"])
    restart.if_worth_it(steps_left=10_000)
