"""How many images a second the augmentation of each data set makes.

    python -m benchmarks.augmentation                     # a Markdown table
    python -m benchmarks.augmentation --json=augmentation.json

Runs `training_batch`, compiled, on examples of each data set's size that lie in memory: neither
reading nor decoding is in the figure (`benchmarks.input_pipeline` has all three). A batch is timed
several times; the median is reported. It runs on JAX's default device, named above the table.
"""

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from tqdm import tqdm

from hpunet_jax.files import write_aside
from hpunet_jax.training.setup import build_draw_batch


class Case(NamedTuple):
    """A data set as it is fed to training.

    Attributes:
      name: the row of the table.
      config: name of the config that says how it is augmented, and in which batches.
      image: height, width and channels of its images.
    """

    name: str
    config: str
    image: tuple[int, int, int]

    def read_config(self) -> ml_collections.ConfigDict:
        """The config."""
        return importlib.import_module(f"configs.{self.config}").get_config()


CASES = (
    Case("LIDC, demo", "demo", (180, 180, 1)),
    Case("LIDC", "lidc_hpunet", (180, 180, 1)),
    Case("SNEMI3D", "snemi3d_hpunet", (256, 256, 1)),
    Case("Cityscapes", "cityscapes_hpunet", (512, 1024, 3)),
)
_MOST_IMAGES = 32  # in a batch: a batch of 128 Cityscapes images is meant for many devices


class Result(NamedTuple):
    """One row of the table.

    Attributes:
      name: the data set.
      batch_size: images in a batch.
      source: height and width of the source images.
      crop: height and width of the training images.
      milliseconds: median time of a batch.
      images_per_second: the same as a rate.
    """

    name: str
    batch_size: int
    source: tuple[int, int]
    crop: tuple[int, int]
    milliseconds: float
    images_per_second: float


def random_examples(
    case: Case, config: ml_collections.ConfigDict, batch_size: int
) -> dict[str, np.ndarray]:
    """A batch of random examples of a data set's kind."""
    rng = np.random.default_rng(0)
    maps = (batch_size, *case.image[:2])
    examples = {"image": rng.integers(0, 256, (batch_size, *case.image), np.uint8)}
    if "num_ids" not in config.data:
        examples["masks"] = rng.integers(0, 2, (*maps, 4), np.uint8)
    elif case.image[-1] == 1:
        examples["instances"] = rng.integers(0, 400, maps, np.uint16)
    else:
        examples["semantic"] = rng.integers(0, 19, maps, np.uint8)
        examples["cars"] = rng.integers(0, 40, maps, np.uint16)
    return examples


def measure(case: Case, repeats: int) -> Result:
    """Times a compiled batch of a case.

    Args:
      case: the data set.
      repeats: number of batches to time.

    Returns:
      The row of the table.
    """
    config = case.read_config()
    batch_size = min(config.training.batch_size, _MOST_IMAGES)
    function = jax.jit(build_draw_batch(config))
    examples = jax.device_put(random_examples(case, config, batch_size))
    keys = list(jax.random.split(jax.random.key(0), repeats))
    jax.block_until_ready(function(keys[0], examples))  # compiles
    seconds = []
    for key in keys:
        start = time.perf_counter()
        jax.block_until_ready(function(key, examples))
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return Result(
        name=case.name,
        batch_size=batch_size,
        source=case.image[:2],
        crop=tuple(config.data.crop),
        milliseconds=1e3 * median,
        images_per_second=batch_size / median,
    )


def device() -> dict[str, Any]:
    """What the figures were measured on."""
    kind = jax.devices()[0].device_kind
    return {"device": kind, "cpu_cores": os.cpu_count(), "jax": jax.__version__}


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| data set | image | crop | batch | ms per batch | images/s |",
        "|---|---|---|--:|--:|--:|",
    ]
    for r in results:
        source, crop = ("x".join(map(str, size)) for size in (r.source, r.crop))
        lines.append(
            f"| {r.name} | {source} | {crop} | {r.batch_size} | {r.milliseconds:.1f} "
            f"| {r.images_per_second:,.0f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures the speed of the augmentation.")
    parser.add_argument("--json", help="file to write the results to")
    parser.add_argument("--repeats", type=int, default=20, help="batches to time")
    flags = parser.parse_args(arguments)
    if flags.repeats < 1:
        parser.error(f"--repeats is {flags.repeats}: expected 1 or more.")
    results = [measure(case, flags.repeats) for case in tqdm(CASES, desc="measuring")]
    where = device()
    print("{device}, {cpu_cores} CPU cores, JAX {jax}\n".format(**where))
    print(table(results))
    if flags.json:
        with write_aside(flags.json) as path:
            rows = {r.name: {k: v for k, v in r._asdict().items() if k != "name"} for r in results}
            path.write_text(json.dumps({**where, "augmentation": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
