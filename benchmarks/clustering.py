"""How long the clustering of samples and its clean-up take (Appendices G and H), on one core.

    python -m benchmarks.clustering                     # a Markdown table
    python -m benchmarks.clustering --json=clustering.json

Samples are made: objects at random places take random labels, their borders are shifted smoothly
from sample to sample, and a few pixels are wrong. Each case is timed several times; the median is
reported. Beside it, in the same run, stands Algorithm 1 as written, on one-hot vectors of all
pixels (its loop over pixels made one comparison of arrays); both must find the same clusters.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
import scipy.spatial
from tqdm import tqdm

from hpunet_jax.files import write_aside
from hpunet_jax.instances import clean_up, hamming_cluster

SEED = 0


class Case(NamedTuple):
    """Samples as a protocol clusters them.

    Attributes:
      name: the row of the table.
      size: height and width.
      num_samples: number of samples N.
      num_ids: number of labels of objects, besides background.
      num_objects: number of objects.
      background: fraction of the image that is background, roughly.
      threshold: the clustering's alpha.
    """

    name: str
    size: tuple[int, int]
    num_samples: int
    num_ids: int
    num_objects: int
    background: float
    threshold: int


CASES = (
    Case("SNEMI3D patch", (256, 256), 16, 15, 40, 0.2, 16),
    Case("Cityscapes image", (512, 1024), 32, 5, 40, 0.8, 32),
    Case("Cityscapes image, all of it cars", (512, 1024), 32, 5, 200, 0.0, 32),
)


class Result(NamedTuple):
    """One row of the table.

    Attributes:
      name: the case.
      size: height and width.
      num_samples: number of samples N.
      codes: number of different pixels.
      clusters: number of clusters.
      clustering: seconds of `hamming_cluster`.
      clean_up: seconds of `clean_up` of its result.
      one_hot: seconds of Algorithm 1 on one-hot vectors; None if it was not run.
    """

    name: str
    size: tuple[int, int]
    num_samples: int
    codes: int
    clusters: int
    clustering: float
    clean_up: float
    one_hot: float | None


def make_samples(case: Case) -> np.ndarray:
    """Labels uint8 [N, H, W] as a trained network might sample them."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[: case.size[0], : case.size[1]]
    # Objects are the cells nearest to random points; a smooth field makes a part background.
    points = rng.uniform(0, 1, (case.num_objects, 2)) * case.size
    nearest = scipy.spatial.cKDTree(points).query(np.stack([y, x], axis=-1))[1]
    field = scipy.ndimage.gaussian_filter(rng.normal(size=case.size), min(case.size) / 16)
    objects = np.where(field < np.quantile(field, case.background), 0, 1 + nearest)
    samples = np.empty((case.num_samples, *case.size), np.uint8)
    for sample in samples:
        shift = 20 * scipy.ndimage.gaussian_filter(rng.normal(size=(2, *case.size)), (0, 3, 3))
        shifted = np.stack([y, x]) + np.rint(shift).astype(int)
        rows, columns = (np.clip(shifted[i], 0, case.size[i] - 1) for i in (0, 1))
        labels = np.append(0, rng.integers(1, case.num_ids + 1, case.num_objects))
        sample[:] = labels[objects[rows, columns]]
        wrong = rng.random(case.size) < 0.002
        sample[wrong] = rng.integers(0, case.num_ids + 1, wrong.sum())
    return samples


def one_hot_cluster(samples: np.ndarray, threshold: int, seed: int) -> np.ndarray:
    """Algorithm 1 on one-hot vectors; its random pixels in the order of `hamming_cluster`."""
    num_samples, *size = samples.shape
    num_classes = samples.max() + 1
    flat = samples.reshape(num_samples, -1)
    one_hot = (flat.T[..., None] == np.arange(num_classes)).reshape(flat.shape[1], -1)
    unassigned = np.random.default_rng(seed).permutation(flat.shape[1])
    instances = np.full(flat.shape[1], -1, np.int32)
    prototype = np.tile(np.arange(num_classes) == 0, num_samples)
    cluster = 0
    while len(unassigned):
        if cluster > 0:
            prototype = one_hot[unassigned[0]]
        near = (one_hot[unassigned] != prototype).sum(axis=1) <= threshold
        instances[unassigned[near]] = cluster
        unassigned = unassigned[~near]
        cluster += 1
    return instances.reshape(size)


def measure(case: Case, repeats: int, reference: bool) -> Result:
    """Times a case.

    Args:
      case: the case.
      repeats: how often to time it.
      reference: whether to time the one-hot reference, once.

    Returns:
      The row of the table.

    Raises:
      RuntimeError: if the reference finds other clusters.
    """
    samples = make_samples(case)
    clusters = hamming_cluster(samples, case.threshold, seed=SEED)
    seconds = None
    if reference:
        start = time.perf_counter()
        expected = one_hot_cluster(samples, case.threshold, SEED)
        seconds = time.perf_counter() - start
        if not np.array_equal(clusters, expected):
            raise RuntimeError(f"{case.name}: the one-hot reference finds other clusters.")
    return Result(
        name=case.name,
        size=case.size,
        num_samples=case.num_samples,
        codes=len(np.unique(samples.reshape(len(samples), -1).T, axis=0)),
        clusters=int(clusters.max()),
        clustering=median(lambda: hamming_cluster(samples, case.threshold, seed=SEED), repeats),
        clean_up=median(lambda: clean_up(clusters, no_neighbour="background"), repeats),
        one_hot=seconds,
    )


def median(function: Callable[[], Any], repeats: int) -> float:
    """Median time of a call, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cpu": platform.machine(), "cpu_cores": os.cpu_count(), "numpy": np.__version__}


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| samples | size | different pixels | clusters | clustering, s | clean-up, s "
        "| one-hot reference, s | faster by |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        size = "x".join(map(str, (*r.size, r.num_samples)))
        reference = (
            "| – | –"
            if r.one_hot is None
            else (f"| {r.one_hot:.2f} | {r.one_hot / r.clustering:.0f}x")
        )
        lines.append(
            f"| {r.name} | {size} | {r.codes:,} | {r.clusters:,} | {r.clustering:.3f} "
            f"| {r.clean_up:.3f} {reference} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures the speed of the clustering.")
    parser.add_argument("--json", help="file to write the results to")
    parser.add_argument("--repeats", type=int, default=5, help="how often each case is timed")
    parser.add_argument("--no-reference", action="store_true", help="skip the one-hot reference")
    flags = parser.parse_args(arguments)
    if flags.repeats < 1:
        parser.error(f"--repeats is {flags.repeats}: expected 1 or more.")
    results = [
        measure(case, flags.repeats, not flags.no_reference)
        for case in tqdm(CASES, desc="measuring")
    ]
    where = machine()
    print("one core of {cpu_cores} ({cpu}), NumPy {numpy}\n".format(**where))
    print(table(results))
    if flags.json:
        with write_aside(flags.json) as path:
            rows = {r.name: {k: v for k, v in r._asdict().items() if k != "name"} for r in results}
            path.write_text(json.dumps({**where, "clustering": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
