"""Trains, evaluates and merges the runs of the paper's tables.

    hpunet table --name=table1_lidc --workdir=runs/tables --seeds=10
    hpunet table --name=table1_lidc,subset_b,table2 --workdir=runs/tables_demo \\
        --seeds=3 --scale=demo

Each run is a folder <workdir>/<config>/seed<number>, shared by all tables. What is missing is
trained and evaluated by `hpunet train` and `hpunet evaluate`; a run that stopped half-way
goes on from its newest checkpoint, one whose last step is evaluated is finished. The table of all
finished runs, the paper's numbers beside ours, is printed and written to <workdir>/<name>.txt, .md
and .json.

--scale=demo makes the configs small, on the embedded data; --scale=long does so with more steps for
those of LIDC-IDRI (configs/lidc_phantom_long.py), --scale=tight also with a smaller κ
(configs/lidc_phantom_tight.py). --override=training.steps=1000 changes a field of
every config; it may be repeated. --only=seed3 (or lidc_spunet, or lidc_spunet/seed3) does these
runs alone: the others can be done elsewhere, with the same workdir or one to be copied into it,
since a run writes nothing but its own folder. Machines that see one workdir can be given the same
command: each run is taken by one of them.
"""

import json
from collections.abc import Sequence

from absl import flags

from experiments import making, program
from hpunet_jax.buckets import AnyPath
from hpunet_jax.files import write_aside
from hpunet_jax.reproduction import runs
from hpunet_jax.reproduction.paper_tables import TABLES, Table
from hpunet_jax.reproduction.tables import markdown_table, merge, text_table

_NAME = flags.DEFINE_list("name", None, f"The tables: {', '.join(TABLES)}.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of all runs.")
_SEEDS = flags.DEFINE_integer("seeds", 10, "Runs of each row.", lower_bound=1)
_SCALE = flags.DEFINE_enum("scale", runs.PAPER, runs.SCALES, "Size of the configs.")
_ONLY = flags.DEFINE_list("only", [], "Do only these runs: seed3, lidc_spunet, lidc_spunet/seed3.")
_TRAIN = flags.DEFINE_bool("train", True, "--notrain only merges what is finished.")
_OVERRIDE = flags.DEFINE_multi_string("override", [], "Config field, as training.steps=1000.")
_LIMIT = flags.DEFINE_integer("limit", None, "Evaluate only so many images.", lower_bound=1)
_BOOTSTRAPS = flags.DEFINE_integer("bootstraps", 1000, "Bootstraps of each run.", lower_bound=1)
flags.mark_flags_as_required(["name", "workdir"])


def main(_) -> None:
    workdir = program.folder(_WORKDIR.value, "--workdir")
    if not _NAME.value:
        raise ValueError(f"--name is empty: give some of {', '.join(TABLES)}.")
    if unknown := [name for name in _NAME.value if name not in TABLES]:
        raise ValueError(f"--name={unknown[0]} is no table: give some of {', '.join(TABLES)}.")
    tables = {name: TABLES[name] for name in _NAME.value}
    jobs = runs.jobs_of(list(tables.values()), _SEEDS.value, _ONLY.value)
    tasks = tasks_of(jobs)
    check_same_configs(jobs, list(tables.values()), workdir)
    failed, elsewhere = making.make(tasks, workdir) if _TRAIN.value else ([], [])
    check_same_configs(jobs, list(tables.values()), workdir)  # others may have made some
    for name, table in tables.items():
        write_table(name, table, workdir)
    making.report(failed, elsewhere)


def check_same_configs(jobs: Sequence[runs.Job], tables: Sequence[Table], workdir: AnyPath) -> None:
    """Raises a `ValueError` if a run that is there is not of the configs that are asked for.

    Those of the tables that are not to be made are merged, too. --notrain alone asks for no config.
    """
    if _TRAIN.value or flags.FLAGS["scale"].present or _OVERRIDE.value:
        configs = dict.fromkeys(row.config for table in tables for row in table.rows)
        there = [job for config in configs for job in runs.trained(workdir, config)]
        making.check_same_configs(tasks_of([*dict.fromkeys([*jobs, *there])]), workdir)


def tasks_of(jobs: Sequence[runs.Job]) -> list[making.Task]:
    """What makes some runs."""
    limit = [f"--limit={_LIMIT.value}"] if _LIMIT.value else []
    return [
        making.Task(
            job.name,
            [
                f"--config={runs.config_file(job.config, _SCALE.value)}",
                f"--config.training.seed={job.seed}",
                *(f"--config.{field}" for field in _OVERRIDE.value),
            ],
            limit,
            _LIMIT.value,
        )
        for job in jobs
    ]


def write_table(name: str, table: Table, workdir: AnyPath) -> None:
    """Merges the finished runs of a table, writes it and prints it."""
    read = {row.config: runs.finished(workdir, row.config, _LIMIT.value) for row in table.rows}
    result = merge(table, read, _BOOTSTRAPS.value)
    for suffix, text in (
        (".txt", text_table(result)),
        (".md", markdown_table(result)),
        (".json", json.dumps(result, indent=2, ensure_ascii=False)),
    ):
        with write_aside(workdir / (name + suffix)) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
    print(f"\n{text_table(result)}\n\ntable: {workdir / name}.txt, .md and .json")


if __name__ == "__main__":
    program.run(main)
