"""Files on disks and in buckets: a crash never leaves a half-written one under its final name."""

import contextlib
import errno
import glob
import os
import pathlib
import re
import tempfile
from collections.abc import Generator
from typing import TextIO

from hpunet_jax import buckets
from hpunet_jax.buckets import AnyPath, place

_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def remove_left_over(path: str | os.PathLike[str]) -> None:
    """Removes what writers of `path` left that were killed; only where nobody else writes it."""
    path = pathlib.Path(path)
    for file in path.parent.glob(f".{glob.escape(path.stem)}-????????{glob.escape(path.suffix)}"):
        file.unlink(missing_ok=True)


class CannotWriteError(OSError):
    """Nothing can be written to a place; a sentence says why."""


def cannot_write(path: str | os.PathLike[str], error: BaseException) -> OSError:
    """The sentence about a place where nothing can be written any more, such as a full disk."""
    if isinstance(error, CannotWriteError):
        return error
    code = re.search(r"os_error_code='(\d+)'|errno = (\d+)", str(error))  # TensorStore's, HDF5's
    number = int(code[1] or code[2]) if code else getattr(error, "errno", None)
    reason = os.strerror(number) if number else error
    if number in _IN_THE_WAY:
        advice = "a file stands where a folder should be, or the reverse: give another path."
    else:
        advice = "make room, or see to the rights."
    return CannotWriteError(
        f"{os.fspath(path)} cannot be written ({reason}): {advice} What was written before is "
        "whole, and the same command goes on from there."
    )


@contextlib.contextmanager
def write_aside(path: str | os.PathLike[str]) -> Generator[pathlib.Path]:
    """Yields a temporary path beside `path`; on success it is renamed to `path`.

    The temporary file keeps the suffix, since image writers choose the format by it. On an
    error it is removed, and whatever stood at `path` before is untouched. For a file in a bucket
    it is a local one, which is then written as one object.

    Args:
      path: the file to write; its folder is created if missing.

    Yields:
      The path to write to instead, a local one.

    Raises:
      ValueError: for an address that is no bucket's.
      BucketError: if the bucket refuses it.
      CannotWriteError: if the disk is full, the folder may not be written to, or is a file.
    """
    path = place(path, "the file to write")
    if not isinstance(path, pathlib.Path):
        with tempfile.TemporaryDirectory() as folder:
            aside = pathlib.Path(folder, path.name)
            yield aside
            buckets.upload(aside, path)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.stem}-"
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    except OSError as error:
        raise cannot_write(path, error) from error
    os.close(handle)
    aside = pathlib.Path(name)
    try:
        yield aside
        aside.chmod(_shared_mode())
        aside.replace(path)
    except OSError as error:
        if error.errno in (*_NO_ROOM, *_IN_THE_WAY) or "errno = " in str(error):  # HDF5 says it so
            raise cannot_write(path, error) from error
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_table_aside(path: str | os.PathLike[str]) -> Generator[TextIO]:
    """Yields a text file for a CSV writer, as `write_aside`.

    Names of files need not be UTF-8: those that are not go into the table with their own bytes, as
    `open(..., errors="surrogateescape")` reads them again.
    """
    with (
        write_aside(path) as aside,
        aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


def exists(path: AnyPath) -> bool:
    """Whether there is such a file or folder."""
    return path.exists() if isinstance(path, pathlib.Path) else buckets.exists(path)


def is_file(path: AnyPath) -> bool:
    """Whether there is such a file."""
    return path.is_file() if isinstance(path, pathlib.Path) else buckets.is_file(path)


def is_folder(path: AnyPath) -> bool:
    """Whether there is such a folder; in a bucket, whether any object lies below it."""
    return path.is_dir() if isinstance(path, pathlib.Path) else bool(buckets.names_in(path))


def size(path: AnyPath) -> int:
    """A file's size in bytes."""
    return path.stat().st_size if isinstance(path, pathlib.Path) else buckets.size(path)


def names_in(folder: AnyPath) -> list[str]:
    """The names of all files and folders in a folder, sorted; none if there is no such folder."""
    if not isinstance(folder, pathlib.Path):
        return buckets.names_in(folder)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def read_bytes(path: AnyPath) -> bytes:
    """A file's bytes; raises a `FileNotFoundError` if there is none."""
    return path.read_bytes() if isinstance(path, pathlib.Path) else buckets.read_bytes(path)


def create(path: AnyPath, data: bytes) -> bool:
    """Writes a small file unless it is there; of many programs that try at once, one does.

    Returns:
      Whether it was this one.
    """
    if not isinstance(path, pathlib.Path):
        return buckets.create(path, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-") as whole:
        whole.write(data)
        whole.flush()
        os.fchmod(whole.fileno(), _shared_mode())
        try:
            os.link(whole.name, path)  # whole or not at all, unlike a file opened with "x"
        except FileExistsError:
            return False
        except OSError:  # file systems without hard links, such as mounted buckets
            try:
                with path.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                return False
    return True


def remove(path: AnyPath) -> None:
    """Removes a file, if it is there."""
    if isinstance(path, pathlib.Path):
        path.unlink(missing_ok=True)
    else:
        buckets.remove(path)


def _shared_mode() -> int:
    """The rights of a new file: temporary files are private, but results are to be shared."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
