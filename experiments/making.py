"""Making runs: training and evaluating what is missing, for `table` and `sweep`.

A run lies in a folder of its own and is taken by a claim (`hpunet_jax/claims.py`), so that several
machines can work on the same folder of runs.
"""

import concurrent.futures
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import NamedTuple

from experiments import program
from hpunet_jax.buckets import AnyPath
from hpunet_jax.claims import FolderInUseError, claimed
from hpunet_jax.files import is_folder
from hpunet_jax.reproduction import runs

CLAIM = ".claim"


class Task(NamedTuple):
    """A run to be made.

    Attributes:
      name: its folder below the work directory.
      training: flags of experiments.train besides --workdir.
      evaluation: flags of experiments.evaluate besides --workdir.
      limit: how many images are evaluated; None: all.
    """

    name: str
    training: Sequence[str]
    evaluation: Sequence[str] = ()
    limit: int | None = None

    def commands(self, workdir: AnyPath) -> list[list[str]]:
        """The programs that make it, as arguments of `hpunet`."""
        place = f"--workdir={workdir / self.name}"
        return [["train", place, *self.training], ["evaluate", place, *self.evaluation]]


def check_same_configs(tasks: Sequence[Task], workdir: AnyPath) -> None:
    """Raises a `ValueError` if a run that is there has another config than its task asks for.

    So it does if a task's config would be refused.
    """
    for task in tasks:
        config = program.config_of(task.training)
        if is_folder(workdir / task.name):
            runs.check_made_by(workdir / task.name, config)


def make(tasks: Sequence[Task], workdir: AnyPath, at_once: int = 1) -> tuple[list[str], list[str]]:
    """Makes the runs that are missing, in the given order.

    On SIGTERM those under way save a checkpoint and end, and nothing else is begun.

    Args:
      tasks: the runs.
      workdir: the folder of all of them.
      at_once: how many run at the same time; with more than one, what they print is shown where
        they fail.

    Returns:
      The names of those that failed, and of those that other machines are working on.
    """
    maker = _Maker(workdir, len(tasks), quiet=at_once > 1)
    before = signal.signal(signal.SIGTERM, maker.stop)
    try:
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            outcomes = list(pool.map(maker, range(1, len(tasks) + 1), tasks))
    finally:
        signal.signal(signal.SIGTERM, before)
    if maker.stopped:
        raise ValueError("stopped by SIGTERM: the same command goes on from there.")
    of = dict(zip((task.name for task in tasks), outcomes, strict=True))
    return (
        [name for name, outcome in of.items() if outcome == "failed"],
        [name for name, outcome in of.items() if outcome == "elsewhere"],
    )


def report(failed: Sequence[str], elsewhere: Sequence[str]) -> None:
    """Says what is left to others; raises a `ValueError` if runs failed."""
    if elsewhere:
        print(f"left to other programs: {', '.join(elsewhere)}")
    if failed:
        raise ValueError(
            f"{len(failed)} run(s) did not finish: {', '.join(failed)}. Their messages stand "
            "above; the same command goes on with them."
        )


def is_finished(folder: AnyPath, limit: int | None) -> bool:
    """Whether a run has scores that can be used; those of other configs or metrics cannot."""
    try:
        return runs.evaluated(folder, limit) is not None
    except ValueError:
        return False


class _Maker:
    """Makes one run after the other, in as many threads as call it."""

    def __init__(self, workdir: AnyPath, number: int, quiet: bool):
        self._workdir, self._number, self._quiet = workdir, number, quiet
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen] = []
        self.stopped = False

    def stop(self, *_) -> None:
        """Ends what is under way; for a signal."""
        self.stopped = True
        for child in self._children:
            child.send_signal(signal.SIGTERM)

    def __call__(self, number: int, task: Task) -> str:
        """How it went: "finished" before, "made", "failed", "stopped" or done "elsewhere"."""
        if self.stopped:
            return "stopped"
        folder = self._workdir / task.name
        shown = f"[{number}/{self._number}] {task.name}"
        if is_finished(folder, task.limit):
            print(f"{shown}: finished", flush=True)
            return "finished"
        try:
            with claimed(folder / CLAIM):
                print(shown, flush=True)
                # Programs of their own: each gives its memory back, and none takes others with it.
                done = all(self._call(command) for command in task.commands(self._workdir))
        except FolderInUseError as error:
            print(f"{shown}: {error}", flush=True)
            return "elsewhere"
        return "stopped" if self.stopped else "made" if done else "failed"

    def _call(self, arguments: Sequence[str]) -> bool:
        """Runs a program of this folder; returns whether it came to its end."""
        name, *flags = arguments
        command = [sys.executable, "-m", f"experiments.{name}", *flags]
        with tempfile.TemporaryFile() as output:
            shared = {"stdout": output, "stderr": subprocess.STDOUT} if self._quiet else {}
            with self._lock:
                if self.stopped:
                    return False
                child = subprocess.Popen(command, **shared)
                self._children.append(child)
            code = child.wait()
            with self._lock:
                self._children.remove(child)
            if code and self._quiet and not self.stopped:
                output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
                print(output.read().decode(errors="replace"), file=sys.stderr, flush=True)
        return code == 0 and not self.stopped
