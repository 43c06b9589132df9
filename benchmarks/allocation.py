"""What `hpunet_jax.memory.keep_freed_memory` gains: a training step with and without it.

    python -m benchmarks.allocation

Times the step of a config on random examples, with freed memory kept and returned, compiled in the
process and loaded from a folder of compiled programs: compiling leaves fragments in the memory that
is kept. Each way is a process of its own; they are asked in turns. It matters on CPUs with glibc
only.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.side_by_side import Measured, measure, ratio
from hpunet_jax.text_table import markdown

HEAD = ("freed memory is", "the step is", "median ms", "over the last", "page faults", "waits")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures what keeping freed memory gains.")
    parser.add_argument("--config", default="demo")
    parser.add_argument("--batch_size", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=20, help="times that each is asked")
    flags = parser.parse_args(arguments)
    worker = [sys.executable, "-m", "benchmarks.own_worker", flags.config]
    worker.append(f"--batch_size={flags.batch_size}")
    with tempfile.TemporaryDirectory() as cache:
        ways = {
            ("returned", "compiled"): ["--return_memory"],
            ("kept", "compiled"): [f"--cache={cache}"],
            ("returned", "loaded"): ["--return_memory", f"--cache={cache}"],
            ("kept", "loaded"): [f"--cache={cache}"],
        }
        commands = {" ".join(way): [*worker, *options] for way, options in ways.items()}
        found = measure(commands, flags.rounds)
    rows: list[Sequence[str]] = [HEAD]
    for way, one in zip(ways, found.values(), strict=True):
        if not isinstance(one, Measured):
            sys.exit(f"{' '.join(way)}: {one}")
        last = found["kept loaded"]
        assert isinstance(last, Measured)
        steps = len(one.seconds)
        per_step = (f"{one.page_faults / steps:,.0f}", f"{one.waits / steps:,.0f}")
        rows.append((*way, f"{1e3 * one.median:.1f}", f"{ratio(one, last):.2f}", *per_step))
    print(markdown(rows, left=2))


if __name__ == "__main__":
    main()
