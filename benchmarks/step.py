"""Training steps and samples on this machine, ours beside the PyTorch port, in turns.

    python -m benchmarks.step --port=torch_hpunet.py --port_python=/elsewhere/bin/python

`--port` is a file with the port's HPUNet, Geco and trainer, `--port_python` the interpreter of an
environment that has torch; without them only ours are measured. Ours run with the flags and memory
settings of our programs, compiled in the process and loaded from a folder of compiled programs, and
with XLA's own flags. Each is a process of its own; all are asked in turns, one step each time.
Prints a table with medians, and ratios as medians over steps that followed each other; --output
keeps all times.
"""

import argparse
import json
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks.side_by_side import Measured, measure, ratio
from hpunet_jax.text_table import markdown

# Of the port, the arguments of its HPUNet that make it the config's network.
CONFIGS = {
    "lidc_hpunet": {},
    "demo": {"num_scales": 7, "base": 16, "most": 48, "blocks": 1, "convs": 2},
}
WORK = {  # config, work, batch size, share of the pixels that the loss looks at
    "LIDC, step, batch 8": ("lidc_hpunet", "step", 8, 0.02),
    "demo, step, batch 12": ("demo", "step", 12, 0.08),
    "LIDC, a sample of 8 images": ("lidc_hpunet", "sample", 8, 0.02),
    "LIDC, 16 samples of an image": ("lidc_hpunet", "samples", 1, 0.02),
}
SIZES = {"lidc_hpunet": (128, 128), "demo": (64, 64)}
OURS, PORT = "ours", "port"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures steps, ours beside the PyTorch port.")
    parser.add_argument("--port", type=pathlib.Path, help="the port's file")
    parser.add_argument("--port_python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK), metavar="WORK")
    parser.add_argument("--rounds", type=int, default=15, help="times that each is asked")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file for all times")
    flags = parser.parse_args(arguments)
    if flags.port is not None and not flags.port.is_file():
        parser.error(f"--port={flags.port} is no file: give that of the PyTorch port.")
    rows: list[Sequence[str]] = []
    kept = {}
    with tempfile.TemporaryDirectory() as cache:
        for title in flags.work:
            found = measure(commands(title, flags.port, flags.port_python, cache), flags.rounds)
            rows += [cells(title, name, one, found) for name, one in found.items()]
            kept[title] = {
                name: one if isinstance(one, str) else one._asdict() for name, one in found.items()
            }
    head = ["work", "program", "median ms", "least ms", "over ours", "over the port's"]
    print(markdown([head, *rows], left=2))
    if flags.output:
        flags.output.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def commands(
    title: str, port: pathlib.Path | None, port_python: str, cache: str
) -> dict[str, list[str]]:
    """The workers of a row: the last of ours finds the program that the first has kept."""
    config, work, batch_size, top_k = WORK[title]
    common = [f"--work={work}", f"--batch_size={batch_size}"]
    ours = [sys.executable, "-m", "benchmarks.own_worker", config, *common]
    found = {
        f"{OURS}, compiled in the process": [*ours, f"--cache={cache}"],
        OURS: [*ours, f"--cache={cache}"],
        f"{OURS}, XLA's flags": [*ours, "--no_flags"],
    }
    if port is None:
        return found
    worker = str(pathlib.Path(__file__).with_name("port_worker.py"))
    size = [str(side) for side in SIZES[config]]
    theirs = [port_python, worker, str(port), *common, f"--top_k={top_k}", "--size", *size]
    return {**found, PORT: [*theirs, f"--network={json.dumps(CONFIGS[config])}"]}


def cells(
    title: str, name: str, one: Measured | str, found: Mapping[str, Measured | str]
) -> list[str]:
    """A row of the table."""
    if isinstance(one, str):
        return [title, name, f"failed: {one[:120]}", "", "", ""]
    ratios = [
        "" if other is one or not isinstance(other, Measured) else f"{ratio(one, other):.2f}"
        for other in (found.get(OURS), found.get(PORT))
    ]
    return [title, name, f"{1e3 * one.median:.1f}", f"{1e3 * min(one.seconds):.1f}", *ratios]


if __name__ == "__main__":
    main()
