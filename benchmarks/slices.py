"""How far samples of neighbouring slices agree, with one noise for all slices and without.

    python -m benchmarks.slices                       # a simulated volume, made here
    python -m benchmarks.slices --images=ct/ --window=-1000,400 --spacing=0.5,0.5 \\
        --centre=250,180 --crop=128

Prints a Markdown table. Agreement: the IoU of sample i of a slice with sample i of the next, the
mean over all pairs of neighbours and samples of which one marks something; with the noise that all
slices share (`hpunet sample`), and with noise of its own for each slice (`Model.sample` of a
batch). Diversity: one minus the mean IoU of any two samples of a slice, which sharing the noise
must leave as it is: the hypotheses of a slice are none the fewer.

The simulated volume: a ball of 20 slices in smooth noise, which fades and so is often in doubt.
"""

import argparse

import numpy as np
import scipy.ndimage
from tqdm import trange

import hpunet_jax
from hpunet_jax.inference.volumes import read_for
from hpunet_jax.inference.whole import sample_whole
from hpunet_jax.io import Preparation
from hpunet_jax.metrics.iou import pairwise_iou


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="pretrained/lidc_phantom")
    parser.add_argument("--images", help="a volume, or the folder of a DICOM series")
    parser.add_argument("--window", default="", help="low,high")
    parser.add_argument("--spacing", default="", help="down,across in mm")
    parser.add_argument("--centre", default="", help="row,column, in resampled pixels, to look at")
    parser.add_argument("--crop", type=int, default=128, help="side of what is looked at")
    parser.add_argument("--num_samples", type=int, default=16)
    arguments = parser.parse_args()
    model = hpunet_jax.load(arguments.checkpoint)
    if arguments.images:
        window, spacing = (_numbers(text) for text in (arguments.window, arguments.spacing))
        slices = read_for(model, arguments.images, Preparation(window=window, spacing=spacing))
        pixels = slices.array
        if arguments.centre:
            half = arguments.crop // 2
            row, column = (max(half, int(n)) for n in _numbers(arguments.centre))
            pixels = pixels[:, row - half : row + half, column - half : column + half]
    else:
        pixels = simulated()

    print("| noise | neighbours' agreement | diversity | pairs |")
    print("|---|--:|--:|--:|")
    for name in ("of each slice its own", "the same in all slices"):
        labels = np.stack(
            [
                sample_whole(
                    model,
                    pixels[number],
                    arguments.num_samples,
                    image_id=number if "own" in name else 0,
                ).labels
                for number in trange(len(pixels), desc=name, leave=False)
            ],
            axis=1,
        )
        scores = agreement(labels, range(1, model.num_classes))
        mean, deviation = diversity(labels, range(1, model.num_classes)), scores.std()
        error = deviation / np.sqrt(len(scores))
        print(f"| {name} | {scores.mean():.3f} ± {error:.3f} | {mean:.3f} | {len(scores):,} |")


def agreement(labels: np.ndarray, classes: range) -> np.ndarray:
    """IoU of each sample [N, D, H, W] of a slice with that of the next, unless both are empty."""
    scores = [
        pairwise_iou(one[None, :-1], one[None, 1:], classes, "nan")[:, 0, 0] for one in labels
    ]
    scores = np.concatenate(scores)
    return scores[np.isfinite(scores)]


def diversity(labels: np.ndarray, classes: range) -> float:
    """One minus the mean IoU of each two samples [N, D, H, W] of a slice."""
    first, second = np.triu_indices(len(labels), k=1)
    return float(1 - np.nanmean(pairwise_iou(labels, labels, classes, "nan")[:, first, second]))


def simulated() -> np.ndarray:
    """uint8 [24, 64, 64, 1]: a ball whose contrast fades along the slices, in smooth noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:24, :64, :64]
    distance = np.sqrt((2 * (z - 12)) ** 2 + (y - 32) ** 2 + (x - 32) ** 2)
    ball = 1 / (1 + np.exp((distance - 20) / 1.5)) * np.linspace(1, 0.2, 24)[:, None, None]
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=z.shape), (0.5, 1, 1))
    values = 40 + 120 * ball + 15 * noise / noise.std()
    return np.clip(values, 0, 255).astype(np.uint8)[..., None]


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(",") if number)


if __name__ == "__main__":
    main()
