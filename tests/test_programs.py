"""How programs end on flags that make no sense: with one sentence, and not with 0."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=configs/demo.py", "--config.training.stepz=3"], "did you mean training.steps?"),
        (["--config=configs/demo.py:lidc_huge"], "No module named 'configs.lidc_huge'"),
    ],
)
def test_a_wrong_config_ends_a_program_with_one_sentence(tmp_path, flags, message):
    run = subprocess.run(
        [sys.executable, "-m", "experiments.train", f"--workdir={tmp_path / 'run'}", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "run").exists()
