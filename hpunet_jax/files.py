"""Writing files so that a crash never leaves a half-written one under its final name."""

import contextlib
import glob
import os
import pathlib
import tempfile
from collections.abc import Generator

from hpunet_jax.folders import check_local


def remove_left_over(path: str | os.PathLike[str]) -> None:
    """Removes what writers of `path` left that were killed; only where nobody else writes it."""
    path = pathlib.Path(path)
    for file in path.parent.glob(f".{glob.escape(path.stem)}-????????{glob.escape(path.suffix)}"):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def write_aside(path: str | os.PathLike[str]) -> Generator[pathlib.Path]:
    """Yields a temporary path beside `path`; on success it is renamed to `path`.

    The temporary file keeps the suffix, since image writers choose the format by it. On an
    error it is removed, and whatever stood at `path` before is untouched.

    Args:
      path: the file to write; its folder is created if missing.

    Yields:
      The path to write to instead.

    Raises:
      ValueError: for an address such as gs://bucket/file.
    """
    check_local(path, "the file to write")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    aside = pathlib.Path(name)
    try:
        yield aside
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)  # mkstemp makes private files; results are meant to be shared
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
