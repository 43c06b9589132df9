"""How well a model tells images apart that are unlike those it was trained on.

    python -m benchmarks.unlike_images --checkpoint=runs/demo --source=lidc_slices

Compares, with test images of the model's data set, the middle of real LIDC-IDRI crops and whole
real slices (as large as a slice, and made as small as the model's crops), photographs that come
with scikit-image, and noise. Prints for each kind the median of `Model.unlikeness`, the share of
images of which programs would warn, and the AUROC against the test images: 0.5 where they cannot be
told apart, 1 where every one is further away than every test image. The model must have a
calibration (`hpunet calibrate`); its images must be grey.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import skimage.data
import skimage.transform

import hpunet_jax
from benchmarks.real_slices import real_crops, whole_slices
from hpunet_jax.data import pipeline
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.text_table import aligned

_PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "coffee", "coins", "grass", "gravel", "moon")
_CROPS = 16  # of each photograph


def photographs(crop: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Random crops of grey photographs, uint8 [B, h, w, 1]."""
    crops = []
    for name in _PHOTOGRAPHS:
        image = getattr(skimage.data, name)()
        grey = image if image.ndim == 2 else image.mean(axis=-1).astype(np.uint8)
        for _ in range(_CROPS):
            y, x = (rng.integers(0, n - c + 1) for n, c in zip(grey.shape, crop, strict=True))
            crops.append(grey[y : y + crop[0], x : x + crop[1]])
    return np.stack(crops)[..., None]


def auroc(usual: np.ndarray, other: np.ndarray) -> float:
    """The probability that one of the others scores higher; ties count half."""
    ordered = np.sort(usual)
    sides = (np.searchsorted(ordered, other, side) for side in ("left", "right"))
    return float(sum(side.mean() for side in sides) / (2 * len(usual)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", default="pretrained/lidc_phantom", help="the model")
    parser.add_argument("--source", required=True, help="folder of slices (DICOM) and XML files")
    parser.add_argument("--data_dir", help="default: the config's data.dir")
    parser.add_argument("--limit", type=int, default=500, help="number of test images")
    flags = parser.parse_args()
    try:
        model = hpunet_jax.load(flags.checkpoint)
        builder = pipeline.open_data_set(model.config, flags.data_dir)
        crops, slices = real_crops(flags.source), whole_slices(flags.source)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if model.calibration is None:
        sys.exit(f"error: {flags.checkpoint} has no calibration: run hpunet calibrate first.")
    crop, rng = model.config.data.crop, np.random.default_rng(0)
    batches = pipeline.eval_batches(builder, split="test", batch_size=100, limit=flags.limit)
    usual = [centre_crop(batch["image"], crop) for batch in batches]
    small = [skimage.transform.resize(s, (*crop, 1), preserve_range=True) for s in slices]
    groups = {"test images": usual}
    groups |= {
        f"real crops, {patient}": [centre_crop(found.image, crop)]
        for patient, found in crops.items()
    }
    groups |= {
        "real slices, whole": [slice_[None] for slice_ in slices],
        "real slices, made small": [np.stack(small).astype(np.uint8)],
        "photographs": [photographs(crop, rng)],
        "noise": [rng.integers(0, 256, (100, *crop, 1)).astype(np.uint8)],
    }
    scores = {
        name: np.concatenate([model.unlikeness(images) for images in batches])
        for name, batches in groups.items()
    }
    rows = [["", "images", "median", "warned", "AUROC"]]
    for name, found in scores.items():
        warned = f"{(found > 1).mean():.2f}"
        area = f"{auroc(scores['test images'], found):.3f}"
        rows.append([name, str(len(found)), f"{np.median(found):.2f}", warned, area])
    print(aligned(rows))


if __name__ == "__main__":
    main()
