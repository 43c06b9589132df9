"""Choosing a config for own data by looking at it, with a reason for each choice (`hpunet init`).

What is chosen is where configs/own_data.py does not fit the data, or the machine: on CPUs a small
network for about ten minutes on two cores, else the paper's network for a GPU or TPU.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from skimage.segmentation import find_boundaries

from hpunet_jax.labels import IGNORED

NUM_IDS = 15
"""Random labels of instances, the paper's on SNEMI3D."""

_AIR = -1000.0  # Hounsfield units
_LIMIT = {"cpu": 128}  # greatest side of a crop, pixels; elsewhere 256
_PIXELS = 65_536  # of a batch on a CPU
_BORDER_PIXELS = 80  # at borders, for each nat of the KL terms in a short training
_BYTES = 230  # of training, for each channel of a pixel at full resolution: see docs/tpu.md, LIDC


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a data set is like.

    Attributes:
      images: number of images of each split.
      sizes: height and width of the training images that were looked at.
      channels: of an image.
      num_classes: the greatest class of the masks, and 0 included.
      num_graders: graders; 0 where there are instances.
      border: share of the pixels that lie at the border of a class or an instance.
    """

    images: Mapping[str, int]
    sizes: tuple[tuple[int, int], ...]
    channels: int
    num_classes: int
    num_graders: int
    border: float


class Machine(NamedTuple):
    """What trains.

    Attributes:
      kind: "cpu", "gpu" or "tpu".
      memory: bytes of a device, or of the computer.
    """

    kind: str
    memory: int


class Choice(NamedTuple):
    """A field of the config, its value, and why."""

    field: str
    value: Any
    reason: str


def look_over(
    examples: Iterable[Mapping[str, np.ndarray]],
    images: Mapping[str, int],
    num_classes: int,
    num_graders: int,
) -> Facts:
    """Sums up training examples.

    Args:
      examples: batches of one, `image` [1, H, W, C] and `masks` [1, H, W, G] or `instances`
        [1, H, W].
      images: number of images of each split.
      num_classes: classes of the masks.
      num_graders: number of graders.

    Returns:
      The facts.

    Raises:
      ValueError: if there is no example.
    """
    sizes, borders, channels = [], [], 0
    for example in examples:
        height, width, channels = example["image"].shape[1:]
        sizes.append((height, width))
        if "masks" in example:
            borders += [_border(mask) for mask in np.moveaxis(example["masks"][0], -1, 0)]
        else:
            borders.append(_border(example["instances"][0]))
            num_graders = 0
    if not sizes:
        raise ValueError("there is no image in train to choose a config by.")
    present = [border for border in borders if border is not None]
    border = float(np.mean(present)) if present else 0.0
    return Facts(dict(images), tuple(sizes), channels, num_classes, num_graders, border)


def choose_window(values: tuple[float, float]) -> Choice:
    """Which values become black and white, where their type does not say it.

    Args:
      values: the least and greatest value of all images.
    """
    if values[0] <= _AIR / 2:
        reason = "values below 0 as of CT: Hounsfield units from air to bone; narrow it to what is"
        return Choice("data.window", (_AIR, 1000.0), f"{reason} looked for")
    reason = "the values have no fixed unit: the middle 99 % of each image or volume"
    return Choice("data.percentiles", (0.5, 99.5), reason)


def suggest(facts: Facts, machine: Machine) -> list[Choice]:
    """The fields of a config for a data set, in the order of a config's sections.

    Args:
      facts: what the data set is like.
      machine: what trains.

    Returns:
      The choices; among them are all that depend on the data.
    """
    small = machine.kind == "cpu"
    crop, crop_reason = _crop(facts, _LIMIT.get(machine.kind, 256))
    return [
        *_of_data(facts, crop, crop_reason),
        *_of_model(facts, crop, small),
        *_of_objective(facts, crop, small),
        *_of_training(facts, crop, machine),
        *_of_evaluation(facts),
    ]


def _of_data(facts: Facts, crop: tuple[int, int], reason: str) -> list[Choice]:
    choices = [Choice("data.crop", crop, reason)]
    if not facts.num_graders:
        choices.append(
            Choice("data.num_ids", NUM_IDS, "instances are mapped to so many labels at random")
        )
    if min(crop) < 128:
        amount = round(3 * min(crop) / 128, 1)
        choices.append(
            Choice("data.augmentation.elastic", amount, "in proportion to the crop's side")
        )
    if facts.channels == 3:
        colour = "photographs differ in light and colour"
        choices += [
            Choice("data.augmentation.brightness", 0.1, colour),
            Choice("data.augmentation.contrast", 0.2, colour),
            Choice("data.augmentation.saturation", 0.2, colour),
        ]
    return choices


def _of_model(facts: Facts, crop: tuple[int, int], small: bool) -> list[Choice]:
    num_classes, of_classes = facts.num_classes, "the masks' classes, 0 included"
    if not facts.num_graders:
        num_classes, of_classes = NUM_IDS + 1, "the labels of instances, and background"
    coarsest = 2 if _exceeds(facts, crop) else 1
    scales = min(8, int(math.log2(min(crop) / coarsest)) + 1)
    grid = [side >> (scales - 1) for side in crop]
    why = (
        "as images exceed the crop: latents have neighbours"
        if coarsest == 2
        else "as the crop is the whole image"
    )
    choices = [
        Choice("model.image_channels", facts.channels, "the images' channels"),
        Choice("model.num_classes", num_classes, of_classes),
        Choice("model.num_scales", scales, f"the coarsest latents are {grid[0]}x{grid[1]}, {why}"),
    ]
    if small and facts.num_graders:
        why = "coarse: a short training has few latents to learn"
        choices.append(Choice("model.latent_dims", (1,) * min(2, scales - 1), why))
    elif scales < 5:
        latents = (1,) * (scales - 1)
        choices.append(Choice("model.latent_dims", latents, "all scales but the finest"))
    if small:
        size = "a small network, for a CPU; on a GPU, run init there"
        choices += [
            Choice("model.base_channels", 16, size),
            Choice("model.max_channels", 48, size),
            Choice("model.blocks_per_scale", 1, size),
            Choice("model.convs_per_block", 2, size),
        ]
    return choices


def _of_objective(facts: Facts, crop: tuple[int, int], small: bool) -> list[Choice]:
    at_borders = f"{100 * facts.border:.1f} % of the pixels lie at borders"
    if small and facts.num_graders:
        # GECO with few steps leaves the latents what the network could have seen in the image, and
        # the prior then cannot tell (benchmarks/vessels.py).
        beta = float(max(1, round(facts.border * math.prod(crop) / _BORDER_PIXELS)))
        why = f"{at_borders}: a nat of the latents must be worth {_BORDER_PIXELS} of them, so that"
        return [
            Choice("objective.name", "elbo", "a multiplier needs more steps to settle"),
            Choice("objective.top_k", 1.0, "all pixels, or samples mark what no grader marked"),
            Choice("objective.beta", beta, f"{why} they hold what the image does not show"),
        ]
    top_k = float(np.clip(round(1.2 * facts.border, 2), 0.02, 0.2))
    if facts.num_graders:
        kappa, reason = 0.1, "loss of a worst pixel that a long training reaches"
    else:
        kappa, reason = 1.2, "the paper's for instances"
    choices = [
        Choice("objective.top_k", top_k, f"{at_borders}, where they are hard to tell"),
        Choice("objective.kappa", kappa, reason),
    ]
    if small:
        choices.append(Choice("objective.decay", 0.95, "an average over few steps"))
    return choices


def _of_training(facts: Facts, crop: tuple[int, int], machine: Machine) -> list[Choice]:
    pixels = math.prod(crop)
    if machine.kind == "cpu":
        steps, every, rates, drops = 2_000, 500, (2e-3, 2e-4), 2
        batch = max(2, _PIXELS // pixels)
        batch_reason = f"{batch * pixels:,} pixels a step, for a CPU"
        steps_reason = "about ten minutes on two CPU cores, if nothing else runs"
        base = 16
    else:
        steps, every, rates, drops = 60_000, 2_000, (2e-4, 1e-5), 4
        batch, base = 32, 24
        batch_reason = "the paper's"
        steps_reason = "a quarter of the paper's on LIDC"
    fits = int(0.7 * machine.memory / (_BYTES * base * pixels))
    if fits < batch:
        batch, batch_reason = max(1, fits), f"what {machine.memory / 2**30:.0f} GiB hold"
    every_reason = "what a stop costs at most, in steps"
    return [
        Choice("optimizer.learning_rate.initial", rates[0], "high, as there are few steps"),
        Choice("optimizer.learning_rate.final", rates[1], "lowered in drops"),
        Choice("optimizer.learning_rate.drops", drops, "in equal parts of the steps"),
        Choice("training.batch_size", batch, batch_reason),
        Choice("training.steps", steps, steps_reason),
        Choice("training.checkpoint_every", every, every_reason),
        Choice("training.log_every", every // 50, "50 rows of curves between checkpoints"),
    ]


def _of_evaluation(facts: Facts) -> list[Choice]:
    protocol, reason = "graders", f"masks of {facts.num_graders} graders"
    if facts.num_graders == 1:
        reason = "masks of one grader"
    if not facts.num_graders:
        protocol, reason = "instances", "instances: Rand error and average precision"
    choices = [Choice("evaluation.protocol", protocol, reason)]
    split = next(name for name in ("test", "validation", "train") if facts.images.get(name))
    if split != "test":
        choices.append(Choice("evaluation.split", split, "there are no images in test"))
    return choices


def _crop(facts: Facts, limit: int) -> tuple[tuple[int, int], str]:
    """The crop, whose sides are powers of two, one at most twice the other; and why."""
    median = np.median(facts.sizes, axis=0)
    sides = [min(limit, 2 ** int(math.log2(max(16, 1.15 * side)))) for side in median]
    height, width = (min(side, 2 * min(sides)) for side in sides)
    counts = collections.Counter(facts.sizes)
    (common, _), sizes = counts.most_common(1)[0], len(counts)
    shown = f"images of {common[0]}x{common[1]}" if sizes == 1 else f"images of {sizes} sizes"
    whole = "" if _exceeds(facts, (height, width)) else ", padded to it"
    return (height, width), f"{shown}{whole}; sides that the network can halve"


def _exceeds(facts: Facts, crop: tuple[int, int]) -> bool:
    """Whether some image is larger than the crop."""
    return bool(np.any(np.greater(facts.sizes, crop)))


def _border(labels: np.ndarray) -> float | None:
    """The share of pixels [H, W] that have a neighbour of another label; None if none counts."""
    counts = labels != IGNORED if labels.dtype == np.uint8 else np.ones(labels.shape, bool)
    if not counts.any():
        return None
    return float((find_boundaries(labels) & counts).sum() / counts.sum())
