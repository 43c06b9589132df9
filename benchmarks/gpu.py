"""Training steps and samples on a GPU, ours beside the PyTorch port, and what bounds them.

    python -m benchmarks.gpu --port=torch_hpunet.py --port_python=/elsewhere/bin/python

LIDC at batch 32, SNEMI3D at batch 24, Cityscapes at the largest batch of a few that fits, in
float32 (TF32 products) and bfloat16, plain and in blocks of columns; 16 samples of an image beside
16 whole passes. The port runs channels-last, as it is and by torch.compile. Needs no data.
Floors are what XLA counts for ours over the figures of --tflops and --gb_per_second, those of the
card's documentation. --tiny runs all of it on a CPU with small networks: a test of this program.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.side_by_side import Measured, measure, ratio
from hpunet_jax.text_table import markdown


class Row(NamedTuple):
    """One piece of work.

    Attributes:
      config: the config's name.
      work: "step" or "samples".
      batch_sizes: the first that fits is measured.
      size: height and width of images.
      port: arguments of the port's HPUNet; None: it has no such network.
    """

    config: str
    work: str
    batch_sizes: tuple[int, ...]
    size: tuple[int, int]
    port: Mapping[str, Any] | None


HEAD = (
    *("work", "program", "ms", "images/s", "peak GiB"),
    *("floor ms, operations", "floor ms, bytes", "over ours"),
)
_SNEMI3D = {"num_classes": 16, "num_scales": 9, "base": 32, "most": 256}
_CITYSCAPES = {**_SNEMI3D, "image_channels": 3, "num_classes": 23, "blocks": 2}
ROWS = (
    Row("lidc_hpunet", "step", (32,), (128, 128), {}),
    Row("snemi3d_hpunet", "step", (24,), (256, 256), _SNEMI3D),
    Row("cityscapes_hpunet", "step", (32, 16, 8, 4, 2, 1), (512, 1024), _CITYSCAPES),
    Row("lidc_hpunet", "samples", (1,), (128, 128), {}),
)
_DEMO = {"num_scales": 7, "base": 16, "most": 48, "blocks": 1, "convs": 2}
TINY = (
    Row("demo", "step", (2,), (64, 64), _DEMO),
    Row("demo", "samples", (1,), (64, 64), _DEMO),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures steps on a GPU, ours and the port's.")
    parser.add_argument("--port", type=pathlib.Path, help="the port's file")
    parser.add_argument("--port_python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--rounds", type=int, default=10, help="times that each is asked")
    parser.add_argument("--steps", type=int, default=5, help="steps each time")
    parser.add_argument("--tflops", type=float, help="the card's peak rate, of the row's dtype")
    parser.add_argument("--gb_per_second", type=float, help="its memory's bandwidth")
    parser.add_argument("--tiny", action="store_true", help="small networks, on a CPU")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file for all times")
    flags = parser.parse_args(arguments)
    if flags.port is not None and not flags.port.is_file():
        parser.error(f"--port={flags.port} is no file: give that of the PyTorch port.")
    rows: list[Sequence[str]] = [HEAD]
    kept = {}
    for row in TINY if flags.tiny else ROWS:
        for dtype in ("float32", "bfloat16"):
            for batch_size in row.batch_sizes:
                found = measure(commands(row, dtype, batch_size, flags), flags.rounds, flags.steps)
                if isinstance(found["ours"], Measured):
                    break
            title = f"{row.config}, {row.work}, batch {batch_size}, {dtype}"
            rows += [
                [title, name, *cells(one, batch_size, found, flags)] for name, one in found.items()
            ]
            kept[title] = {
                name: one if isinstance(one, str) else one._asdict() for name, one in found.items()
            }
    print(markdown(rows, left=2))
    if flags.output:
        flags.output.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def commands(
    row: Row, dtype: str, batch_size: int, flags: argparse.Namespace
) -> dict[str, list[str]]:
    """The workers of a row."""
    size = [str(side) for side in row.size]
    common = [f"--work={row.work}", f"--batch_size={batch_size}"]
    ours = [sys.executable, "-m", "benchmarks.own_worker", row.config, *common, "--size", *size]

    def model(**fields):
        return f"--model={json.dumps({'dtype': dtype, **fields})}"

    found = {
        "ours": [*ours, model()],
        "ours, blocks 8,4": [*ours, model(blocks=[8, 4])],
    }
    if row.work == "samples":
        found["ours, 16 whole passes"] = [*ours, model(), "--work=passes"]
    if flags.port is None or row.port is None:
        return found
    worker = str(pathlib.Path(__file__).with_name("port_worker.py"))
    theirs = [flags.port_python, worker, str(flags.port), *common, "--size", *size]
    theirs += [f"--network={json.dumps(row.port)}", f"--dtype={dtype}"]
    theirs += [f"--device={'cpu' if flags.tiny else 'cuda'}"]
    return {**found, "port": theirs, "port, torch.compile": [*theirs, "--compiled"]}


def cells(
    one: Measured | str,
    batch_size: int,
    found: Mapping[str, Measured | str],
    flags: argparse.Namespace,
) -> list[str]:
    """The numbers of a row of the table."""
    if isinstance(one, str):
        return [f"failed: {one[:120]}", "", "", "", "", ""]
    ours = found["ours"]

    def floor(name: str, rate: float | None) -> str:
        return f"{one.ready[name] / rate:.2f}" if rate and name in one.ready else ""

    gb_per_second = flags.gb_per_second and flags.gb_per_second * 1e9 / 2**30
    return [
        f"{1e3 * one.median:.2f}",
        f"{batch_size / one.median:.1f}",
        f"{one.peak_bytes / 2**30:.2f}",
        floor("gflop", flags.tflops),  # GFLOP / TFLOP/s = ms
        floor("gib", gb_per_second and gb_per_second / 1e3),
        f"{ratio(one, ours):.2f}" if one is not ours and isinstance(ours, Measured) else "",
    ]


if __name__ == "__main__":
    main()
