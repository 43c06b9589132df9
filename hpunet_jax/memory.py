"""Memory: how the C library treats what a step gives back on CPUs; how much a device has."""

import ctypes
import os

import jax


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


def device_memory() -> int:
    """Bytes of memory of a device; of the computer where that is the device."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
