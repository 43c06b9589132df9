"""What a trained model makes of some examples, in the paper's pictures (Figs. 2 to 6, 9 to 15)."""

from collections.abc import Collection, Mapping, Sequence

import jax
import numpy as np
from matplotlib.figure import Figure
from tqdm import trange

from hpunet_jax.figures.extrapolation import extrapolation_figure
from hpunet_jax.figures.instances import instance_figure
from hpunet_jax.figures.palettes import label_palette, neurite_palette
from hpunet_jax.figures.samples import sample_figure
from hpunet_jax.figures.scales import scales_figure
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.padding import pad_to
from hpunet_jax.inference.segment import SegmentOptions, instances_from_samples
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.labels import IGNORED
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.tasks.extrapolation import hide
from hpunet_jax.tasks.targets import draw_targets, stochastic_classes

SAMPLES, SCALES = "samples.png", "scales.png"
INSTANCES, EXTRAPOLATION = "instances.png", "extrapolation.png"
_SHOWN = ("image", "masks", "instances", "semantic", "cars")


def model_figures(
    model: Model,
    examples: Mapping[str, np.ndarray],
    num_samples: int | None = None,
    seed: int = 0,
    hidden: float = 0.5,
    only: Collection[str] | None = None,
) -> dict[str, Figure]:
    """Samples and reconstructions of examples, beside their annotations.

    Args:
      model: the model.
      examples: `image` [B, H, W, channels] and `masks` [B, H, W, G], `instances` [B, H, W], or
        `semantic` and `cars` [B, H, W], as the data set gives them; shown is their centre crop, or
        of whole images (`data.whole_images`) what is sampled at once, in their middle.
      num_samples: number of samples N; None: as in the evaluation.
      seed: seed of the samples, and of the random labels of instances.
      hidden: the hidden fraction, from the top, where the model extrapolates.
      only: the file names of the pictures to draw; None draws all.

    Returns:
      {file name: figure}. With several graders "samples.png" (Figs. 2, 9 and 10) and "scales.png"
      (Fig. 3); with instances "instances.png" (Figs. 4, 6 and 11 to 14) and "scales.png" (Fig. 15);
      of a model that extrapolates "extrapolation.png" (Fig. 5) alone.
    """
    num_samples = num_samples or model.config.evaluation.num_samples
    examples = _shown_part(model, examples)
    if model.extrapolates:
        drawings = {
            EXTRAPOLATION: lambda: _extrapolation(model, examples, num_samples, seed, hidden)
        }
    elif "masks" in examples:
        images = examples["image"]
        samples = samples_by_scales(model, images, num_samples, seed, probabilities=True)
        drawings = {
            SAMPLES: lambda: _gradings(model, images, examples["masks"], samples["all scales"]),
            SCALES: lambda: probability_scales_figure(images, samples),
        }
    else:
        labels = _random_labels(model, examples, seed)
        samples = samples_by_scales(model, examples["image"], num_samples, seed)
        drawings = {
            INSTANCES: lambda: _instances(model, examples["image"], labels, samples["all scales"]),
            SCALES: lambda: _instance_scales(model, examples["image"], samples),
        }
    return {name: draw() for name, draw in drawings.items() if only is None or name in only}


def _shown_part(model: Model, examples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The maps of some examples, of a size that the network takes."""
    data = model.config.data
    maps = {name: examples[name] for name in _SHOWN if name in examples}
    if not data.get("whole_images", False):
        return {name: centre_crop(values, tuple(data.crop)) for name, values in maps.items()}
    multiple = model.network.size_multiple
    size = maps["image"].shape[1:3]
    tile = model.config.evaluation.get("tile", TILE)
    part = [min(n, most - most % multiple) for n, most in zip(size, tile, strict=True)]
    whole = [n + -n % multiple for n in part]
    padded = {}
    for name, values in maps.items():
        middle = centre_crop(values, part)
        padded[name] = np.stack([pad_to(one, whole)[0] for one in middle])
        if name == "masks":
            inside = pad_to(middle[0], whole)[1]
            outside = np.ones(whole, bool)
            outside[inside] = False
            padded[name][:, outside] = IGNORED
    return padded


def samples_by_scales(
    model: Model, images: np.ndarray, num_samples: int, seed: int = 0, probabilities: bool = False
) -> dict[str, np.ndarray]:
    """Samples of all latent scales, of the coarsest alone and of the finest alone (Fig. 3).

    Args:
      model: the model.
      images: as for `Model.sample`.
      num_samples: number of samples N.
      seed: seed of the samples.
      probabilities: whether to give class probabilities instead of labels.

    Returns:
      {which scales: [N, B, H, W] or [N, B, H, W, C]}; "all scales" alone if there is but one.
    """
    return {
        name: model.sample(images, num_samples, seed, scales, probabilities)
        for name, scales in scale_choices(model).items()
    }


def scale_choices(model: Model) -> dict[str, Sequence[int] | None]:
    """{name: the latent scales that are sampled} of the rows of a picture like Fig. 3."""
    choices: dict[str, Sequence[int] | None] = {"all scales": None}
    if model.num_latent_scales > 1:
        choices |= {"only the coarsest": [0], "only the finest": [model.num_latent_scales - 1]}
    return choices


def probability_scales_figure(images: np.ndarray, samples: Mapping[str, np.ndarray]) -> Figure:
    """The picture like Fig. 3, of class probabilities.

    Args:
      images: [B, H, W, channels].
      samples: {which scales: [N, B, H, W, C]}, as of `samples_by_scales`.

    Returns:
      The figure, for `save_figure`.
    """
    labels = {name: probabilities.argmax(axis=-1) for name, probabilities in samples.items()}
    return scales_figure(images, labels, samples)


def _gradings(
    model: Model, images: np.ndarray, masks: np.ndarray, probabilities: np.ndarray
) -> Figure:
    """The picture like Fig. 2, of masks [B, H, W, G] and samples [N, B, H, W, C]."""
    gradings = np.moveaxis(np.where(masks == IGNORED, 0, masks), -1, 0)
    reconstructions = np.stack([model.reconstruct(images, grading) for grading in gradings])
    return sample_figure(
        images, masks, reconstructions, probabilities.argmax(axis=-1), probabilities
    )


def _instances(model: Model, images: np.ndarray, labels: np.ndarray, samples: np.ndarray) -> Figure:
    """The picture like Figs. 4 and 6, of random labels [B, H, W] and samples [N, B, H, W]."""
    classes = _stochastic_classes(model)
    options = SegmentOptions.from_config(model.config, num_samples=len(samples))
    instances = [
        instances_from_samples(samples[:, number], classes, options)
        for number in trange(len(images), desc="cluster", unit="image")
    ]
    rebuilt = model.reconstruct(images, np.maximum(labels, 0))
    palette, names = label_palette(classes)
    return instance_figure(images, labels, rebuilt, np.stack(instances), samples, palette, names)


def _instance_scales(model: Model, images: np.ndarray, samples: Mapping[str, np.ndarray]) -> Figure:
    """The picture like Fig. 15, of samples [N, B, H, W] by scales."""
    prior_mean = model.sample(images, 1, scales=[])
    rows = {"all scales": samples["all scales"], "prior mean": prior_mean} | dict(samples)
    palette, _ = label_palette(_stochastic_classes(model))
    return scales_figure(images, rows, palette=palette)


def _extrapolation(
    model: Model, examples: Mapping[str, np.ndarray], num_samples: int, seed: int, hidden: float
) -> Figure:
    """The picture like Fig. 5."""
    images, labels = examples["image"], _random_labels(model, examples, seed)
    visible = hide(labels, hidden)
    rebuilt = model.reconstruct(images, np.maximum(labels, 0), visible_labels=visible)
    samples = model.sample(images, num_samples, seed, visible_labels=visible)
    palette = neurite_palette(model.num_classes - 1)
    if model.config.data.get("num_ids", None):
        palette, _ = label_palette(_stochastic_classes(model))
    return extrapolation_figure(images, labels, visible >= 0, rebuilt, samples, palette)


def _stochastic_classes(model: Model) -> range:
    return stochastic_classes(model.num_classes, model.config.data.get("num_ids", None))


def _random_labels(model: Model, examples: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
    """Labels [B, h, w] with random labels for instances, -1 for pixels without annotation."""
    num_ids = model.config.data.get("num_ids", None)
    return np.asarray(draw_targets(jax.random.key(seed), examples, num_ids))
