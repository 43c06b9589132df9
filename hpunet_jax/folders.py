"""Folders that programs write to: which names can be used, and one program at a time."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Generator

from hpunet_jax.buckets import is_bucket, place
from hpunet_jax.claims import FolderInUseError, claimed

LOCK = ".lock"


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
    it in one of them only. In a bucket it is a claim, see `claims.py`, which outlives its process:
    on another machine by `claims.DEAD_SECONDS`.

    Args:
      folder: created if missing.
      wait: until another process that has the lock ends, instead of raising an error; only on a
        disk.

    Raises:
      FolderInUseError: if another process has the lock; it says which.
    """
    if is_bucket(folder):
        with claimed(place(folder, "the folder") / LOCK):
            yield
        return
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise FolderInUseError(
                f"{folder} is in use by {_owner(file)}: wait until it ends, or give another folder."
            ) from None
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%c")}
        file.truncate(0)
        file.write(json.dumps(owner))
        file.flush()
        yield


def _owner(file) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
