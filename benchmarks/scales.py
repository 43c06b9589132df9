"""What each latent scale of a model decides: presence, outlines, and how many nats it takes.

    python -m benchmarks.scales --workdir=runs/lidc_phantom
    python -m benchmarks.scales --workdir=runs/demo_cars --json=scales.json

The paper shows it in pictures (Figs. 3 and 15): coarse latents decide whether there is a lesion and
what it is, fine ones move its outline. For each scale, samples are drawn in which it alone is drawn
from its prior, given the means of the coarser ones, while finer ones stay at their means; `all` are
samples of all scales. Of the images of a split:

    grid      positions of the latents
    KL        nats of the posterior against the prior, given the gradings
    flips     share of the images of whose samples some are empty and some are not
    variance  probability that two samples differ in a pixel, summed over the image
    outline   share of the variance within 2 pixels of the outline of the samples' majority,
              where that marks something

Empty is what has no foreground: no class but 0.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.ndimage
from skimage.segmentation import find_boundaries
from tqdm import tqdm

import hpunet_jax
from hpunet_jax.data import pipeline
from hpunet_jax.files import write_aside
from hpunet_jax.text_table import markdown
from hpunet_jax.training.setup import build_draw_batch

_NEAR = 2  # pixels from the outline


class Decided(NamedTuple):
    """What the samples of some scales decide, for each image.

    Attributes:
      flips: bool [B], whether some samples are empty and some are not.
      variance: [B], the probability that two samples differ, summed over the pixels.
      outline: [B], the variance's share near the outline; NaN where the majority is empty, or all
        samples are equal.
    """

    flips: np.ndarray
    variance: np.ndarray
    outline: np.ndarray


def decided(labels: np.ndarray, num_classes: int) -> Decided:
    """What samples [N, B, H, W] decide."""
    marked = (labels > 0).any(axis=(2, 3)).mean(axis=0)
    frequencies = np.stack([(labels == c).mean(axis=0) for c in range(num_classes)], axis=-1)
    differ = 1 - (frequencies**2).sum(axis=-1)
    near = np.stack([_near_outline(one) for one in frequencies.argmax(axis=-1)])
    variance = differ.sum(axis=(1, 2))
    counts = near.any(axis=(1, 2)) & (variance > 0)
    share = (differ * near).sum(axis=(1, 2)) / np.where(counts, variance, 1)
    return Decided((marked > 0) & (marked < 1), variance, np.where(counts, share, np.nan))


def _near_outline(labels: np.ndarray) -> np.ndarray:
    """The pixels [H, W] that are at most 2 pixels from a border between two classes."""
    border = find_boundaries(labels)
    if not border.any():
        return border
    return scipy.ndimage.distance_transform_edt(~border) <= _NEAR - 1


def measure(
    model: hpunet_jax.Model,
    batches: Sequence[dict[str, np.ndarray]],
    num_samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """A row for each scale, coarse to fine, and one for all."""
    draw = jax.jit(build_draw_batch(model.config, augment=False))
    chosen = [*([scale] for scale in range(model.num_latent_scales)), None]  # None: all
    found: list[list[Decided]] = [[] for _ in chosen]
    kls, grids = [], ()
    for number, examples in enumerate(tqdm(batches, desc="scales", unit="batch")):
        batch = draw(jax.random.fold_in(jax.random.key(seed), number), examples)
        images, labels = np.asarray(batch.image), np.asarray(batch.label)
        kls.append(model.elbo(images, labels, num_samples, seed).kl)
        for rows, scales in zip(found, chosen, strict=True):
            samples, latents = model.sample(images, num_samples, seed, scales, return_latents=True)
            rows.append(decided(samples, model.num_classes))
        grids = [z.shape[2:4] for z in latents]
    nats = np.concatenate(kls).mean(axis=0)
    rows = []
    for scale, parts in enumerate(found):
        whole = Decided(*map(np.concatenate, zip(*parts, strict=True)))
        last = chosen[scale] is None
        shares = whole.outline[~np.isnan(whole.outline)]
        rows.append(
            {
                "scale": "all" if last else str(scale),
                "grid": "" if last else "x".join(map(str, grids[scale])),
                "kl": float(nats.sum() if last else nats[scale]),
                "flips": float(whole.flips.mean()),
                "variance": float(whole.variance.mean()),
                "outline": float(shares.mean()) if len(shares) else np.nan,
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Measures what each latent scale decides.")
    parser.add_argument("--workdir", required=True, help="a run, or a model file")
    parser.add_argument("--data_dir", help="where the data set is; default: as the config says")
    parser.add_argument("--split", help="default: that of the config's evaluation")
    parser.add_argument("--images", type=int, default=200, help="of the split, from its start")
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--num_samples", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file to write the rows to")
    flags = parser.parse_args(arguments)
    model = hpunet_jax.load(flags.workdir)
    builder = pipeline.open_data_set(model.config, flags.data_dir)
    split = flags.split or model.config.evaluation.split
    batches = list(
        pipeline.eval_batches(builder, split=split, batch_size=flags.batch_size, limit=flags.images)
    )
    rows = measure(model, batches, flags.num_samples, flags.seed)
    head = ["scale", "grid", "KL, nats", "flips", "variance, pixels", "outline"]
    cells = [
        [
            *(row["scale"], row["grid"], f"{row['kl']:.2f}", f"{row['flips']:.2f}"),
            *(f"{row['variance']:.1f}", f"{row['outline']:.2f}"),
        ]
        for row in rows
    ]
    print(f"{builder.info.full_name}, {split}: {sum(len(b['image']) for b in batches)} images\n")
    print(markdown([head, *cells], left=2))
    if flags.json:
        with write_aside(flags.json) as path:
            path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
