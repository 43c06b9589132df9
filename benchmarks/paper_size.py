"""The paper's trainings at their own size: a few steps each on whatever is there.

    python -m benchmarks.paper_size                          # LIDC, SNEMI3D, Cityscapes
    python -m benchmarks.paper_size --task=lidc,snemi3d --steps=20 --minutes=10
    python -m benchmarks.paper_size --task=cityscapes --config.training.accumulate=16

Writes generated files in the real formats and sizes, builds the data set from them, and trains the
paper's config on it, batch by batch out of the data set as `hpunet train` does. Prints, and with
--json writes, the time of a step, the peak memory, the images a second that the data set gives
while the device computes, and what the whole training would take: LIDC 240k steps, SNEMI3D 450k,
Cityscapes 100k. It ends after --steps, or after the step in which --minutes are over. With --curves
it writes the metrics of each step as CSV.

The learning rate is that of the first steps of the whole training.
"""

import argparse
import csv
import importlib
import json
import math
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from benchmarks.input_pipeline import SOURCES, build, where
from hpunet_jax.data import pipeline
from hpunet_jax.data.tensorflow import tfds
from hpunet_jax.files import write_aside
from hpunet_jax.memory import keep_freed_memory, peak_memory
from hpunet_jax.text_table import markdown
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training.setup import set_up
from hpunet_jax.xla_flags import set_xla_flags

TASKS = {"lidc": "LIDC", "snemi3d": "SNEMI3D", "cityscapes": "Cityscapes"}
_DAY = 86_400


def measure(
    config: Any,
    batches: Iterator[Mapping[str, np.ndarray]],
    steps: int,
    minutes: float = math.inf,
    devices: Sequence[jax.Device] | None = None,
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Trains for some steps.

    Args:
      config: of the whole training.
      batches: endless.
      steps: how many; the first, which compiles, is timed apart.
      minutes: after so many it ends, but not before the second step.
      devices: to train on; None: all.

    Returns:
      What was measured, and the metrics of each step.
    """
    setup = set_up(config, devices)
    state = setup.init_state(jax.random.key(config.training.seed))
    rows, seconds, waits = [], [], []
    end = time.perf_counter() + 60 * minutes
    for step in tqdm(range(1, steps + 1), unit="step", desc=config.data.name):
        start = time.perf_counter()
        examples = meshes.to_devices(setup.mesh, next(batches))
        waits.append(time.perf_counter() - start)
        state, metrics = setup.step(state, examples)
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        seconds.append(time.perf_counter() - start)
        rows.append({"step": step, **values})
        if step > 1 and time.perf_counter() > end:
            break
    step = statistics.median(seconds[1:])
    return {
        "steps": len(rows),
        "batch_size": config.training.batch_size,
        "first_step_seconds": seconds[0],
        "step_seconds": step,
        "images_per_second": config.training.batch_size / step,
        "waiting_share": statistics.median(waits[1:]) / step,  # for a batch, nothing is prefetched
        "peak_gib": peak_memory() / 2**30,
        "whole_training_days": step * config.training.steps / _DAY,
        "loss_first": rows[0]["loss"],
        "loss_last": rows[-1]["loss"],
    }, rows


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as a Markdown table."""
    rows = [
        [
            *("task", "batch", "steps", "first step", "step", "images/s", "waiting for data"),
            *("peak memory", "whole training"),
        ]
    ]
    for task, r in results.items():
        rows.append(
            [
                *(TASKS[task], str(r["batch_size"]), str(r["steps"])),
                *(f"{r['first_step_seconds']:.0f} s", f"{r['step_seconds']:.2f} s"),
                *(f"{r['images_per_second']:.1f}", f"{r['waiting_share']:.1%}"),
                *(f"{r['peak_gib']:.1f} GiB", f"{r['whole_training_days']:.1f} days"),
            ]
        )
    return markdown(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", default=",".join(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each task at most")
    parser.add_argument("--json", help="file to write the results to")
    parser.add_argument("--curves", help="folder to write <task>.csv to")
    flags, overrides = parser.parse_known_args(arguments)
    tasks = flags.task.split(",")
    if unknown := sorted(set(tasks) - set(TASKS)):
        parser.error(f"--task: {', '.join(unknown)} is none of {', '.join(TASKS)}.")
    if flags.steps < 2:
        parser.error("--steps must be 2 or more: the first step compiles.")
    keep_freed_memory()
    set_xla_flags()
    tfds.disable_progress_bar()
    results = {}
    for task in tasks:
        config = importlib.import_module(f"configs.{task}_hpunet").get_config()
        source = SOURCES[TASKS[task]]
        with config.unlocked():
            config.data.name = source.name
        _override(parser, config, overrides)
        with tempfile.TemporaryDirectory() as folder:
            builder = build(source, pathlib.Path(folder))
            batches = pipeline.train_batches(
                builder, batch_size=config.training.batch_size, seed=config.training.seed
            )
            results[task], rows = measure(config, batches, flags.steps, flags.minutes)
            batches.close()
        if flags.curves:
            with (
                write_aside(pathlib.Path(flags.curves) / f"{task}.csv") as path,
                path.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    machine = where()
    print("{device}, {cpu_cores} CPU core(s), JAX {jax}\n".format(**machine))
    print(table(results))
    if flags.json:
        with write_aside(flags.json) as path:
            path.write_text(json.dumps({"machine": machine, "tasks": results}, indent=2))


def _override(parser: argparse.ArgumentParser, config: Any, overrides: Sequence[str]) -> None:
    """Sets fields given as --config.training.batch_size=8."""
    for override in overrides:
        name, equals, value = override.removeprefix("--config.").partition("=")
        if not override.startswith("--config.") or not equals:
            parser.error(f"{override} is no flag; fields are set as --config.section.field=value.")
        try:
            config.update_from_flattened_dict({name: json.loads(value)})
        except (KeyError, ValueError, TypeError) as error:
            parser.error(f"{override}: {error}")


if __name__ == "__main__":
    main()
