"""Samples segmentations from a trained network and draws them (Figs. 2 and 3).

    python -m experiments.sample --workdir=runs/demo
    python -m experiments.sample --workdir=runs/demo --images=scans/ --num_samples=32

Without --images, a few examples of the config's data set are shown beside what the graders drew:
samples.png (image, graders, reconstructions, samples) and scales.png (all latent scales, only the
coarsest, only the finest). With --images, a file or a folder of PNG images, every image also gets
its samples as label maps: <out>/<name>/sample_00.png and so on, the pixel's value being the class.
"""

import pathlib

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

import hpunet_jax
from experiments import program
from hpunet_jax.augmentation import centre_crop
from hpunet_jax.data.crop_layout import decode_image
from hpunet_jax.evaluation.iou import IGNORE
from hpunet_jax.figures import sample_figure, save_figure, scales_figure
from hpunet_jax.files import write_aside

_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_OUT = flags.DEFINE_string("out", None, "Folder to write to; default: <workdir>/samples.")
_IMAGES = flags.DEFINE_string("images", None, "PNG file or folder; default: the data set's.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
_SPLIT = flags.DEFINE_string("split", None, "Default: the config's evaluation.split.")
_EXAMPLES = flags.DEFINE_list(
    "examples", None, "Numbers of the examples to show; default: four, spread over the split."
)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 16, "Samples of each image.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples.")
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
    images, masks = read_examples(model.config)
    samples = probabilities_by_scales(model, images)
    gradings = np.where(masks == IGNORE, 0, masks)
    reconstructions = [
        model.reconstruct(images, gradings[..., grader]) for grader in range(masks.shape[-1])
    ]
    everything = samples["all scales"]
    figures = {
        "samples.png": sample_figure(
            images, masks, np.stack(reconstructions), everything.argmax(axis=-1), everything
        ),
        "scales.png": draw_scales(images, samples),
    }
    for name, figure in figures.items():
        save_figure(figure, out / name)
        print(f"picture: {out / name}")


def sample_files(model: hpunet_jax.Model, source: pathlib.Path, out: pathlib.Path) -> None:
    """Writes the samples of image files as label maps, with a picture of each."""
    paths = sorted(source.glob("*.png")) if source.is_dir() else [source]
    if not paths:
        raise FileNotFoundError(f"{source} holds no PNG files.")
    for path in tqdm(paths, desc="sample", unit="image"):
        try:
            image = decode_image(path.read_bytes())
            image = image[None] if image.ndim == 3 else image[None, ..., None]
            samples = probabilities_by_scales(model, image)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        save_figure(draw_scales(image, samples), out / path.stem / "scales.png")
        for number, labels in enumerate(samples["all scales"].argmax(axis=-1)[:, 0]):
            with write_aside(out / path.stem / f"sample_{number:02d}.png") as aside:
                Image.fromarray(labels.astype(np.uint8)).save(aside)
    print(f"label maps and pictures: {out}")


def probabilities_by_scales(model: hpunet_jax.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Class probabilities of samples, [N, B, H, W, C], for each choice of latent scales."""
    choices = {"all scales": None}
    if model.num_latent_scales > 1:
        choices |= {"only the coarsest": [0], "only the finest": [model.num_latent_scales - 1]}
    return {
        name: model.sample(images, _NUM_SAMPLES.value, _SEED.value, scales, probabilities=True)
        for name, scales in choices.items()
    }


def draw_scales(images: np.ndarray, probabilities: dict[str, np.ndarray]):
    """The picture like Fig. 3."""
    labels = {name: array.argmax(axis=-1) for name, array in probabilities.items()}
    return scales_figure(images, labels, probabilities)


def read_examples(config) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, h, w, channels] and masks [B, h, w, G] of the examples to show, cropped."""
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
    return tuple(
        centre_crop(np.concatenate([example[name] for example in examples]), config.data.crop)
        for name in ("image", "masks")
    )


if __name__ == "__main__":
    program.run(main)
