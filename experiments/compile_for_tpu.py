"""Compiles a config's whole training step for TPUs, without having any; says what it needs.

    hpunet compile_for_tpu --config=lidc_hpunet --topology=v4:2x2x1

It takes the package libtpu (pip install -e .[tpu]), no data (of own data, its folder), and minutes
to tens of minutes. Prints what one device needs of memory, computes, moves and communicates, by
level of the network and by kind, and writes it, with the command and the versions, to a JSON file,
which `python -m benchmarks.tpu` tabulates. Exits with 1 if the step does not fit the memory or
gathers activations; --config.mesh.data and --config.mesh.space choose the split.
"""

import importlib.metadata
import json
import os
import pathlib
import shlex
import sys
import time

import jax
from absl import flags
from ml_collections import config_flags

from experiments import program
from hpunet_jax.compilation import chips, tpu_report
from hpunet_jax.files import write_aside
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training import set_up

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Name of a shipped config, or a config file."
)
_TOPOLOGY = flags.DEFINE_string("topology", None, "Such as v4:4x4x4 or v5e:8x8.")
_OUTPUT = flags.DEFINE_string("output", "docs/tpu", "Folder for the JSON file.")
_NAME = flags.DEFINE_string("name", None, "Name of the JSON file; default: config and topology.")
flags.mark_flags_as_required(["config", "topology"])


def main(_) -> None:
    from hpunet_jax.data import pipeline

    jax.config.update("jax_platforms", "cpu")  # describes TPUs, computes on none
    config = _CONFIG.value
    devices = chips.topology_devices(_TOPOLOGY.value)
    shapes = {
        name: jax.ShapeDtypeStruct(*shape)
        for name, shape in pipeline.example_shapes(config).items()
    }
    start = time.monotonic()
    setup = set_up(config, devices)
    generation = _TOPOLOGY.value.partition(":")[0]
    compiled = tpu_report.compile_step(
        setup, config.training.batch_size, shapes, chips.CHIPS[generation].hbm_gib
    )
    seconds = time.monotonic() - start
    moments = jax.tree.leaves(setup.state_shapes().optimizer)
    updates = {x.shape for x in moments if not x.sharding.is_fully_replicated}
    levels = meshes.rows_of_levels(config.data.crop[0], setup.network.size_multiple)
    by_row = [rows for rows in levels if meshes.is_split_by_row(rows, config.mesh.min_rows)]
    config_name = pathlib.Path(flags.FLAGS["config"].config_filename).stem
    report = {
        "command": shlex.join(["python", "-m", "experiments.compile_for_tpu", *sys.argv[1:]]),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "libtpu")},
        "compile_seconds": round(seconds),
        "config": config_name,
        "batch_size": config.training.batch_size,
        "image": list(config.data.crop),
        "levels_split_by_row": by_row,
        "levels_split_by_image": levels[len(by_row) :],
        "mesh": config.mesh.to_dict(),
        "dtype": config.model.dtype,
        "precision": config.model.get("precision", "default"),
        "remat": config.model.get("remat", ()),
        "blocks": getattr(setup.network.config, "blocks", ()),
        "libtpu_flags": os.environ["LIBTPU_INIT_ARGS"],
        **tpu_report.report(
            compiled, _TOPOLOGY.value, len(devices), config.model.num_scales, updates
        ),
    }
    text = json.dumps(report, indent=2)
    name = _NAME.value or f"{config_name}-{_TOPOLOGY.value.replace(':', '-')}"
    with write_aside(pathlib.Path(_OUTPUT.value) / f"{name}.json") as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    print(text)
    if not report["fits"]:
        sys.exit("the step does not fit the memory of a device")
    if report["all_gathers"]:
        shapes = sorted({str(list(gather["shape"])) for gather in report["all_gathers"]})
        sys.exit(f"activations are gathered, of the shapes (image, rows, ...) {', '.join(shapes)}")


if __name__ == "__main__":
    program.run(main)
