"""Why the mean of the samples has a better Hungarian IoU on subset B than the samples.

    python -m benchmarks.subset_b --workdir=pretrained/lidc_phantom

On subset B (Appendix C) every grader marked something. A model is not told so: where it is in doubt
whether there is a lesion, some of its samples are empty, which costs most here, but its mean is
not. The same rows are therefore scored twice, on the test images of subset B of which enough
samples are not empty: as they are, and with the empty samples left out, as if the model were told.
What then remains is that an outline in the middle is nearer to each of several outlines than they
are to each other; of graders, the last row says how near.

    samples              the first N
    thresholded mean     of all samples drawn, above one half
    independent pixels   N, by the mean of all samples drawn
    one grader           against the others
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

import hpunet_jax
from hpunet_jax.data import pipeline
from hpunet_jax.evaluation.independent import independent_pixels
from hpunet_jax.files import write_aside
from hpunet_jax.metrics.gradings import Gradings
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.text_table import markdown

_METRICS = ("ged2", "hungarian_iou")
Rows = dict[str, dict[str, np.ndarray]]


def without_empty(samples: np.ndarray) -> np.ndarray:
    """The samples of one image, [N, H, W], that mark something."""
    return samples[samples.any(axis=(1, 2))]


def score_image(samples: np.ndarray, masks: np.ndarray, num_samples: int, seed: int) -> Rows:
    """The rows of one image, each metric [1].

    Args:
      samples: labels 0 or 1, [M, H, W], of which rows have the first N.
      masks: the gradings, [G, H, W].
      num_samples: N.
      seed: of the independent pixels.
    """
    mean = np.stack([1 - samples.mean(axis=0), samples.mean(axis=0)], axis=-1)[None]
    rows = {
        "samples": samples[:num_samples, None],
        "thresholded mean": mean.argmax(axis=-1).astype(np.uint8)[None],
        "independent pixels": independent_pixels(mean, num_samples, [seed, 0]),
    }
    gradings = Gradings(masks[:, None], 2, "one")
    scored = {row: gradings.agreement(labels).metrics for row, labels in rows.items()}
    scored["one grader"] = gradings.human(num_samples).metrics
    return {row: {m: metrics[m] for m in _METRICS} for row, metrics in scored.items()}


def measure(
    samples: np.ndarray, masks: np.ndarray, num_samples: int
) -> tuple[int, dict[str, dict[str, dict[str, float]]]]:
    """Scores both kinds of rows.

    Args:
      samples: labels 0 or 1, [M, B, H, W], of images of subset B.
      masks: the gradings, [G, B, H, W].
      num_samples: N; images of which fewer samples are not empty are left out.

    Returns:
      How many images were scored, and {"all" or "not empty": {row: {metric: mean}}}.

    Raises:
      ValueError: if that is none.
    """
    kept = [without_empty(samples[:, i]) for i in range(samples.shape[1])]
    enough = [i for i, some in enumerate(kept) if len(some) >= num_samples]
    if not enough:
        raise ValueError(f"no image has {num_samples} samples that are not empty: draw more.")
    found: dict[str, list[Rows]] = {"all": [], "not empty": []}
    for i in tqdm(enough, desc="scores", unit="image"):
        found["all"].append(score_image(samples[:, i], masks[:, i], num_samples, i))
        found["not empty"].append(score_image(kept[i], masks[:, i], num_samples, i))
    means = {
        kind: {
            row: {m: float(np.mean([one[row][m] for one in rows])) for m in _METRICS}
            for row in rows[0]
        }
        for kind, rows in found.items()
    }
    return len(enough), means


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workdir", default="pretrained/lidc_phantom", help="a run or model file")
    parser.add_argument("--data_dir", help="where the data set is; default: as the config says")
    parser.add_argument("--images", type=int, default=600, help="of the test split, from its start")
    parser.add_argument("--num_samples", type=int, default=16, help="N")
    parser.add_argument("--drawn", type=int, default=64, help="samples of each image, M")
    parser.add_argument("--json", help="file to write the rows to")
    flags = parser.parse_args(arguments)
    model = hpunet_jax.load(flags.workdir)
    if model.num_classes != 2:
        parser.error(f"{flags.workdir} has {model.num_classes} classes: give a model of two.")
    builder = pipeline.open_data_set(model.config, flags.data_dir)
    batches = pipeline.eval_batches(builder, split="test", batch_size=50, limit=flags.images)
    samples, masks, number = [], [], 0
    for batch in tqdm(batches, desc="samples", unit="batch"):
        images, drawn = (centre_crop(batch[n], model.config.data.crop) for n in ("image", "masks"))
        number += len(images)
        gradings = np.moveaxis(drawn, -1, 0)
        chosen = Gradings(gradings, 2, "one").marked_by_all()
        if chosen.any():
            samples.append(model.sample(images[chosen], flags.drawn, batch_size=16))
            masks.append(gradings[:, chosen])
    of_b = sum(part.shape[1] for part in masks)
    if not of_b:
        parser.error(f"none of the first {number} test images is in subset B: raise --images.")
    joined = [np.concatenate(parts, axis=1) for parts in (samples, masks)]
    scored, rows = measure(*joined, flags.num_samples)
    print(f"{builder.info.full_name}, test: {number} images, {of_b} in subset B, {scored} scored\n")
    head = ["", "GED² ↓", "Hungarian IoU ↑", "GED² ↓, none empty", "Hungarian IoU ↑, none empty"]
    cells = [
        [row, *(f"{rows[kind][row][m]:.3f}" for kind in ("all", "not empty") for m in _METRICS)]
        for row in rows["all"]
    ]
    print(markdown([head, *cells], left=1))
    if flags.json:
        with write_aside(flags.json) as path:
            path.write_text(json.dumps({"images": scored, **rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
