"""How fast each data set is fed to training: reading, decoding and augmentation apart.

    python -m benchmarks.input_pipeline                     # a Markdown table
    python -m benchmarks.input_pipeline --json=input_pipeline.json

Writes generated files in the real formats and sizes to a temporary folder, builds the data sets
from them, and measures

  reading        shuffled batches of arrays from the files, what the CPU does in each step
  in memory      the same batches, where all encoded examples lie in memory
  augmentation   `training_batch` on JAX's default device, as in `benchmarks.augmentation`

Reading is also given in milliseconds of one CPU core for an image; from that follows how many
cores keep up with an accelerator that does 15 steps of batch 32 a second on LIDC.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks import augmentation, raw_files
from hpunet_jax.data import catalogue, pipeline, reading
from hpunet_jax.data.tensorflow import tf, tfds
from hpunet_jax.files import write_aside

STEPS_PER_SECOND = 15
FEEDS = "LIDC"  # the row whose needs are told


class Source(NamedTuple):
    """Where a data set comes from.

    Attributes:
      name: the data set's name for `experiments.build_data`.
      write: writes its files to a folder.
      batch_size: examples in a batch.
    """

    name: str
    write: Callable[[pathlib.Path], None]
    batch_size: int


SOURCES = {
    "LIDC": Source("lidc_crops/any_count", raw_files.write_lidc_crops, 32),
    "SNEMI3D": Source("snemi3d", raw_files.write_snemi3d, 24),
    "Cityscapes": Source("cityscapes/any_count", raw_files.write_cityscapes, 4),
}


class Result(NamedTuple):
    """One row of the table; rates are images a second.

    Attributes:
      name: the data set.
      image: height, width and channels.
      kilobytes: an encoded example's size.
      reading: rate of batches read from the files.
      reading_cpu_milliseconds: time of one CPU core for an image.
      in_memory: rate of batches of examples that lie in memory.
      augmentation: rate of the augmentation on JAX's device.
    """

    name: str
    image: tuple[int, ...]
    kilobytes: float
    reading: float
    reading_cpu_milliseconds: float
    in_memory: float
    augmentation: float


def build(source: Source, folder: pathlib.Path) -> tfds.core.DatasetBuilder:
    """Writes a data set's files and builds it.

    Args:
      source: the data set.
      folder: for everything that is written.

    Returns:
      The builder, prepared.
    """
    raw = folder / "raw" / source.name
    source.write(raw)
    builder = catalogue.find_builder(source.name, folder / "built")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=raw))
    return builder


def in_memory(
    builder: tfds.core.DatasetBuilder, batch_size: int
) -> tuple[Iterator[dict[str, np.ndarray]], float]:
    """The batches of training for comparison, with the whole split in memory.

    Args:
      builder: the data set.
      batch_size: examples in a batch.

    Returns:
      Endless batches, and the size of an example in bytes.
    """
    stored = list(reading.encoded_dataset(builder, "train"))
    encoded = tf.nest.map_structure(lambda *values: tf.stack(values), *stored)
    size = sum(
        len(item) if isinstance(item, bytes) else np.asarray(item).nbytes
        for value in tf.nest.flatten(encoded)
        for item in value.numpy().ravel().tolist()
    )
    decode = reading.decoder(builder)
    order = pipeline.example_order(len(stored), 0, np.arange(1 << 16))
    examples = tf.data.Dataset.from_tensor_slices(order).map(
        lambda number: decode(tf.nest.map_structure(lambda value: value[number], encoded)),
        num_parallel_calls=reading.num_threads(),
        deterministic=True,
    )
    batches = examples.repeat().batch(batch_size)
    return reading.numpy_batches(batches, builder), size / len(stored)


def measure_reading(
    batches: Iterator[Mapping[str, np.ndarray]], seconds: float
) -> tuple[float, float]:
    """Draws batches for some time.

    Args:
      batches: endless; the first few are not counted.
      seconds: how long to draw.

    Returns:
      Images a second, and seconds of CPU time for an image.
    """
    for _ in range(4):  # threads have started, the buffers are full
        next(batches)
    count, start, cpu = 0, time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - start) < seconds:
        count += len(next(batches)["image"])
    return count / passed, (time.process_time() - cpu) / count


def measure(case: augmentation.Case, folder: pathlib.Path, seconds: float, repeats: int) -> Result:
    """Measures all stages of a data set.

    Args:
      case: the data set.
      folder: for its files.
      seconds: how long to read.
      repeats: batches to augment.

    Returns:
      The row of the table.
    """
    source = SOURCES[case.name]
    builder = build(source, folder)
    batches = pipeline.train_batches(builder, batch_size=source.batch_size, seed=0)
    from_files, cpu = measure_reading(batches, seconds)
    batches, size = in_memory(builder, source.batch_size)
    from_memory, _ = measure_reading(batches, seconds)
    augmented = augmentation.measure(case, repeats)
    return Result(
        name=case.name,
        image=case.image,
        kilobytes=size / 1000,
        reading=from_files,
        reading_cpu_milliseconds=1e3 * cpu,
        in_memory=from_memory,
        augmentation=augmented.images_per_second,
    )


def cores_needed(result: Result, batch_size: int) -> float:
    """CPU cores that read `STEPS_PER_SECOND` batches a second."""
    return result.reading_cpu_milliseconds / 1e3 * batch_size * STEPS_PER_SECOND


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| data set | image | kB | reading/s | CPU ms | in memory/s | augmentation/s |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        image = "x".join(map(str, r.image))
        lines.append(
            f"| {r.name} | {image} | {r.kilobytes:.0f} | {r.reading:,.0f} "
            f"| {r.reading_cpu_milliseconds:.2f} | {r.in_memory:,.0f} | {r.augmentation:,.0f} |"
        )
    return "\n".join(lines)


def where() -> dict[str, Any]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {**augmentation.device(), "cpu_cores": cores}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures how fast data is fed to training.")
    parser.add_argument("--json", help="file to write the results to")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to read")
    parser.add_argument("--repeats", type=int, default=10, help="batches to augment")
    flags = parser.parse_args(arguments)
    if flags.repeats < 1 or flags.seconds <= 0:
        parser.error("--repeats and --seconds must be positive.")
    tfds.disable_progress_bar()
    cases = [case for case in augmentation.CASES if case.name in SOURCES]
    with tempfile.TemporaryDirectory() as folder:
        results = [
            measure(case, pathlib.Path(folder), flags.seconds, flags.repeats)
            for case in tqdm(cases, desc="measuring")
        ]
    fed = next(result for result in results if result.name == FEEDS)
    batch_size = SOURCES[FEEDS].batch_size
    cores = cores_needed(fed, batch_size)
    machine = where()
    print("{device}, {cpu_cores} CPU core(s), JAX {jax}\n".format(**machine))
    print(table(results))
    print("\nkB: an image as it is stored; images/s; CPU ms: of one core, to read an image")
    print(
        f"\n{FEEDS} at {STEPS_PER_SECOND} steps/s of batch {batch_size} is "
        f"{STEPS_PER_SECOND * batch_size} images/s: reading takes {cores:.2f} CPU core(s)."
    )
    if flags.json:
        rows = {r.name: {k: v for k, v in r._asdict().items() if k != "name"} for r in results}
        with write_aside(flags.json) as path:
            found = {**machine, "input_pipeline": rows, "cores_for_15_lidc_steps": cores}
            path.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
