"""Starting a program again, to load what it has just compiled.

On CPUs a step that was loaded is faster than the same step compiled in the process (docs/speed.md):
what compiling leaves in the C library's memory lies between the activations of each step.
"""

import contextlib
import os
import sys
from collections.abc import Generator

import jax

_DONE = "HPUNET_STARTED_AGAIN"  # in the environment: once is enough
_WORTH_IT = 500  # steps; a start takes some seconds, which fewer steps do not give back


class StartAgain(Exception):
    """Ends a run before its first step, which `in_this_process` starts again."""


def has_happened() -> bool:
    """Whether this is the second start, and what the first one said is said."""
    return _DONE in os.environ


def if_worth_it(steps_left: int) -> None:
    """Raises `StartAgain` where the steps ahead are many, on one process's CPUs under Linux.

    Not where a notebook or a test runs the program, whose process is not that of its flags.
    """
    own_process = sys.orig_argv[-len(sys.argv[1:]) :] == sys.argv[1:]
    here = sys.platform == "linux" and jax.default_backend() == "cpu" and jax.process_count() == 1
    if own_process and here and steps_left >= _WORTH_IT and not has_happened():
        raise StartAgain


@contextlib.contextmanager
def in_this_process() -> Generator[None]:
    """On `StartAgain`, replaces this process by the same command, begun anew."""
    try:
        yield
    except StartAgain:
        print("starting again, with the step loaded, which is faster", flush=True)
        sys.stderr.flush()
        os.environ[_DONE] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # as it was started
