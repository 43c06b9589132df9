"""Memory: how the C library treats what a step gives back on CPUs; what a device has and took."""

import ctypes
import os
import pathlib
import resource

import jax

# Of Linux's control groups, by which containers are limited: version 2, version 1.
_CONTAINER_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next step instead of returning it.

    On CPUs, XLA allocates the activations anew in each step. By default glibc maps and unmaps them,
    and the kernel clears every page: see benchmarks/allocation.py for what that costs. It changes
    this process for good, so a program calls it, never the library.

    One arena for all threads, since glibc maps what does not fit the others' heaps of 64 MiB anew
    each time, whatever the other two settings say. What compiling leaves behind lies in the same
    arena: a step that was loaded, not compiled, is faster.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is None:
        return  # not glibc
    for parameter, value in ((-1, -1), (-4, 0), (-8, 1)):  # M_TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX
        mallopt(parameter, value)


def device_memory() -> int:
    """Bytes of memory of a device; of the computer, or its container, where that is the device."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [path.read_text().strip() for path in _CONTAINER_LIMITS if path.is_file()]
    return min([physical, *(int(limit) for limit in limits if limit.isdecimal())])  # or "max"


def peak_memory() -> int:
    """Most bytes of a device's memory in use so far; of this process's, where it does not say."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def out_of_memory(error: BaseException) -> str | None:
    """A sentence for a device whose memory does not suffice, with what to do; None if it does."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return None
    return (
        f"the memory of a device does not suffice: {str(error).splitlines()[0][:200]} Use a "
        "smaller batch (training.batch_size, evaluation.batch_size or --batch_size) or more "
        "devices; in training also a larger mesh.space, model.dtype=bfloat16 or model.remat."
    )
