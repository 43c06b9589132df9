"""Reading config files: what is wrong with one is said in a sentence with file and line."""

import importlib.util
import inspect
import pathlib
import traceback
import types
from collections.abc import Mapping
from typing import Any

import ml_collections


def load_config(path: str) -> ml_collections.ConfigDict:
    """Runs a config file's `get_config`.

    Args:
      path: the file, maybe with an argument for `get_config` after a colon:
        "configs/demo.py:lidc_spunet".

    Returns:
      The config, locked.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is no config, or does not run; the message says where.
    """
    name, *arguments = path.split(":", 1)
    file, module = _run(name)
    if not callable(get_config := getattr(module, "get_config", None)):
        raise ValueError(f"{name} has no function `get_config`, which a config file must have.")
    try:
        inspect.signature(get_config).bind(*arguments)
    except TypeError:
        takes = "takes no argument" if arguments else "needs an argument"
        raise ValueError(f"{name} {takes} after a colon, not {path!r}.") from None
    try:
        config = get_config(*arguments)
    except Exception as error:
        raise ValueError(f"{_place(file, error)}: {_message(error)}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise ValueError(
            f"get_config() of {name} must return an ml_collections.ConfigDict, not "
            f"{type(config).__name__}."
        )
    return config.lock()


def load_sweep(path: str) -> list[dict[str, Any]] | None:
    """Runs a config file's `get_sweep`, which says what a grid of values cannot.

    Args:
      path: as for `load_config`; what stands after a colon is for `get_config` alone.

    Returns:
      What each run overrides, {dotted name of a field: value}; None if the file has no `get_sweep`.

    Raises:
      ValueError: if it does not run, or returns something else; the message says where.
    """
    name = path.split(":", 1)[0]
    file, module = _run(name)
    if (get_sweep := getattr(module, "get_sweep", None)) is None:
        return None
    try:
        points = list(get_sweep())
    except Exception as error:  # whatever the file does
        raise ValueError(f"{_place(file, error)}: {_message(error)}") from error
    for point in points:
        if not isinstance(point, Mapping) or not all(isinstance(key, str) for key in point):
            raise ValueError(
                f"get_sweep() of {name} must return what each run overrides, as "
                f"[{{'training.seed': 0}}, {{'training.seed': 1}}], not {point!r}."
            )
    if not points:
        raise ValueError(f"get_sweep() of {name} returns no runs.")
    return [{key: _as_tuple(value) for key, value in point.items()} for point in points]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _run(name: str) -> tuple[pathlib.Path, types.ModuleType]:
    """A config file and what running it defines."""
    file = pathlib.Path(name)
    if not file.is_file():
        raise FileNotFoundError(f"there is no config file {name!r}.")
    if file.suffix != ".py":
        raise ValueError(f"{name} is not a config file: its name must end in '.py'.")
    spec: Any = importlib.util.spec_from_file_location("config_file", file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file does
        raise ValueError(f"{_place(file, error)}: {_message(error)}") from error
    return file, module


def _place(file: pathlib.Path, error: Exception) -> str:
    """File and line of an error: the last place in the config's folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    folder = file.resolve().parent
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if pathlib.Path(f.filename).resolve().parent == folder]
    if not inside:
        return str(file)
    last = inside[-1]
    return f"{file.with_name(pathlib.Path(last.filename).name)}, line {last.lineno}"


def _message(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = " ".join(text.split())
    return f"{type(error).__name__}: {text if len(text) <= 200 else f'{text[:200]}...'}"
