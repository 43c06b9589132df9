"""What the protocols of instances share (Appendices B.2, B.3, G and H).

The samples of each test image are clustered and cleaned up, and the instances compared with the
truth; besides, the truth, painted with random labels, is reconstructed. Two rows of instances that
are found without clustering stand beside the model:

  marginal_components  connected components where the samples' mean probability of the foreground
                       (all stochastic classes) exceeds one half
  sample_components    connected components of equal labels in the first sample

They are cleaned up in the same way, so that they differ in nothing else. A reconstruction IoU is
given for them too, to compare with: their components are matched with the objects of the truth one
to one, by IoU, and painted with the labels of their objects. It is what a segmentation reaches that
has seen the image only, if it is told the label of each object that it found.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import scipy.ndimage
import skimage.measure
import tqdm

from hpunet_jax.evaluation.instance_rows import Row, Truth, score_row, scores_of_rows
from hpunet_jax.evaluation.model import FullBatches, SegmentationModel, WholeImages, seed_word
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import NUMBER, Examples
from hpunet_jax.inference.segment import SegmentOptions, instances_from_samples
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.instances import clean_up, only_classes
from hpunet_jax.instances.scores import foreground_probability
from hpunet_jax.labels import NO_TARGET
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.tasks.targets import (
    check_annotations,
    draw_target,
    stochastic_classes,
)

_CROSS = scipy.ndimage.generate_binary_structure(2, 1)


def evaluate(
    model: SegmentationModel,
    batches: Iterable[Examples],
    read: Callable[[Examples], Truth],
    options: SegmentOptions,
    *,
    crop: tuple[int, int] | None,
    num_ids: int | None,
    min_region: int | None = None,
    num_images: int | None = None,
    progress: bool = True,
    tile: Sequence[int] = TILE,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` and what `draw_target` takes. Only the last batch may be
        smaller than the others.
      read: the truth in a batch of examples.
      options: how samples become instances. Its seed is that of the samples, of the random labels
        and, with the number of the image, of the clustering.
      crop: height and width of the centre crop that is evaluated; None: whole images of any size,
        each a batch of its own.
      num_ids: number of labels that instances are mapped to at random.
      min_region: pixels that an object must have to count in the average precision; None: no
        average precision.
      num_images: number of images, for the progress bar.
      progress: whether to show the bar.
      tile: greatest height and width that the model sees of a whole image at once.

    Returns:
      The scores of each image, under the rows above and `model`.

    Raises:
      ValueError: if there are no images, or the examples do not fit the model.
    """
    classes = stochastic_classes(model.num_classes, num_ids)
    scorer = _Scorer(model, read, options, crop, tuple(tile), num_ids, min_region, classes)
    images: list[dict[str, Row]] = []
    size = 0
    with tqdm.tqdm(total=num_images, desc="evaluate", unit="image", disable=not progress) as bar:
        for examples in batches:
            size = size or len(examples["image"])
            first = int(examples.get(NUMBER, [len(images)])[0])
            scored = scorer.score(examples, first=first, size=size)
            images.extend(scored)
            bar.update(len(scored))
    if not images:
        raise ValueError("there are no images to evaluate: the split is empty.")
    of_images = {"tile": list(tile)} if crop is None else {"crop": list(crop)}
    settings = {**dataclasses.asdict(options), **of_images, "num_ids": num_ids}
    if min_region is not None:
        settings["min_region"] = min_region
    return scores_of_rows(images, settings)


class _Image(NamedTuple):
    """One image's samples, reconstruction and annotations."""

    number: int
    labels: np.ndarray  # [N, H, W], the samples
    foreground: np.ndarray  # [H, W], the mean probability of the stochastic classes
    foreground_of_first: np.ndarray  # [H, W], that of the first sample
    rebuilt: np.ndarray  # [H, W], the reconstruction of the target
    target: np.ndarray  # [H, W], the truth with random labels for instances
    truth: Truth  # [H, W] each


@dataclasses.dataclass(frozen=True)
class _Scorer:
    """Scores images, whose scores do not depend on their batch."""

    model: SegmentationModel
    read: Callable[[Examples], Truth]
    options: SegmentOptions
    crop: tuple[int, int] | None
    tile: tuple[int, ...]
    num_ids: int | None
    min_region: int | None
    classes: range  # those that stand for instances

    def score(self, examples: Examples, first: int, size: int) -> list[dict[str, Row]]:
        """{row: {metric: value}} of each image of a batch.

        Args:
          examples: the batch.
          first: the number of its first image.
          size: the size of all batches but the last.
        """
        return [
            {
                row: self._score_row(row, instances, image)
                for row, instances in self._instances(image).items()
            }
            for image in self._predict(examples, first, size)
        ]

    def _predict(self, examples: Examples, first: int, size: int) -> list[_Image]:
        annotations = check_annotations(examples, self.num_ids, self.model.num_classes)
        cropped = {name: self._cut(maps) for name, maps in annotations.items()}
        images = self._cut(examples["image"])
        numbers = first + np.arange(len(images))
        target = self._draw_targets(numbers, cropped)
        model: FullBatches | WholeImages = FullBatches(self.model, size)
        if self.crop is None:
            model = WholeImages(self.model, self.tile)
        drawn = model.sample(images, self.options.num_samples, self.options.seed, first)
        rebuilt = model.reconstruct(images, np.where(target == NO_TARGET, 0, target))
        truth = zip(*self.read(cropped), strict=True)
        of_images = zip(
            numbers.tolist(),
            np.moveaxis(drawn.labels, 1, 0),
            foreground_probability(drawn.marginal[None], self.classes),
            foreground_probability(drawn.first[None], self.classes),
            rebuilt,
            target,
            strict=True,
        )
        return [_Image(*one, Truth(*maps)) for one, maps in zip(of_images, truth, strict=True)]

    def _cut(self, maps: np.ndarray) -> np.ndarray:
        """The part of some maps [B, H, W, ...] that is evaluated."""
        return maps if self.crop is None else np.asarray(centre_crop(maps, self.crop))

    def _draw_targets(self, numbers: np.ndarray, annotations: Examples) -> np.ndarray:
        """The targets [B, H, W] to reconstruct: random labels, by the images' numbers."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(self.options.seed), numbers)
        return np.asarray(self._draw(keys, annotations))

    @functools.cached_property
    def _draw(self) -> Callable[..., jax.Array]:
        return jax.jit(jax.vmap(functools.partial(draw_target, num_ids=self.num_ids)))

    def _instances(self, image: _Image) -> dict[str, np.ndarray]:
        """The instances [H, W] of each row."""
        seed = seed_word([self.options.seed, image.number])
        options = dataclasses.replace(self.options, seed=seed)
        one = only_classes(image.labels[0], self.classes)
        components = {
            "marginal_components": scipy.ndimage.label(image.foreground > 0.5, _CROSS)[0],
            "sample_components": skimage.measure.label(one, background=0, connectivity=1),
        }
        cleaned = {
            row: clean_up(found, options.erosion, options.neighbourhood, options.no_neighbour)
            for row, found in components.items()
        }
        return {"model": instances_from_samples(image.labels, self.classes, options), **cleaned}

    def _score_row(self, row: str, instances: np.ndarray, image: _Image) -> Row:
        return score_row(
            instances,
            image.truth,
            image.target,
            self.classes,
            image.foreground_of_first if row == "sample_components" else image.foreground,
            rebuilt=image.rebuilt if row == "model" else None,
            min_region=self.min_region,
        )
