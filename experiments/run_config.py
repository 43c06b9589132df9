"""The config of a run that is there already, for the programs' --config: this file, colon, workdir.

`experiments.train` takes it where a workdir holds a run and no --config is given.
"""

import pathlib
import sys
from collections.abc import Sequence

import ml_collections

from hpunet_jax.buckets import place
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.config import schema


def get_config(workdir: str) -> ml_collections.ConfigDict:
    """The config that made the newest checkpoint of a work directory."""
    with Checkpoints(workdir) as checkpoints:
        config = checkpoints.config()
    with config.unlocked():  # fields that are younger than the run, so that they can be overridden
        for name, field in schema(config.model.name).items():
            section, _, rest = name.partition(".")
            if section == "training" and not field.required and rest not in config.training:
                config.training[rest] = field.default
    return config


def with_config_of_run(arguments: Sequence[str]) -> list[str]:
    """The arguments of a program, with the config of the run in --workdir if they have none.

    Where there is no run to go on with, or its checkpoint is damaged, it ends the program with one
    sentence.
    """
    arguments = list(arguments)
    given = {argument.partition("=")[0].lstrip("-") for argument in arguments}
    workdir = None
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = argument.partition("=")
        if name in ("--workdir", "-workdir"):
            workdir = value if equals else following
    if not workdir or any(name == "config" or name.startswith("help") for name in given):
        return arguments
    try:
        with Checkpoints(place(workdir, "--workdir")) as checkpoints:
            steps = checkpoints.steps()
            if steps:
                checkpoints.config()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    if not steps:
        sys.exit(
            f"error: {workdir} holds no checkpoint to go on from, whose config would be used: give "
            "the --config of the run that is to begin there, or begin again."
        )
    return [arguments[0], f"--config={pathlib.Path(__file__)}:{workdir}", *arguments[1:]]
