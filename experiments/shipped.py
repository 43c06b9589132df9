"""Configs by name: `--config=lidc_hpunet` is the file of that name beside the programs."""

import difflib
import pathlib
from collections.abc import Sequence

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


def config_file(value: str) -> str:
    """The file that a `--config` means.

    Args:
      value: a file, or the name of a shipped config (also as configs/<name>.py); what follows a
        colon is the config's own argument and stays.

    Returns:
      A path for ml_collections.

    Raises:
      ValueError: for a name that no shipped config has; it names the nearest.
    """
    if not value:
        raise ValueError(
            "--config is empty: give the name of a shipped config, such as demo, or a config file."
        )
    path, colon, argument = value.partition(":")
    if pathlib.Path(path).is_file():
        return value
    name = path.removeprefix("configs/").removesuffix(".py")
    if "/" in name or not name:
        raise ValueError(f"--config={value}: there is no file {path}.")
    if not (CONFIGS / f"{name}.py").is_file():
        known = sorted(file.stem for file in CONFIGS.glob("[!_]*.py"))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}? The" if near else "The"
        raise ValueError(
            f"--config={value}: there is no such file, and no shipped config of that name. {hint} "
            f"shipped configs are {', '.join(known)}."
        )
    return f"{CONFIGS / name}.py{colon}{argument}"


def with_files(arguments: Sequence[str]) -> list[str]:
    """The arguments of a program, with the file of each `--config` (or `-config`)."""
    result, value_follows = [], False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if value_follows:
            argument = config_file(argument)
        elif equals and flag.lstrip("-") == "config" and flag.startswith("-"):
            argument = f"--config={config_file(value)}"
        value_follows = not value_follows and argument in ("--config", "-config")
        result.append(argument)
    return result
