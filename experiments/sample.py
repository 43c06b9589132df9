"""Samples segmentations from a trained network and draws them (Figs. 2 to 6, 9 to 15).

    python -m experiments.sample --workdir=runs/demo
    python -m experiments.sample --workdir=runs/demo --images=scans/ --num_samples=32

Without --images, a few examples of the config's data set are shown beside their annotations:
samples.png (image, graders, reconstructions, samples), or of data sets with instances instances.png
(image, labels, reconstruction, clustered instances, samples); and scales.png (all latent scales,
only the coarsest, only the finest). A model that extrapolates is shown in extrapolation.png alone.

With --images, an image file or a folder of them (docs/data.md says which), every image also gets
its samples as label maps: <out>/<name>/sample_00.png and so on, the pixel's value being the class.
experiments.segment makes instances of them.
"""

import pathlib

import numpy as np
from absl import flags
from jax.random import key
from tqdm import tqdm, trange

import hpunet_jax
from experiments import program
from hpunet_jax.figures import (
    extrapolation_figure,
    instance_figure,
    sample_figure,
    save_figure,
    scales_figure,
)
from hpunet_jax.figures.palettes import label_palette, neurite_palette
from hpunet_jax.inference.segment import SegmentOptions, instances_from_samples
from hpunet_jax.io import check_apart, find_images, fit_channels, read_image, write_labels
from hpunet_jax.metrics.iou import IGNORE
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.tasks.extrapolation import hide
from hpunet_jax.tasks.targets import draw_targets, stochastic_classes

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
    out = pathlib.Path(_OUT.value or pathlib.Path(_WORKDIR.value) / "samples")
    if _IMAGES.value:
        sample_files(model, pathlib.Path(_IMAGES.value), out)
    else:
        sample_data_set(model, out)


def sample_data_set(model: hpunet_jax.Model, out: pathlib.Path) -> None:
    """Draws examples of the model's data set with samples and reconstructions."""
    examples = read_examples(model.config)
    if model.extrapolates:
        figures = {"extrapolation.png": draw_extrapolation(model, examples)}
    elif "masks" in examples:
        figures = draw_gradings(model, examples["image"], examples["masks"])
    else:
        figures = draw_instances(model, examples)
    for name, figure in figures.items():
        save_figure(figure, out / name)
        print(f"picture: {out / name}")


def draw_gradings(model: hpunet_jax.Model, images: np.ndarray, masks: np.ndarray):
    """The pictures like Figs. 2 and 3: {file name: figure}."""
    samples = samples_by_scales(model, images, probabilities=True)
    gradings = np.where(masks == IGNORE, 0, masks)
    reconstructions = [
        model.reconstruct(images, gradings[..., grader]) for grader in range(masks.shape[-1])
    ]
    everything = samples["all scales"]
    return {
        "samples.png": sample_figure(
            images, masks, np.stack(reconstructions), everything.argmax(axis=-1), everything
        ),
        "scales.png": draw_scales(images, samples),
    }


def draw_instances(model: hpunet_jax.Model, examples: dict[str, np.ndarray]):
    """The pictures like Figs. 4 (or 6) and 15: {file name: figure}."""
    images, labels = examples["image"], random_labels(model, examples)
    classes = stochastic_classes(model.num_classes, model.config.data.num_ids)
    palette, names = label_palette(classes)
    samples = samples_by_scales(model, images)
    everything = samples["all scales"]
    options = SegmentOptions.from_config(model.config, num_samples=len(everything))
    instances = [
        instances_from_samples(everything[:, number], classes, options)
        for number in trange(len(images), desc="cluster", unit="image")
    ]
    rebuilt = model.reconstruct(images, np.maximum(labels, 0))
    prior_mean = model.sample(images, 1, scales=[])
    rows = {"all scales": everything, "prior mean": prior_mean} | samples  # as in Fig. 15
    return {
        "instances.png": instance_figure(
            images, labels, rebuilt, np.stack(instances), everything, palette, names
        ),
        "scales.png": scales_figure(images, rows, palette=palette),
    }


def draw_extrapolation(model: hpunet_jax.Model, examples: dict[str, np.ndarray]):
    """The picture like Fig. 5."""
    images, labels = examples["image"], random_labels(model, examples)
    visible = hide(labels, _HIDDEN.value)
    rebuilt = model.reconstruct(images, np.maximum(labels, 0), visible_labels=visible)
    samples = model.sample(images, num_samples(model), _SEED.value, visible_labels=visible)
    palette = neurite_palette(model.num_classes - 1)
    if num_ids := model.config.data.get("num_ids", None):
        palette, _ = label_palette(stochastic_classes(model.num_classes, num_ids))
    return extrapolation_figure(images, labels, visible >= 0, rebuilt, samples, palette)


def random_labels(model: hpunet_jax.Model, examples: dict[str, np.ndarray]) -> np.ndarray:
    """Labels [B, h, w] with random labels for instances, -1 for pixels without annotation."""
    num_ids = model.config.data.get("num_ids", None)
    return np.asarray(draw_targets(key(_SEED.value), examples, num_ids))


def sample_files(model: hpunet_jax.Model, source: pathlib.Path, out: pathlib.Path) -> None:
    """Writes the samples of image files as label maps, with a picture of each."""
    check_apart(out, source)
    listing = find_images(source)
    if listing.skipped:
        print(listing.note())
    for path in tqdm(listing.images, desc="sample", unit="image"):
        image = fit_channels(read_image(path), model.network.image_channels)[None]
        try:
            samples = samples_by_scales(model, image, probabilities=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        save_figure(draw_scales(image, samples), out / path.stem / "scales.png")
        for number, labels in enumerate(samples["all scales"].argmax(axis=-1)[:, 0]):
            labels = labels.astype(np.uint8 if model.num_classes <= 256 else np.uint16)
            write_labels(out / path.stem / f"sample_{number:02d}.png", labels)
    print(f"label maps and pictures: {out}")


def samples_by_scales(
    model: hpunet_jax.Model, images: np.ndarray, probabilities: bool = False
) -> dict[str, np.ndarray]:
    """Samples, as of `Model.sample`, for each choice of latent scales."""
    choices = {"all scales": None}
    if model.num_latent_scales > 1:
        choices |= {"only the coarsest": [0], "only the finest": [model.num_latent_scales - 1]}
    return {
        name: model.sample(images, num_samples(model), _SEED.value, scales, probabilities)
        for name, scales in choices.items()
    }


def num_samples(model: hpunet_jax.Model) -> int:
    """As many samples as asked for, or as the evaluation takes."""
    return _NUM_SAMPLES.value or model.config.evaluation.num_samples


def draw_scales(images: np.ndarray, probabilities: dict[str, np.ndarray]):
    """The picture like Fig. 3."""
    labels = {name: array.argmax(axis=-1) for name, array in probabilities.items()}
    return scales_figure(images, labels, probabilities)


def read_examples(config) -> dict[str, np.ndarray]:
    """Image and annotations [B, h, w, ...] of the examples to show, cropped."""
    from hpunet_jax.data import pipeline

    builder = pipeline.open_data_set(config, _DATA_DIR.value)
    split = _SPLIT.value or config.evaluation.split
    count = pipeline.num_examples(builder, split)
    if _EXAMPLES.value:
        numbers = [int(number) for number in _EXAMPLES.value]
    else:
        numbers = [count * (2 * i + 1) // 8 for i in range(4)]
    if wrong := [number for number in numbers if not 0 <= number < count]:
        raise ValueError(f"--examples: there is no example {wrong[0]} of {count} in {split}.")
    examples = [
        next(pipeline.eval_batches(builder, split=f"{split}[{n}:{n + 1}]", batch_size=1))
        for n in numbers
    ]
    return {
        name: centre_crop(np.concatenate([example[name] for example in examples]), config.data.crop)
        for name in ("image", "masks", "instances", "semantic", "cars")
        if name in examples[0]
    }


if __name__ == "__main__":
    program.run(main)
