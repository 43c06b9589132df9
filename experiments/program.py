"""What all programs share: how they start and how they fail."""

import ctypes
import os
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from experiments import shipped

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
    """Reads the flags; a config file or a field that does not exist ends the program."""
    try:
        return app.parse_flags_with_usage(arguments)
    except (ImportError, OSError) as error:
        sys.exit(f"error: cannot read the config: {error}")
    except (AttributeError, KeyError, TypeError) as error:  # what ml_collections lets through
        while isinstance(error.args[0], Exception):
            error = error.args[0]
        field, _, hint = str(error.args[0]).partition("\n")
        sys.exit(f"error: the config has no such field: {field}. {hint}".rstrip())


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next step instead of returning it.

    On CPUs, XLA allocates the activations anew in each step. By default glibc maps and unmaps them,
    and the kernel clears every page: see benchmarks/allocation.py for what that costs.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is None:
        return  # not glibc
    for parameter, value in ((-1, -1), (-4, 0), (-8, 1)):  # M_TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX
        mallopt(parameter, value)
