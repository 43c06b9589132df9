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

LOCK = ".lock"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


class FolderInUseError(ValueError):
    """Another program writes to the folder; the message says which."""


def check_local(path: str | os.PathLike[str], name: str) -> None:
    """Refuses addresses such as gs://bucket/run, which would become a local folder `gs:`.

    Args:
      path: what was given as a file or folder.
      name: what it was given as, such as "--workdir".

    Raises:
      ValueError: if it has a scheme.
    """
    if match := _SCHEME.match(os.fspath(path)):
        raise ValueError(
            f"{name}={os.fspath(path)} has the scheme {match[1]}://, but only local files and "
            "folders can be read and written: give a path, such as that of a mounted bucket."
        )


def check_no_pattern(path: str | os.PathLike[str], name: str) -> None:
    """Refuses paths with [, *, ? or a backslash, which the library of checkpoints globs.

    Args:
      path: a file or folder; relative ones are looked at with the folder they are in.
      name: what it was given as, such as "--workdir".

    Raises:
      ValueError: if the path has such a character.
    """
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
    it in one of them only.

    Args:
      folder: created if missing.
      wait: until another process that has the lock ends, instead of raising an error.

    Raises:
      FolderInUseError: if another process has the lock; it says which.
    """
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
