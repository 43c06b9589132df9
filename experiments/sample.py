"""Samples segmentations from a trained network and draws them (Figs. 2 to 6, 9 to 15).

    hpunet sample --workdir=runs/demo
    hpunet sample --workdir=runs/demo --images=scans/ --num_samples=32

Without --images, a few examples of the config's data set are shown beside their annotations:
samples.png (image, graders, reconstructions, samples), or of data sets with instances instances.png
(image, labels, reconstruction, clustered instances, samples); and scales.png (all latent scales,
only the coarsest, only the finest). A model that extrapolates is shown in extrapolation.png alone.

With --images, an image file or a folder of them (docs/data.md says which), every image also gets
its samples as label maps: <out>/<name>/sample_00.png and so on, the pixel's value being the class.
Images may have any size: they are continued by their mirror images to what the network takes, and
cut back. experiments.segment makes instances of them.
"""

import pathlib

import numpy as np
from absl import flags
from tqdm import tqdm

import hpunet_jax
from experiments import program
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.figures import save_figure
from hpunet_jax.figures.catalogue import spread_over
from hpunet_jax.figures.model import (
    model_figures,
    probability_scales_figure,
    samples_by_scales,
)
from hpunet_jax.inference.padding import pad_to_multiple
from hpunet_jax.io import check_apart, find_images, fit_channels, read_image, write_labels

_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_OUT = flags.DEFINE_string("out", None, "Folder to write to; default: <workdir>/samples.")
_IMAGES = flags.DEFINE_string("images", None, "Image file or folder; default: the data set's.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
_SPLIT = flags.DEFINE_string("split", None, "Default: the config's evaluation.split.")
_EXAMPLES = flags.DEFINE_list(
    "examples", None, "Numbers of the examples to show; default: four, spread over the split."
)
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", None, "Samples of each image; default: as in the evaluation.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples, and of labels for instances.")
_HIDDEN = flags.DEFINE_float(
    "hidden", 0.5, "Hidden fraction, from the top, where the model extrapolates.", 0.0, 1.0
)
flags.mark_flag_as_required("workdir")


def main(_) -> None:
    model = hpunet_jax.load(_WORKDIR.value, _STEP.value)
    out = place(_OUT.value or place(_WORKDIR.value, "--workdir") / "samples", "--out")
    if _IMAGES.value:
        sample_files(model, pathlib.Path(_IMAGES.value), out)
    else:
        sample_data_set(model, out)


def sample_data_set(model: hpunet_jax.Model, out: AnyPath) -> None:
    """Draws examples of the model's data set with samples and reconstructions."""
    examples = read_examples(model.config)
    figures = model_figures(model, examples, num_samples(model), _SEED.value, _HIDDEN.value)
    for name, figure in figures.items():
        save_figure(figure, out / name)
        print(f"picture: {out / name}")


def sample_files(model: hpunet_jax.Model, source: pathlib.Path, out: AnyPath) -> None:
    """Writes the samples of image files as label maps, with a picture of each."""
    check_apart(out, source)
    listing = find_images(source)
    if listing.skipped:
        print(listing.note())
    channels = model.network.image_channels
    for path in tqdm(listing.images, desc="check", unit="image"):
        fit_channels(read_image(path), channels)
    for path in tqdm(listing.images, desc="sample", unit="image"):
        image = fit_channels(read_image(path), channels)
        padded, inside = pad_to_multiple(image, model.network.size_multiple)
        try:
            samples = samples_by_scales(
                model, padded[None], num_samples(model), _SEED.value, probabilities=True
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        samples = {name: chances[:, :, *inside] for name, chances in samples.items()}
        save_figure(probability_scales_figure(image[None], samples), out / path.stem / "scales.png")
        for number, labels in enumerate(samples["all scales"].argmax(axis=-1)[:, 0]):
            labels = labels.astype(np.uint8 if model.num_classes <= 256 else np.uint16)
            write_labels(out / path.stem / f"sample_{number:02d}.png", labels)
    print(f"label maps and pictures: {out}")


def num_samples(model: hpunet_jax.Model) -> int:
    """As many samples as asked for, or as the evaluation takes."""
    return _NUM_SAMPLES.value or model.config.evaluation.num_samples


def read_examples(config) -> dict[str, np.ndarray]:
    """Image and annotations [B, H, W, ...] of the examples to show."""
    from hpunet_jax.data import pipeline

    builder = pipeline.open_data_set(config, _DATA_DIR.value)
    split = _SPLIT.value or config.evaluation.split
    numbers = spread_over(pipeline.num_examples(builder, split), 4)
    if _EXAMPLES.value:
        numbers = [int(number) for number in _EXAMPLES.value]
    return pipeline.examples_at(builder, split, numbers)


if __name__ == "__main__":
    program.run(main)
