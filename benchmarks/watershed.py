"""The field's usual way to neurites, beside the samples': membranes by a U-Net, then a watershed.

    hpunet train --config=vnc_unet --workdir=runs/vnc_unet
    python -m benchmarks.watershed --workdir=runs/vnc_unet

A model's probability of the foreground is flooded from the components in which it exceeds a
threshold, up to where it falls below one half (scikit-image's watershed), and cleaned up as the
model's instances are. The threshold with the least Rand error on the validation split is taken for
the test split. Scores are those of `hpunet evaluate` (docs/instances.md), `IoU_rec` that of
components painted with the labels of the objects that they are matched with. A model of instances
with latents may be given, too: its probability is the mean of its samples.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import skimage.measure
import skimage.segmentation
from tqdm import tqdm

import hpunet_jax
from hpunet_jax.data import pipeline
from hpunet_jax.evaluation.instance_rows import Truth, score_row, scores_of_rows
from hpunet_jax.evaluation.model import WholeImages
from hpunet_jax.evaluation.report import results_table
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.files import write_aside
from hpunet_jax.inference.segment import SegmentOptions
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.instances import clean_up
from hpunet_jax.instances.scores import foreground_probability
from hpunet_jax.metrics.rand_error import adapted_rand_error
from hpunet_jax.tasks.targets import stochastic_classes

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)


class Predicted(NamedTuple):
    """An image's probability of the foreground and its true instances, both [H, W]."""

    foreground: np.ndarray
    truth: np.ndarray


def watershed(foreground: np.ndarray, threshold: float, options: SegmentOptions) -> np.ndarray:
    """Instances [H, W] of a probability of the foreground [H, W]; 0 where there is none."""
    seeds = skimage.measure.label(foreground > threshold, connectivity=1)
    flooded = skimage.segmentation.watershed(-foreground, seeds, mask=foreground > 0.5)
    return clean_up(flooded, options.erosion, options.neighbourhood, options.no_neighbour)


def predict(model: hpunet_jax.Model, data_dir: str | None, split: str) -> list[Predicted]:
    """The model's probabilities for each image of a split."""
    settings, data = model.config.evaluation, model.config.data
    builder = pipeline.open_data_set(model.config, data_dir)
    classes = stochastic_classes(model.num_classes, data.num_ids)
    whole = WholeImages(model, settings.get("tile", TILE))
    found = []
    batches = pipeline.eval_batches(builder, split=split, batch_size=1)
    for number, examples in enumerate(tqdm(batches, split, unit="image")):
        drawn = whole.sample(examples["image"], settings.num_samples, settings.seed, number)
        foreground = foreground_probability(drawn.marginal[None], classes)[0]
        found.append(Predicted(foreground, examples["instances"][0]))
    return found


def choose(images: Sequence[Predicted], options: SegmentOptions) -> tuple[float, float]:
    """The threshold with the least mean Rand error, and that error."""
    errors = {
        threshold: np.mean(
            [
                adapted_rand_error(watershed(one.foreground, threshold, options), one.truth)
                for one in images
            ]
        )
        for threshold in THRESHOLDS
    }
    best = min(errors, key=errors.__getitem__)
    return best, float(errors[best])


def score(
    images: Sequence[Predicted],
    threshold: float,
    options: SegmentOptions,
    num_ids: int,
    min_region: int,
) -> Scores:
    """The scores of each image; random labels are drawn anew, from the options' seed."""
    rng = np.random.default_rng(options.seed)
    rows = []
    for foreground, instances in images:
        ids = rng.integers(1, num_ids + 1, instances.max() + 1, dtype=np.int32)
        nothing = np.zeros(instances.shape, bool)
        row = score_row(
            watershed(foreground, threshold, options),
            Truth(instances, groups=nothing, void=nothing),
            np.where(instances > 0, ids[instances], 0),
            range(1, num_ids + 1),
            foreground,
            min_region=min_region,
        )
        rows.append({"watershed": row})
    return scores_of_rows(rows, {**dataclasses.asdict(options), "threshold": threshold})


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Scores a watershed of a model's foreground.")
    parser.add_argument("--workdir", required=True, help="a run, or a model file")
    parser.add_argument("--data_dir", help="where the data set is; default: as the config says")
    parser.add_argument("--num_ids", type=int, default=5, help="random labels, for IoU_rec")
    parser.add_argument("--json", help="file to write the scores to")
    flags = parser.parse_args(arguments)
    model = hpunet_jax.load(flags.workdir)
    options = SegmentOptions.from_config(model.config)
    threshold, error = choose(predict(model, flags.data_dir, "validation"), options)
    print(f"threshold {threshold}: Rand error {error:.3f} on the validation split\n")
    split = model.config.evaluation.split
    images = predict(model, flags.data_dir, split)
    min_region = model.config.evaluation.min_region
    results = score(images, threshold, options, flags.num_ids, min_region).summary()
    print(results_table(results))
    if flags.json:
        with write_aside(flags.json) as path:
            path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
