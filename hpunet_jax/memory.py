"""How the C library treats memory that a training step gives back, on CPUs."""

import ctypes


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next step instead of returning it.

    On CPUs, XLA allocates the activations anew in each step. By default glibc maps and unmaps them,
    and the kernel clears every page: see benchmarks/allocation.py for what that costs. It changes
    this process for good, so a program calls it, never the library.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is None:
        return  # not glibc
    for parameter, value in ((-1, -1), (-4, 0), (-8, 1)):  # M_TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX
        mallopt(parameter, value)
