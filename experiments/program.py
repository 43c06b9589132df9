"""What all programs share: how they start and how they fail."""

import collections
import ctypes
import os
import re
import sys
from collections.abc import Callable, Sequence

import ml_collections
from absl import app, flags, logging

from experiments import shipped
from hpunet_jax.config import check_config, check_overrides, load_config, schema

_TRACEBACK = flags.DEFINE_bool("traceback", False, "On an error, show where it came from.")

# What the library raises for bad input; anything else is our mistake and keeps its traceback.
BAD_INPUT = (ValueError, OSError, FloatingPointError)


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs an absl program; bad input ends it with one sentence and exit code 1."""
    # TensorFlow only reads files here, and need not talk about it.
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"})
    keep_freed_memory()

    def guarded(argv: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        if len(argv) > 1:
            print(f"error: unknown argument {argv[1]!r}; flags look like --name=value.")
            sys.exit(1)
        try:
            main(argv)
        except BAD_INPUT as error:
            if _TRACEBACK.value:
                raise
            print(f"\nerror: {error}", file=sys.stderr)
            sys.exit(1)

    try:
        arguments = shipped.with_files(sys.argv)
    except ValueError as error:
        sys.exit(f"error: {error}")
    app.run(guarded, argv=arguments, flags_parser=parse)


def parse(arguments: Sequence[str]) -> list[str]:
    """Reads the flags and checks the config; what is wrong ends the program with one sentence."""
    config = None
    try:
        if "config" in flags.FLAGS:
            config = _config_file(arguments)
        rest = flags.FLAGS(arguments)
        if config is not None:
            check_config(flags.FLAGS["config"].value)
        return rest
    except flags.IllegalFlagValueError as error:
        sys.exit(f"error: {_named_field(str(error), config)}")
    except (flags.Error, *BAD_INPUT) as error:
        sys.exit(f"error: {error}")


def _config_file(arguments: Sequence[str]) -> ml_collections.ConfigDict | None:
    """The config that --config names, without its overrides, whose fields it must have."""
    arguments = flags.FLAGS.read_flags_from_files(list(arguments), force_gnu=False)
    config, overrides = None, collections.Counter()
    for i, argument in enumerate(arguments):
        if match := re.match(r"--?config(?:\.([^=]+))?(?:=(.*))?$", argument, re.DOTALL):
            field, value = match.groups()
            if field:
                overrides[field] += 1
            elif value is not None or i + 1 < len(arguments):
                config = load_config(arguments[i + 1] if value is None else value)
    if config is not None:
        check_overrides(config, overrides)
    return config


def _named_field(message: str, config: ml_collections.ConfigDict | None) -> str:
    """absl's message about a value of the wrong type, in the words of the config's schema."""
    match = re.match(r"flag --config\.([^=]+)=(.*?): ", message, re.DOTALL)
    if match is None or config is None:
        return message
    field, value = match.groups()
    try:
        expected = schema(config.model.name)[field].expected
    except (AttributeError, KeyError):
        return message
    return f"--config.{field} must be {expected}, not {value!r}."


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next step instead of returning it.

    On CPUs, XLA allocates the activations anew in each step. By default glibc maps and unmaps them,
    and the kernel clears every page: see benchmarks/allocation.py for what that costs.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is None:
        return  # not glibc
    for parameter, value in ((-1, -1), (-4, 0), (-8, 1)):  # M_TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX
        mallopt(parameter, value)
