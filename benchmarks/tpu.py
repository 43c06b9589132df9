"""The tables of docs/tpu.md, from the compilations that docs/tpu/ keeps (Appendix D.3).

    python -m benchmarks.tpu
    python -m benchmarks.tpu --compile

Each JSON file is what `experiments.compile_for_tpu` found about one config on one topology. With
--compile, those of `ROWS` that are missing are compiled first, one after the other, each for
minutes to tens of minutes; it may be stopped and started again. Step times are bounds and the
compiler's estimates, not measurements.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hpunet_jax.compilation.tpu_report import estimate_seconds

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "tpu"
SIZES = (8, 16, 32, 64, 128, 256)  # devices, for weak scaling
PLAIN, BLOCKS = "--config.model.blocks=(1,)", "--config.model.blocks=()"
BFLOAT16 = "--config.model.dtype=bfloat16"
LIDC, SNEMI3D = ("lidc_hpunet",), ("snemi3d_hpunet",)
CITYSCAPES = ("cityscapes_hpunet", "--config.mesh.space=4")
ROWS = {  # name: topology, config, overrides; what matters most first
    "lidc-v4-blocks": ("v4:2x2x1", *LIDC, BLOCKS),
    "lidc-v4": ("v4:2x2x1", *LIDC, PLAIN),
    "snemi3d-v4-blocks": ("v4:2x2x1", *SNEMI3D, BLOCKS),
    "cityscapes-v4-blocks": ("v4:4x4x4", *CITYSCAPES, BLOCKS),
    "lidc-v5e-blocks": ("v5e:2x4", *LIDC, BLOCKS),
    "lidc-v4-blocks-bfloat16": ("v4:2x2x1", *LIDC, BLOCKS, BFLOAT16),
    "snemi3d-v4": ("v4:2x2x1", *SNEMI3D, PLAIN),
    "cityscapes-v4": ("v4:4x4x4", *CITYSCAPES, PLAIN),
    "lidc-v5e": ("v5e:2x4", *LIDC, PLAIN),
    "lidc-v6e-blocks": ("v6e:2x4", *LIDC, BLOCKS),
    "snemi3d-v5e-blocks": ("v5e:2x4", *SNEMI3D, BLOCKS),
    "cityscapes-v5e-blocks": ("v5e:8x8", *CITYSCAPES, BLOCKS),
    "lidc-v4-bfloat16": ("v4:2x2x1", *LIDC, PLAIN, BFLOAT16),
    "lidc-v6e": ("v6e:2x4", *LIDC, PLAIN),
    "lidc-v5p-blocks": ("v5p:2x2x1", *LIDC, BLOCKS),
    "snemi3d-v5e": ("v5e:2x4", *SNEMI3D, PLAIN),
    "lidc-v4-blocks-842": ("v4:2x2x1", *LIDC, "--config.model.blocks=(8,4,2)"),
    # Without remat it needs 16.07 GiB for temporaries, of 15.75.
    "cityscapes-v5e": ("v5e:8x8", *CITYSCAPES, PLAIN, "--config.model.remat=(0,)"),
    "snemi3d-v4-blocks-bfloat16": ("v4:2x2x1", *SNEMI3D, BLOCKS, BFLOAT16),
    "cityscapes-v4-blocks-bfloat16": ("v4:4x4x4", *CITYSCAPES, BLOCKS, BFLOAT16),
}
KINDS = ("collective-permute", "all-to-all", "all-reduce", "reduce-scatter")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Tabulates compilations for TPUs.")
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER, help="folder of JSON files")
    parser.add_argument("--compile", action="store_true", help="first compile what is missing")
    flags = parser.parse_args(arguments)
    folder = flags.folder
    failed = compile_missing(folder) if flags.compile else []
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not reports:
        parser.error(f"{folder} holds no JSON file of experiments.compile_for_tpu.")
    reports.sort(key=lambda report: (report["config"], report["topology"], options(report)))
    for table in (needs, by_level, by_kind, collectives, times):
        print(markdown([table(report) for report in reports]), end="\n\n")
    if failed:
        sys.exit(f"not compiled, as said above: {', '.join(failed)}")


def compile_missing(folder: pathlib.Path) -> list[str]:
    """Compiles the rows that are missing; returns the names of those that could not be."""
    failed = []
    for name in missing(folder):
        print(f"compiling {name}", file=sys.stderr)
        if subprocess.run(command(name, folder), stdout=subprocess.DEVNULL).returncode:
            failed.append(name)
    return failed


def missing(folder: pathlib.Path) -> list[str]:
    """The names in `ROWS` of which the folder has no JSON file."""
    return [name for name in ROWS if not (folder / f"{name}.json").exists()]


def command(name: str, folder: pathlib.Path) -> list[str]:
    """The command that compiles a row of `ROWS`."""
    topology, config, *overrides = ROWS[name]
    return [
        *(sys.executable, "-m", "experiments.compile_for_tpu", f"--name={name}"),
        *(f"--topology={topology}", f"--config=configs/{config}.py"),
        f"--output={os.path.relpath(folder)}",  # the file keeps its command
        *overrides,
    ]


def setting(report: Mapping[str, Any]) -> dict[str, str]:
    """The first cells of each row."""
    mesh = report["mesh"]
    data = report["devices"] // mesh["space"]
    return {
        "config, batch": f"{report['config']}, {report['batch_size']}",
        "topology, data x space": f"{report['topology']}, {data}x{mesh['space']}",
        "": ", ".join(options(report)),
    }


def options(report: Mapping[str, Any]) -> list[str]:
    """The dtype, what is done to save memory, and how features lie."""
    remat = [f"remat {','.join(map(str, report['remat']))}"] if report["remat"] else []
    columns = report["blocks"] if max(report["blocks"], default=1) > 1 else ()
    blocks = [f"blocks {','.join(map(str, columns))}"] if columns else []
    return [report["dtype"], *remat, *["ZeRO"] * report["mesh"]["shard_optimizer"], *blocks]


def needs(report: Mapping[str, Any]) -> dict[str, str]:
    """Memory and operations of one device."""
    gib = report["memory_gib"]
    return {
        **setting(report),
        "arguments": f"{gib['arguments']:.2f}",
        "temporary": f"{gib['temporary']:.2f}",
        "total GiB": f"{gib['total']:.2f} of {report['hbm_gib']:.0f}",
        "TFLOP": f"{report['tflop']:.3f}",
        "in whole blocks": f"{report['matrix_tflop']:.2f}",
        "GiB moved": f"{report['gib_moved']:.1f}",
        "GiB at all levels of memory": f"{report['xla_gib_accessed']:.1f}",
        "operations": str(report["operations"]),
    }


def by_level(report: Mapping[str, Any]) -> dict[str, str]:
    """The compiler's cycles, in millions, by level of the network."""
    names = {
        "0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "6": "6", "7": "7", "8": "8",
        "between levels": "between", "outside the network": "outside", "unnamed": "unnamed",
    }  # fmt: skip
    return {**setting(report), **_cycles(report["by_level"], names)}


def by_kind(report: Mapping[str, Any]) -> dict[str, str]:
    """The compiler's cycles, in millions, by kind of operation, and the share of copies."""
    names = ("convolution", "reduction", "elementwise", "copy")
    return {
        **setting(report),
        **_cycles(report["by_kind"], dict(zip(names, names, strict=True))),
        "all": f"{report['megacycles']:.1f}",
        "share of copies": f"{100 * report['copy_share']:.0f} %",
        "moved in the background": f"{_gib(report, 'background copy'):.1f} GiB",
    }


def _cycles(groups: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {
        title: f"{groups[name]['megacycles']:.1f}" if name in groups else ""
        for name, title in names.items()
    }


def _gib(report: Mapping[str, Any], kind: str) -> float:
    return report["by_kind"].get(kind, {"gib_moved": 0.0})["gib_moved"]


def collectives(report: Mapping[str, Any]) -> dict[str, str]:
    """Communication of one device: number and MiB of each kind."""

    def cell(kind):
        found = report["collectives"].get(kind)
        return "{count}, {mib:.1f} MiB".format(**found) if found else "0"

    return {
        **setting(report),
        "all-gather": cell("all-gather"),
        "of activations": str(len(report["all_gathers"])),
        **{kind: cell(kind) for kind in KINDS},
        "by image from": f"{max(report['levels_split_by_image'], default=0)} rows",
    }


def times(report: Mapping[str, Any]) -> dict[str, str]:
    """Estimated milliseconds of a step, and what more devices with as many images each lose."""
    seconds = estimate_seconds(report)
    first = estimate_seconds(report, SIZES[0])["total"]
    return {
        **setting(report),
        **{f"{name} ms": f"{1e3 * value:.2f}" for name, value in seconds.items()},
        **{
            f"{n} devices": f"{100 * first / estimate_seconds(report, n)['total']:.1f} %"
            for n in SIZES
        },
    }


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table."""
    head = list(rows[0])
    align = ["---" if i < 3 else "--:" for i in range(len(head))]
    lines = [head, align, *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
