"""Claims: one of many machines takes a piece of work, without a lock that all of them understand.

A claim is a file <folder>/<number>, 1 the first. It is taken by creating it where it must not
exist, which file systems and buckets decide for one of all that try. Its owner writes the time into
it every `BEAT_SECONDS`. A claim that nobody has renewed for `DEAD_SECONDS`, or whose process is
known to be gone since it was one of this machine, is dead: whoever creates the next number has
taken it over. The highest number holds: the process of an owner that was only asleep ends when it
sees that there is a higher one than its own, or that its own is not there any more or another's:
whoever took it over may have ended since, and given the claim back.

Machines' clocks may differ by some minutes. Where they differ more, a claim can be taken from a
living owner, who notices it at the next beat.
"""

import _thread
import contextlib
import json
import os
import pathlib
import secrets
import signal
import socket
import threading
import time
from collections.abc import Generator
from typing import Any

from absl import logging

from hpunet_jax import files
from hpunet_jax.buckets import AnyPath, place

BEAT_SECONDS = 30
DEAD_SECONDS = 300


class FolderInUseError(ValueError):
    """Another program writes to the folder; the message says which."""


class Claim:
    """A claim that this process holds. Once another has taken it over, this process is ended."""

    def __init__(self, folder: AnyPath, number: int, owner: dict[str, Any]):
        self._folder, self._number, self._owner = folder, number, owner
        self._lost = False
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def release(self) -> None:
        """Gives the claim back."""
        self._released.set()
        self._heart.join()
        if not self._lost and self._holds():
            for number in _numbers(self._folder):
                if number <= self._number:
                    files.remove(self._folder / str(number))

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # the next beat may get through
                if not self._holds():
                    self._lost = True
                    logging.error(
                        "%s was taken over by another machine, since this one had not been heard "
                        "of for %d s, or its claim was removed: this program ends here.",
                        self._folder.parent, DEAD_SECONDS,
                    )  # fmt: skip
                    _end()
                    return
                with files.write_aside(self._folder / str(self._number)) as aside:
                    aside.write_text(json.dumps({**self._owner, "seen": time.time()}))

    def _holds(self) -> bool:
        """Whether the claim is still the highest, and this process's."""
        if max(_numbers(self._folder), default=0) != self._number:
            return False
        try:
            found = json.loads(files.read_bytes(self._folder / str(self._number)))
            return found["token"] == self._owner["token"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False


def _end() -> None:
    """Ends this process from a thread, as Ctrl-C does: what is written stays whole."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.SIG_DFL, None):
        os._exit(1)  # a script's background jobs do not listen to Ctrl-C
    _thread.interrupt_main()


@contextlib.contextmanager
def claimed(folder: str | os.PathLike[str]) -> Generator[Claim]:
    """Holds the claim of a folder, which other machines then do not get.

    Args:
      folder: the folder of the claim's files; its parent is what is claimed.

    Raises:
      FolderInUseError: if a living process has it; the message says which.
    """
    claim = _take(place(folder, "the folder to claim"))
    try:
        yield claim
    finally:
        claim.release()


def _take(folder: AnyPath) -> Claim:
    number = max(_numbers(folder), default=0)
    if number and (owner := _living(folder / str(number))):
        raise FolderInUseError(f"{folder.parent} is in use by {owner}.")
    me = {"pid": os.getpid(), "host": _host(), "since": time.strftime("%c")}
    me["token"] = secrets.token_hex(8)
    number += 1
    mine = json.dumps({**me, "seen": time.time()}).encode()
    taken = files.create(folder / str(number), mine)
    if not taken:  # unless it is there by a request of ours whose answer was lost
        with contextlib.suppress(FileNotFoundError):
            taken = files.read_bytes(folder / str(number)) == mine
    if taken and max(_numbers(folder)) > number:  # taken over by one who saw an older state
        files.remove(folder / str(number))
        taken = False
    if not taken:
        raise FolderInUseError(f"{folder.parent} was taken by another program at this moment.")
    return Claim(folder, number, me)


def _living(file: AnyPath) -> str | None:
    """Who holds a claim, in words; None if it is dead, or given back."""
    try:
        owner = json.loads(files.read_bytes(file))
        who = f"process {owner['pid']} on {owner['host'][0]} since {owner['since']}"
        seen = float(owner["seen"])
        gone = owner["host"] == _host() and not _runs(owner["pid"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FolderInUseError(
            f"{file} is no claim of a run: remove it if no program uses {file.parent.parent}."
        ) from error
    return None if gone or time.time() - seen > DEAD_SECONDS else who


def _numbers(folder: AnyPath) -> list[int]:
    return sorted(int(name) for name in files.names_in(folder) if name.isdecimal())


def _host() -> list[str]:
    """This machine: its name, and what tells apart others of this name, and containers."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return parts


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return True
