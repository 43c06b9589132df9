"""Handing runs to Slurm, by submitit's executor of this machine, and to XManager, by a stand-in."""

import sys
import types

import pytest

from hpunet_jax.sweeps.launchers import parse_parameters, submit_to_slurm, xmanager_script


def test_each_run_is_a_job_of_its_own(tmp_path):
    pytest.importorskip("submitit", reason="submitit is not installed")
    commands = {
        name: [
            sys.executable,
            "-c",
            f"import pathlib; pathlib.Path({str(tmp_path / name)!r}).touch()",
        ]
        for name in ("seed=0", "seed=1")
    }
    jobs = submit_to_slurm(commands, tmp_path / "logs", {"timeout_min": 1}, cluster="local")
    assert list(jobs) == list(commands)
    for job in jobs.values():
        job.result()
    assert {"seed=0", "seed=1"} <= {path.name for path in tmp_path.iterdir()}


def test_parameters_of_jobs_are_read_and_wrong_ones_refused(tmp_path):
    assert parse_parameters(["timeout_min=600", "slurm_partition=gpu"]) == {
        "timeout_min": 600,
        "slurm_partition": "gpu",
    }
    with pytest.raises(ValueError, match="must be name=value"):
        parse_parameters(["600"])
    pytest.importorskip("submitit", reason="submitit is not installed")
    with pytest.raises(ValueError, match=r"--launcher=slurm: .*minutes"):
        submit_to_slurm({}, tmp_path, {"minutes": 3}, cluster="local")


def test_the_script_for_xmanager_launches_each_run_on_its_tpu(monkeypatch):
    arguments = {f"seed={i}": ["--config=demo", f"--only=seed={i}"] for i in range(2)}
    text = xmanager_script(arguments, "seeds", "v3-8")
    launched = []

    class Anything:
        """Takes whatever is asked of it, and remembers jobs."""

        def __init__(self, **fields):
            self.__dict__.update(fields)

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731
        package = lambda self, executables: executables  # noqa: E731
        add = lambda self, job: launched.append(job)  # noqa: E731

    xm = types.SimpleNamespace(
        python_container=Anything, CommandList=list, Job=Anything, JobRequirements=Anything
    )
    vertex = type("Vertex", (Anything,), {"Spec": Anything})
    xm_local = types.SimpleNamespace(create_experiment=Anything, Vertex=vertex)
    package = types.ModuleType("xmanager")
    package.xm, package.xm_local = xm, xm_local
    monkeypatch.setitem(sys.modules, "xmanager", package)
    script = {"__name__": "launch"}
    exec(compile(text, "launch.py", "exec"), script)
    script["main"](None)
    assert [job.args for job in launched] == list(arguments.values())
    assert all(job.executor.requirements.TPU_V3 == 8 for job in launched)
    with pytest.raises(ValueError, match="--tpu=v3 must be a type and a number of cores"):
        xmanager_script(arguments, "seeds", "v3")
