"""How fast a case answers, and how many marks a segmentation needs, on the demo's test images.

    python -m benchmarks.interaction                       # the shipped model
    python -m benchmarks.interaction --images=100

Prints two Markdown tables. The first is the median time of what `Model.open` and its case do.

The second simulates a person who wants a certain grader's mask of a test image (the first grader
who marked anything): as long as the IoU is below 0.8, one more pixel is marked, the innermost of
the greatest wrong region, inside or outside as the grader has it; then `Case.fit` is called anew.
Beside it stands the best of 16 samples, for which somebody has to look at 16 segmentations.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import scipy.ndimage
from tqdm import tqdm

import hpunet_jax
from hpunet_jax.data import pipeline
from hpunet_jax.inference.case import Case
from hpunet_jax.metrics.iou import iou
from hpunet_jax.tasks.crop import centre_crop

GOAL = 0.8
NUM_SAMPLES = 16


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checkpoint", default="pretrained/lidc_phantom", help="of hpunet_jax.load"
    )
    parser.add_argument("--images", type=int, default=50, help="number of test images")
    parser.add_argument("--marks", type=int, default=8, help="the most marks that are made")
    parser.add_argument("--data_dir", help="where the data set was built; default: the config's")
    arguments = parser.parse_args()
    model = hpunet_jax.load(arguments.checkpoint)
    images, masks = _test_images(model, arguments.images, arguments.data_dir)
    _print_times(model, images[0])
    rows = [
        _interact(model.open(image), mask, arguments.marks)
        for image, mask in zip(tqdm(images, unit="image"), masks, strict=True)
    ]
    _print_marks(np.array(rows), arguments.marks)


def _test_images(
    model: hpunet_jax.Model, number: int, data_dir: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Images, and of each the mask of the first grader who marked anything in its crop."""
    builder = pipeline.open_data_set(model.config, data_dir)
    images, masks = [], []
    for batch in pipeline.eval_batches(builder, split="test", batch_size=64):
        crop = model.config.data.crop
        gradings = np.moveaxis(centre_crop(batch["masks"], crop), -1, 1)
        for image, graders in zip(centre_crop(batch["image"], crop), gradings, strict=True):
            marked = [grader for grader in graders if (grader == 1).any()]
            if marked:
                images.append(image)
                masks.append(marked[0] == 1)
            if len(images) == number:
                return np.stack(images), np.stack(masks)
    return np.stack(images), np.stack(masks)


def _interact(case: Case, mask: np.ndarray, most: int) -> list[float]:
    """IoU of the best of 16 samples, of prior means, and after each mark (NaN once it was 0.8)."""

    def score(labels: np.ndarray) -> float:
        return float(iou(labels[None], mask[None].astype(np.uint8))[0])

    scores = [max(score(sample) for sample in case.sample(NUM_SAMPLES)), score(case.decode())]
    labels, inside, outside = case.decode(), [], []
    for _ in range(most):
        if scores[-1] >= GOAL:
            break
        wrong = (labels == 1) != mask
        place = _innermost(wrong)
        (inside if mask[place] else outside).append(place)
        labels = case.fit(inside, outside).labels
        scores.append(score(labels))
    return scores + [np.nan] * (most + 2 - len(scores))


def _innermost(region: np.ndarray) -> tuple[int, int]:
    """The pixel of the greatest connected region that lies farthest from its border."""
    regions, _ = scipy.ndimage.label(region)
    greatest = np.bincount(regions.ravel())[1:].argmax() + 1
    depth = scipy.ndimage.distance_transform_edt(np.pad(regions == greatest, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(row), int(column)


def _print_times(model: hpunet_jax.Model, image: np.ndarray) -> None:
    case = model.open(image)
    marks = {"inside": [(32, 32)], "outside": [(0, 0)]}
    print("| what | median of 20 (ms) |\n| --- | ---: |")
    for name, function in {
        "open": lambda: jax.block_until_ready(model.open(image).features),
        "the priors of all scales: a decoding up to the finest latents": case.prior,
        "decode": case.decode,
        "sample, 16 of them": case.sample,
        "hypotheses, of 64 samples": case.hypotheses,
        "fit, within 200 passes": lambda: case.fit(**marks),
    }.items():
        print(f"| {name} | {1000 * _median_time(function):.1f} |", flush=True)


def _median_time(function: Callable[[], Any], times: int = 20) -> float:
    function()  # compiles
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def _print_marks(scores: np.ndarray, most: int) -> None:
    """Scores [images, 2 + marks]."""
    best_sample, after = scores[:, 0], scores[:, 1:]
    reached = np.maximum.accumulate(np.nan_to_num(after) >= GOAL, axis=1)
    print(f"\n{len(scores)} images\n")
    print(f"| what | images of an IoU of {GOAL} or more |\n| --- | ---: |")
    print(f"| best of {NUM_SAMPLES} samples | {np.mean(best_sample >= GOAL):.0%} |")
    for marks in range(most + 1):
        print(f"| prior means and {marks} marks | {reached[:, marks].mean():.0%} |")
    needed = np.where(reached.any(axis=1), reached.argmax(axis=1), np.inf)
    print(f"\nMedian number of marks: {np.median(needed):g}")


if __name__ == "__main__":
    main()
