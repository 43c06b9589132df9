"""Trains and evaluates a config with several values of some fields, and makes one table of it.

    hpunet sweep --config=lidc_hpunet --workdir=runs/kappa \\
        --set=objective.kappa=0.02,0.05 --set=training.seed=0:5

Each run is a folder <workdir>/kappa=0.02,seed=0 named by what differs. All combinations are run;
what a grid cannot say, a config file's get_sweep() does, which returns [{field: value, ...}, ...].
Other fields are overridden for all runs, as in --config.training.steps=1000.

What is finished is not run again, and what was begun goes on. Several machines can be given the
same command and a work directory that all of them see, such as a bucket: each run is taken by one,
and a run whose machine has not been heard of for five minutes is taken over. At the end the table
of all finished runs is printed and written to <workdir>/sweep.txt, .csv and .png.

--launcher=local makes the runs here, --at_once of them at a time; slurm submits a job for each
(--slurm=timeout_min=600, ...); xmanager writes <workdir>/launch.py for `xmanager launch`, which has
not been tried; print shows the commands. --norun makes the table alone.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from absl import flags
from ml_collections import config_flags

from experiments import making, program
from hpunet_jax.buckets import AnyPath
from hpunet_jax.config import differences, load_config, load_sweep
from hpunet_jax.figures import save_figure
from hpunet_jax.figures.sweep import sweep_figure
from hpunet_jax.files import write_aside
from hpunet_jax.folders import check_local
from hpunet_jax.sweeps.grid import Point, configs_of, crossed, flags_of, grid, names_of
from hpunet_jax.sweeps.launchers import parse_parameters, submit_to_slurm, xmanager_script
from hpunet_jax.sweeps.table import as_csv, as_text, read_result, sweep_table

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config that all runs share.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of all runs.")
_SET = flags.DEFINE_multi_string("set", [], "field=value,value,... or field=first:end.")
_LAUNCHER = flags.DEFINE_enum(
    "launcher", "local", ["local", "slurm", "xmanager", "print"], "What makes the runs."
)
_AT_ONCE = flags.DEFINE_integer("at_once", 1, "local: runs at the same time.", lower_bound=1)
_SLURM = flags.DEFINE_multi_string("slurm", [], "slurm: submitit's parameters, as timeout_min=600.")
_CLUSTER = flags.DEFINE_enum(
    "cluster", "slurm", ["slurm", "local"], "slurm: local tries the jobs on this machine."
)
_LOGS = flags.DEFINE_string(
    "logs", None, "slurm: folder of the jobs' logs; default: <workdir>/logs."
)
_TPU = flags.DEFINE_string("tpu", "v3-8", "xmanager: the TPU of each run.")
_ONLY = flags.DEFINE_multi_string("only", [], "Only the run of this name; may be repeated.")
_RUN = flags.DEFINE_bool("run", True, "--norun makes the table alone.")
_METRICS = flags.DEFINE_list(
    "metrics", [], "Columns of the table; default: those of the paper's tables."
)
_SORT_BY = flags.DEFINE_string("sort_by", None, "The table's order; default: the first column.")
_LIMIT = flags.DEFINE_integer("limit", None, "Evaluate only so many images.", lower_bound=1)
flags.mark_flags_as_required(["config", "workdir"])


def main(_) -> None:
    workdir = program.folder(_WORKDIR.value, "--workdir")
    file = flags.FLAGS["config"].config_filename
    points = sweep_points(file)
    configs_of(_CONFIG.value, list(points.values()))  # all are checked before any is begun
    chosen = {name: points[name] for name in points if not _ONLY.value or name in _ONLY.value}
    if unknown := [name for name in _ONLY.value if name not in points]:
        raise ValueError(f"--only={unknown[0]} is no run of this sweep: {', '.join(points)}.")
    tasks = tasks_of(file, chosen)
    everything = tasks_of(file, points)
    making.check_same_configs(everything, workdir)
    failed, elsewhere = launch(tasks, workdir) if _RUN.value else ([], [])
    if _LAUNCHER.value == "local" or not _RUN.value:
        making.check_same_configs(everything, workdir)  # others may have made some meanwhile
        write_table(workdir, list(points))
    making.report(failed, elsewhere)


def sweep_points(file: str) -> dict[str, Point]:
    """What each run overrides, by its name."""
    of_file = load_sweep(file)
    if of_file is None and not _SET.value:
        raise ValueError(
            "there is nothing to sweep: give --set=field=value,value, or a config file with a "
            "function get_sweep()."
        )
    points = crossed(of_file or [{}], grid(_SET.value, _CONFIG.value))
    return dict(zip(names_of(points), points, strict=True))


def overridden(file: str) -> Point:
    """The fields that flags changed, beside what the config's file says."""
    changed = differences(load_config(file), _CONFIG.value)
    return {field: new for field, (_, new) in changed.items()}


def tasks_of(file: str, points: Mapping[str, Point]) -> list[making.Task]:
    """The runs to be made."""
    changed = overridden(file)
    limit = [f"--limit={_LIMIT.value}"] if _LIMIT.value else []
    return [
        making.Task(
            name, [f"--config={file}", *flags_of({**changed, **point})], limit, _LIMIT.value
        )
        for name, point in points.items()
    ]


def launch(tasks: Sequence[making.Task], workdir: AnyPath) -> tuple[list[str], list[str]]:
    """Makes the runs, or has them made; returns those that failed, and those made elsewhere."""
    if _LAUNCHER.value == "local":
        return making.make(tasks, workdir, _AT_ONCE.value)
    missing = [task for task in tasks if not making.is_finished(workdir / task.name, task.limit)]
    if _LAUNCHER.value == "print":
        for task in missing:
            train, evaluate = (shlex.join(["hpunet", *words]) for words in task.commands(workdir))
            print(f"{train} && \\\n    {evaluate}")
        return [], []
    of_runs = {task.name: one_run(task.name) for task in missing}
    if _LAUNCHER.value == "xmanager":
        script = workdir / "launch.py"
        with write_aside(script) as aside:
            aside.write_text(xmanager_script(of_runs, workdir.name, _TPU.value), encoding="utf-8")
        print(f"{len(of_runs)} run(s): xmanager launch {script}")
        return [], []
    logs = _LOGS.value or os.fspath(workdir / "logs")
    command = [sys.executable, "-m", "experiments.sweep"]
    jobs = submit_to_slurm(
        {name: [*command, *arguments] for name, arguments in of_runs.items()},
        check_local(logs, "--logs"),
        parse_parameters(_SLURM.value),
        _CLUSTER.value,
    )
    for name, job in jobs.items():
        print(f"{name}: job {job.job_id}")
    if _CLUSTER.value == "local":
        for job in jobs.values():
            job.result()
    return [], []


def one_run(name: str) -> list[str]:
    """The arguments of this program that make one of the runs here."""
    file = flags.FLAGS["config"].config_filename
    return [
        f"--config={file}",
        *flags_of(overridden(file)),
        f"--workdir={_WORKDIR.value}",
        *(f"--set={setting}" for setting in _SET.value),
        *([f"--limit={_LIMIT.value}"] if _LIMIT.value else []),
        f"--only={name}",
    ]


def write_table(workdir: AnyPath, names: Sequence[str]) -> None:
    """Writes and prints the table of the runs that are finished."""
    found = (read_result(workdir / name, name, _LIMIT.value) for name in names)
    results = [result for result in found if result is not None]
    if not results:
        print("no run is finished, so there is no table yet")
        return
    table = sweep_table(results, _METRICS.value, _SORT_BY.value)
    for suffix, text in ((".txt", f"{as_text(table)}\n"), (".csv", as_csv(table))):
        with write_aside(workdir / f"sweep{suffix}") as aside:
            aside.write_text(text, encoding="utf-8")
    save_figure(sweep_figure(table), workdir / "sweep.png")
    unfinished = len(names) - len(results)
    print(
        f"\n{as_text(table)}\n"
        + (f"\n{unfinished} run(s) are not finished\n" if unfinished else "")
    )
    print(f"table: {workdir / 'sweep'}.txt, .csv and .png")


if __name__ == "__main__":
    program.run(main)
