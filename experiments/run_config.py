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
from hpunet_jax.files import is_folder

_FLAG = ("--config", "-config")


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
    """The arguments of a program, with the config of the run in --workdir if they have none."""
    arguments = list(arguments)
    given = {argument.partition("=")[0] for argument in arguments}
    if not given.isdisjoint(_FLAG):
        return arguments
    workdir = None
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = argument.partition("=")
        if name in ("--workdir", "-workdir"):
            workdir = value if equals else following
    if workdir and is_folder(place(workdir, "--workdir") / "checkpoints"):
        arguments.insert(1, f"--config={pathlib.Path(__file__)}:{workdir}")
    elif workdir and any(name.lstrip("-").startswith("config.") for name in given):
        sys.exit(f"error: {workdir} holds no run to go on with: give a --config to begin one.")
    return arguments
