"""The runs behind a table: which there are, and where each of them lies.

A run is known by its config and its seed, and lies in a folder of its own that no other run writes
to, <workdir>/<config>/seed<number>. So runs can be made on several machines and their folders be
put together: nothing has to be locked, and nothing can be lost.
"""

import os
import shlex
from collections.abc import Sequence
from typing import NamedTuple

import ml_collections

from hpunet_jax.buckets import place
from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.config import NO_RESULTS, differences, shown_differences
from hpunet_jax.evaluation.results import (
    METRICS_VERSION,
    config_differences,
    result_name,
    scored_config,
)
from hpunet_jax.evaluation.scores import Scores, load_scores
from hpunet_jax.files import is_file, is_folder, names_in
from hpunet_jax.reproduction.paper_tables import TABLES, Table

PAPER, DEMO, LONG, TIGHT = SCALES = ("paper", "demo", "long", "tight")
_INSTEAD_OF_DEMO = {  # the same with more steps, and also with a smaller κ
    LONG: {"configs/demo.py": "configs/lidc_phantom_long.py"},
    TIGHT: {"configs/demo.py": "configs/lidc_phantom_tight.py"},
}
CHECKPOINTS = "checkpoints"  # a run's folder of checkpoints


class Job(NamedTuple):
    """A run to be made.

    Attributes:
      config: the module in `configs`.
      seed: the `training.seed`.
    """

    config: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder's path inside the workdir, e.g. "lidc_spunet/seed3"."""
        return f"{self.config}/seed{self.seed}"


def jobs_of(tables: Sequence[Table], num_seeds: int, only: Sequence[str] = ()) -> list[Job]:
    """The runs of some tables, one seed of every row after the other.

    Args:
      tables: the tables; a config that several of them have is run once.
      num_seeds: seeds 0 to `num_seeds` - 1 of each row.
      only: "seed3", "lidc_spunet" or "lidc_spunet/seed3": the runs that any of them names; empty
        for all.

    Returns:
      The runs, seed by seed, so that the first rows to be finished can be compared.

    Raises:
      ValueError: if an entry of `only` names none of the runs.
    """
    configs = dict.fromkeys(row.config for table in tables for row in table.rows)
    jobs = [Job(config, seed) for seed in range(num_seeds) for config in configs]

    def names(entry: str, job: Job) -> bool:
        return entry in (job.config, f"seed{job.seed}", job.name)

    for entry in only:
        if not any(names(entry, job) for job in jobs):
            raise ValueError(
                f"--only={entry} is none of the runs {jobs[0].name} to {jobs[-1].name}: give for "
                f"instance seed0, {jobs[0].config} or {jobs[0].name}."
            )
    return [job for job in jobs if not only or any(names(entry, job) for entry in only)]


def config_file(config: str, scale: str) -> str:
    """What to give as --config.

    Args:
      config: the module in `configs`.
      scale: of `SCALES`, "paper" for that config, "demo" for the same made small on embedded data,
        "long" for those of LIDC-IDRI made as small, with more steps (configs/lidc_phantom_long.py),
        "tight" for these with a smaller κ (configs/lidc_phantom_tight.py).
    """
    demos = (t.demo for t in TABLES.values() if any(row.config == config for row in t.rows))
    demo = next(demos)
    if scale == PAPER or demo is None:
        return f"configs/{config}.py"
    return f"{_INSTEAD_OF_DEMO.get(scale, {}).get(demo, demo)}:{config}"


class Run(NamedTuple):
    """A trained and evaluated network.

    Attributes:
      seed: its `training.seed`.
      config: the config that made it.
      scores: its evaluation.
    """

    seed: int
    config: ml_collections.ConfigDict
    scores: Scores


def evaluated(
    folder: str | os.PathLike[str], limit: int | None = None
) -> tuple[ml_collections.ConfigDict, Scores] | None:
    """A run's config, and the scores of its last step on its config's split.

    Args:
      folder: the run's work directory.
      limit: how many of the split's first images were to be evaluated; None: all.

    Returns:
      Both; None if there are no such scores, or training has not come to its end.

    Raises:
      ValueError: if there are scores, but they were computed by other definitions of the metrics
        or from another run.
    """
    folder = place(folder, "the run's folder")
    with Checkpoints(folder) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            return None
        config = checkpoints.config()
    if steps[-1] < config.training.steps:
        return None
    path = folder / (result_name(config.evaluation.split, limit, steps[-1], "") + ".npz")
    if not is_file(path):
        return None
    scores = load_scores(path)
    again = f"evaluate it again: `hpunet evaluate --workdir={shlex.quote(str(folder))}`."
    if (version := scores.settings.get("metrics_version")) != METRICS_VERSION:
        raise ValueError(
            f"{path} holds scores by version {version} of the metrics' definitions, but this is "
            f"version {METRICS_VERSION}: {again}"
        )
    if changed := config_differences(scores.settings, scored_config(config)):
        name, (scored, trained_by) = next(iter(changed.items()))
        raise ValueError(
            f"{path} holds the scores of a run with another config, of {name}={scored!r}, not "
            f"{trained_by!r}: {again}"
        )
    return config, scores


def check_made_by(folder: str | os.PathLike[str], asked: ml_collections.ConfigDict) -> None:
    """Refuses a run that is there, begun or finished, in the place of another.

    Args:
      folder: the run's work directory; it need not exist.
      asked: the config of the run that is asked for. Fields that change no result may differ.

    Raises:
      ValueError: if the run in the folder was made by another config; it names a field with both
        values.
    """
    with Checkpoints(place(folder, "the run's folder")) as checkpoints:
        if not checkpoints.steps():
            return
        try:
            config = checkpoints.config()
        except CheckpointError:  # damaged, as the program that goes on with it will say
            return
    if changed := differences(config, asked, NO_RESULTS):
        raise ValueError(
            f"{folder} holds another run than is asked for: {shown_differences(changed)}. Use "
            "another --workdir, or ask for what that run has."
        )


def trained(workdir: str | os.PathLike[str], config: str) -> list[Job]:
    """The runs of a config that have a checkpoint, evaluated or not, by their seeds."""
    folder = place(workdir, "the folder of all runs") / config
    seeds = [
        name.removeprefix("seed")
        for name in names_in(folder)
        if name.startswith("seed") and is_folder(folder / name / CHECKPOINTS)
    ]
    return [Job(config, seed) for seed in sorted(int(seed) for seed in seeds if seed.isdecimal())]


def finished(workdir: str | os.PathLike[str], config: str, limit: int | None = None) -> list[Run]:
    """The runs of a config that are trained to their end and evaluated, by their seeds.

    Args:
      workdir: the folder of all runs.
      config: the module in `configs`.
      limit: how many images were to be evaluated; None: all.

    Raises:
      ValueError: as `evaluated`, or if a folder holds the run of another seed, such as a copy.
    """
    found = []
    for job in trained(workdir, config):
        folder = place(workdir, "the folder of all runs") / job.name
        if (run := evaluated(folder, limit)) is None:
            continue
        if (seed := run[0].training.seed) != job.seed:
            raise ValueError(
                f"{folder} holds a run of training.seed={seed}, not of the seed in its name: move "
                f"it to seed{seed}, or away if that is there already."
            )
        found.append(Run(job.seed, *run))
    return found
