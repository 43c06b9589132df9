"""Folders that programs write to: which names can be used, and one program at a time."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Generator
from typing import TextIO

from hpunet_jax.buckets import AnyPath, is_bucket, place
from hpunet_jax.claims import FolderInUseError, claimed
from hpunet_jax.files import cannot_write

LOCK = ".lock"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # of some network file systems


def check_local(path: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Refuses addresses such as gs://bucket/run, where only this machine's files can be used.

    Args:
      path: what was given as a file or folder.
      name: what it was given as, such as "--out".

    Returns:
      The path, with ~ for the home folder.

    Raises:
      ValueError: if it is an address.
    """
    local = place(path, name)
    if not isinstance(local, pathlib.Path):
        raise ValueError(
            f"{name}={os.fspath(path)} is in a bucket, but must be a local file or folder: "
            "copy it, or give the path of a mounted bucket."
        )
    return local


def check_out(path: str | os.PathLike[str], name: str) -> AnyPath:
    """The place that a program is to write to, refused before the work if it cannot be.

    Args:
      path: a folder, which need not be there; or an address in a bucket, which is not looked at.
      name: what it was given as, such as "--out".

    Raises:
      ValueError: if it, or a folder above, is a file.
      PermissionError: if it may not be written to.
    """
    out = place(path, name)
    if not isinstance(out, pathlib.Path):
        return out
    there = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir():
        what = "a file" if there.exists() else "a link to nothing"
        raise ValueError(f"{name}={os.fspath(path)}: {there} is {what}: give a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{name}={os.fspath(path)}: {there} may not be written to by this user: change its "
            "rights, or give another folder."
        )
    return out


def check_no_pattern(path: str | os.PathLike[str], name: str) -> None:
    """Refuses paths with [, *, ? or a backslash, which the library of checkpoints globs.

    Args:
      path: a local file or folder; relative ones are looked at with the folder they are in.
        Buckets, of which nothing is globbed, have any names.
      name: what it was given as, such as "--workdir".

    Raises:
      ValueError: if the path has such a character.
    """
    if is_bucket(path):
        return
    whole = os.fspath(pathlib.Path(path).absolute())
    if found := re.search(r"[\[*?\\]", whole):
        raise ValueError(
            f"{name}={os.fspath(path)}: the path {whole} has a {found[0]!r}, which the library "
            "that writes and reads the files takes for a pattern: choose a path without [, *, ? "
            "and backslashes."
        )


@contextlib.contextmanager
def used_alone(folder: str | os.PathLike[str], wait: bool = False) -> Generator[None]:
    """Keeps other programs from using a folder at the same time.

    The lock belongs to this process and dies with it, however it ends. Processes of one run use
    it in one of them only. In a bucket, and on file systems without locks, it is a claim, see
    `claims.py`, which outlives its process: on another machine by `claims.DEAD_SECONDS`.

    Args:
      folder: created if missing.
      wait: until another process that has the lock ends, instead of raising an error; only where
        there are locks.

    Raises:
      FolderInUseError: if another process has the lock; it says which.
    """
    if is_bucket(folder):
        with claimed(place(folder, "the folder") / LOCK):
            yield
        return
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        lock = None if (folder / LOCK).is_dir() else _locked(folder, wait)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        (folder / LOCK).unlink(missing_ok=True)  # the claim takes its name
        lock = None
    if lock is not None:
        with lock:
            yield
        return
    with claimed(folder / LOCK):
        yield
    with contextlib.suppress(OSError):  # another has it by now
        (folder / LOCK).rmdir()


def _locked(folder: pathlib.Path, wait: bool) -> TextIO:
    """The file that is locked as long as it is open."""
    file = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%c")}
        file.truncate(0)
        file.write(json.dumps(owner))
        file.flush()
    except BaseException as error:
        with file:
            if not isinstance(error, BlockingIOError):
                raise
            owner = _owner(file)
        raise FolderInUseError(
            f"{folder} is in use by {owner}: wait until it ends, or give another folder."
        ) from None
    return file


def _owner(file: TextIO) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
