"""Programs that do the same work, measured in turns, so that a busy machine is unfair to none."""

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """What a worker did.

    Attributes:
      seconds: of each piece of work.
      peak_bytes: most memory in use; 0 where it does not say.
      page_faults: of all its work; 0 where it does not say.
      waits: how often its threads waited for each other or for the kernel, likewise.
      ready: what it said before the first.
    """

    seconds: list[float]
    peak_bytes: int
    page_faults: int
    waits: int
    ready: Mapping[str, Any]

    @property
    def median(self) -> float:
        """Seconds of a piece of work."""
        return statistics.median(self.seconds)


def measure(
    commands: Mapping[str, Sequence[str]], rounds: int, steps: int = 1
) -> dict[str, Measured | str]:
    """Starts workers and asks them in turns.

    Args:
      commands: the workers' command lines by name; see `benchmarks.own_worker`.
      rounds: how often each is asked.
      steps: for how many pieces of work each time.

    Returns:
      What each did, or the last line of its error.
    """
    found: dict[str, Measured | str] = {}
    workers = {}
    for name, command in commands.items():  # one after the other: compiling takes all threads
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},  # threads that wait take no CPU
        )
        if ready := worker.stdout.readline():
            workers[name], found[name] = worker, Measured([], 0, 0, 0, json.loads(ready))
        else:
            found[name] = (worker.communicate()[1].strip().splitlines() or ["it said nothing"])[-1]
    for _ in range(rounds):
        for name, worker in workers.items():
            said = found[name]
            if isinstance(said, str):
                continue
            worker.stdin.write(f"{steps}\n")
            worker.stdin.flush()
            answer = json.loads(worker.stdout.readline())
            found[name] = Measured(
                said.seconds + answer["seconds"],
                max(said.peak_bytes, answer["peak_bytes"]),
                said.page_faults + answer.get("page_faults", 0),
                said.waits + answer.get("waits", 0),
                said.ready,
            )
    for worker in workers.values():
        worker.communicate()
    return found


def ratio(ours: Measured, theirs: Measured) -> float:
    """The median of ours over theirs, of pieces of work that followed each other."""
    pairs = zip(ours.seconds, theirs.seconds, strict=True)
    return statistics.median(a / b for a, b in pairs)
