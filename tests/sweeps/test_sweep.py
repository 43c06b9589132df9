"""A whole sweep: into a bucket, killed, finished by another process, and its table."""

import csv
import io
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from hpunet_jax import files
from hpunet_jax.buckets import place
from hpunet_jax.evaluation.results import result_name
from tests.buckets import BUCKET, S3, clients_of
from tests.xla import xla_flags

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("buckets")


@pytest.fixture
def workdir(monkeypatch):
    """A folder in an emulated bucket."""
    server = S3()
    with clients_of(monkeypatch, server.port):
        yield place(f"s3://{BUCKET}/sweep", "the bucket")
    server.stop()


def sweep(workdir, home, *flags, kill=""):
    home.mkdir()
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.sweeps.sweep_program", f"--kill={kill}"),
            *(f"--config={ROOT / 'tests/sweeps/sweep_program.py'}", f"--workdir={workdir}"),
            *("--set=evaluation.num_samples=2,3", "--set=training.seed=0:2", *flags),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "XLA_FLAGS": xla_flags(devices=1),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",  # once for all of a sweep's runs
            "HOME": str(home),
        },
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


def test_a_sweep_that_was_killed_is_finished_by_another_machine(tmp_path, workdir):
    killed = sweep(workdir, tmp_path / "one", kill="num_samples=2,seed=1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert files.names_in(workdir / "num_samples=2,seed=1" / ".claim") == ["1"]
    assert not files.is_file(workdir / "sweep.csv")

    other = sweep(workdir, tmp_path / "two", "--sort_by=ged2", "--metrics=ged2,train/loss")
    assert other.returncode == 0, other.stdout + other.stderr
    assert "[1/4] num_samples=2,seed=0: finished" in other.stdout
    assert "[2/4] num_samples=2,seed=1\n" in other.stdout

    rows = list(csv.DictReader(io.StringIO(files.read_bytes(workdir / "sweep.csv").decode())))
    points = {(row["evaluation.num_samples"], row["training.seed"]) for row in rows}
    assert points == {(samples, seed) for samples in "23" for seed in "01"}
    scores = [float(row["ged2"]) for row in rows]
    assert scores == sorted(scores)
    name = result_name("test", None, 4, "")
    for row in rows:
        samples, seed = row["evaluation.num_samples"], row["training.seed"]
        assert row["run"] == f"num_samples={samples},seed={seed}"
        summary = json.loads(files.read_bytes(workdir / row["run"] / f"{name}.json"))
        assert float(row["ged2"]) == summary["model"]["ged2"]["mean"]
        assert float(row["ged2_std"]) == summary["model"]["ged2"]["std"]
        curves = files.read_bytes(workdir / row["run"] / "metrics.csv").decode()
        curves = list(csv.DictReader(io.StringIO(curves)))
        assert [of_step["step"] for of_step in curves] == ["1", "2", "3", "4"]
        assert row["train/loss"] == curves[-1]["loss"]
    assert files.read_bytes(workdir / "sweep.png").startswith(b"\x89PNG")
    assert "GED² ↓" in files.read_bytes(workdir / "sweep.txt").decode()
    assert files.names_in(workdir / "num_samples=2,seed=1" / ".claim") == []
