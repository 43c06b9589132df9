"""How long a new process takes until it has samples, from nothing and with what it kept.

    python -m benchmarks.cold_start

Each row is a process of its own, started in turns with the others, with the settings of our
programs: Python with JAX and one addition, the reference; `import hpunet_jax`; and 16 samples of
one image by the shipped model, with an empty folder of compiled programs and with a full one.
Seconds are medians over the rounds: on the clock, and of all threads on the CPU, which other work
on the machine changes less.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from hpunet_jax.text_table import markdown

_SETTINGS = """
from hpunet_jax.memory import keep_freed_memory
from hpunet_jax.xla_flags import set_xla_flags
keep_freed_memory(); set_xla_flags()
"""
_SAMPLES = f"""{_SETTINGS}
import sys, numpy, hpunet_jax
from hpunet_jax.compilation.cache import use_cache
use_cache(sys.argv[1])
model = hpunet_jax.load("pretrained/lidc_phantom")
assert model.sample(numpy.zeros((64, 64, 1), numpy.uint8), 16).shape[0] == 16
"""
REFERENCE = "Python, JAX and one addition"
EMPTY, FULL = "16 samples, nothing compiled before", "16 samples, compiled before"
PROGRAMS = {
    REFERENCE: "import jax; (jax.numpy.zeros(1) + 1).block_until_ready()",
    "`import hpunet_jax`": "import hpunet_jax",
    EMPTY: _SAMPLES,
    FULL: _SAMPLES,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is started")
    rounds = parser.parse_args(arguments).rounds
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        full = pathlib.Path(folder, "full")
        started(FULL, full)
        for number in range(rounds):
            for name in PROGRAMS:
                cache = full if name == FULL else pathlib.Path(folder, f"{number}")
                found[name].append(started(name, cache))
    medians = {
        name: [statistics.median(s) for s in zip(*found[name], strict=True)] for name in found
    }
    rows = [("process", "seconds", "CPU seconds", "over the first")]
    for name, (wall, cpu) in medians.items():
        over = wall / medians[REFERENCE][0]
        rows.append((name, f"{wall:.1f}", f"{cpu:.1f}", f"{over:.1f}"))
    print(markdown(rows))


def started(name: str, cache: pathlib.Path) -> tuple[float, float]:
    """Seconds on the clock and on the CPU of a process that runs to its end.

    Args:
      name: one of `PROGRAMS`.
      cache: its folder of compiled programs.
    """
    command = [sys.executable, "-c", PROGRAMS[name], os.fspath(cache)]
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system


if __name__ == "__main__":
    main()
