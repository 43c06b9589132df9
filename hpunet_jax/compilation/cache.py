"""The persistent compilation cache: what one start has compiled, the next one finds on disk."""

import hashlib
import os
import pathlib
from typing import Any

import jax

OFF = "off"
_MAX_BYTES = 8 << 30


def use_cache(folder: str | os.PathLike[str] | None = None) -> str | None:
    """Keeps all that JAX compiles from now on in a folder, and looks there first.

    It changes this process for good, so a program calls it, never the library. The folder may be
    shared by processes at the same time, and deleted at any time; beyond 8 GiB, what has not been
    used for longest goes. Programs of other devices, versions or flags are other entries.

    Args:
      folder: the folder, created if missing; "off": no cache; None: that of the environment's
        JAX_COMPILATION_CACHE_DIR, else one in the user's cache folder.

    Returns:
      The folder in use; None if there is none.
    """
    if folder == OFF:
        jax.config.update("jax_enable_compilation_cache", False)
        return None
    if folder is None and (given := jax.config.values["jax_compilation_cache_dir"]):
        return given
    place = pathlib.Path(folder).expanduser() if folder else user_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if folder:
            raise ValueError(
                f"--compilation_cache={folder}: nothing can be kept there ({error}): give another "
                f'folder, or "{OFF}".'
            ) from error
        return None  # without a home: nobody asked for it
    jax.config.update("jax_compilation_cache_dir", os.fspath(place))
    jax.config.update("jax_compilation_cache_max_size", _MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return os.fspath(place)


def compile_or_load(lowered: jax.stages.Lowered) -> tuple[jax.stages.Compiled, bool]:
    """Compiles a program, or loads it from the cache.

    Returns:
      The program, and whether the next start will load what was compiled now.
    """
    kept: list[str] = []

    def listen(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_misses":  # recorded as the program is written
            kept.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
        return lowered.compile(), bool(kept)
    finally:
        jax.monitoring.unregister_event_listener(listen)


def user_folder() -> pathlib.Path:
    """The cache of this user for processors like this one: machines may share a home."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser() / "hpunet_jax" / f"compiled-{_processor()}"


def _processor() -> str:
    """A digest of what the processor can do: programs for CPUs run on its like only."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = sorted({line for line in lines if line.startswith(("flags", "Features", "model"))})
    return hashlib.sha256("\n".join(features).encode()).hexdigest()[:8]
