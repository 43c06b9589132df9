"""What the protocols of SNEMI3D and Cityscapes share (Appendices B.2, B.3, G and H).

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
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax
import numpy as np
import scipy.ndimage
import scipy.optimize
import skimage.measure
import tqdm

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.segmenter import FullBatches, Segmenter, seed_word
from hpunet_jax.inference.segment import SegmentOptions, instances_from_samples
from hpunet_jax.instances import clean_up, only_classes, renumber
from hpunet_jax.instances.scores import foreground_probability, instance_scores
from hpunet_jax.labels import NO_TARGET
from hpunet_jax.metrics.average_precision import Detections, join, match
from hpunet_jax.metrics.iou import iou
from hpunet_jax.metrics.rand_error import adapted_rand_error
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.tasks.targets import (
    check_annotations,
    draw_target,
    stochastic_classes,
)

Examples = Mapping[str, np.ndarray]
_CROSS = scipy.ndimage.generate_binary_structure(2, 1)


class Truth(NamedTuple):
    """What instances are compared with.

    Attributes:
      instances: integers [B, H, W], 0 where there is no instance.
      groups: bool [B, H, W], instances that nobody told apart.
      void: bool [B, H, W], pixels that are not evaluated.
    """

    instances: np.ndarray
    groups: np.ndarray
    void: np.ndarray


def evaluate(
    model: Segmenter,
    batches: Iterable[Examples],
    read: Callable[[Examples], Truth],
    options: SegmentOptions,
    *,
    crop: tuple[int, int],
    num_ids: int,
    min_region: int | None = None,
    num_images: int | None = None,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` and what `draw_target` takes. Only the last batch may be
        smaller than the others.
      read: the truth in a batch of examples.
      options: how samples become instances. Its seed is that of the samples, of the random labels
        and, with the number of the image, of the clustering.
      crop: height and width of the centre crop that is evaluated.
      num_ids: number of labels that instances are mapped to at random.
      min_region: pixels that an object must have to count in the average precision; None: no
        average precision.
      num_images: number of images, for the progress bar.

    Returns:
      The scores of each image, under the rows above and `model`.

    Raises:
      ValueError: if there are no images, or the examples do not fit the model.
    """
    classes = stochastic_classes(model.num_classes, num_ids)
    draw = jax.jit(jax.vmap(lambda key, annotations: draw_target(key, annotations, num_ids)))
    parts: list[dict[str, dict[str, list]]] = []
    batch_size = first = 0
    with tqdm.tqdm(total=num_images, desc="evaluate", unit="image") as bar:
        for examples in batches:
            annotations = check_annotations(examples, num_ids, model.num_classes)
            cropped = {name: centre_crop(maps, crop) for name, maps in annotations.items()}
            images = centre_crop(examples["image"], crop)
            truth = read(cropped)
            batch_size = batch_size or len(images)
            numbers = np.arange(first, first + len(images))
            keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(options.seed), numbers)
            batch = _Batch(
                FullBatches(model, batch_size),
                images,
                np.asarray(draw(keys, cropped)),
                truth,
                classes,
                options,
                min_region,
            )
            parts.append(batch.score(first))
            first += len(images)
            bar.update(len(images))
    if not parts:
        raise ValueError("there are no images to evaluate: the split is empty.")
    return _joined(parts, options, crop, num_ids, min_region)


def paint(instances: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Paints instances with the labels of the objects that they are matched with.

    The matching is one to one and has the greatest sum of IoUs, so that what is split or merged is
    not made up for by painting.

    Args:
      instances: integers [H, W], 0 for background.
      truth: integers [H, W], 0 for no object.
      labels: integers [H, W], the same all over an object.

    Returns:
      Of the type of `labels` [H, W]; 0 where there is no instance, or one without an object.
    """
    number, thing = renumber(instances).ravel(), renumber(truth).ravel()
    shape = number.max(initial=0) + 1, thing.max(initial=0) + 1
    pairs = number.astype(np.int64) * shape[1] + thing
    shared = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared
    overlap = shared[1:, 1:] / np.maximum(union[1:, 1:], 1)
    matched, objects = scipy.optimize.linear_sum_assignment(overlap, maximize=True)
    some = overlap[matched, objects] > 0
    label_of_object = np.zeros(shape[1], labels.dtype)
    label_of_object[thing] = labels.ravel()
    colour = np.zeros(shape[0], labels.dtype)
    colour[1 + matched[some]] = label_of_object[1 + objects[some]]
    return colour[number].reshape(labels.shape)


@dataclasses.dataclass(frozen=True)
class _Batch:
    """A batch of images with what they are scored by."""

    model: FullBatches
    images: np.ndarray
    target: np.ndarray
    truth: Truth
    classes: range
    options: SegmentOptions
    min_region: int | None

    def score(self, first: int) -> dict[str, dict[str, list]]:
        """{row: {metric: [one for each image]}}, `first` being the first image's number."""
        seed = self.options.seed
        samples = self.model.sample(self.images, self.options.num_samples, [seed, first])
        labels = samples.argmax(axis=-1)
        foreground = foreground_probability(samples, self.classes)
        of_first = foreground_probability(samples[:1], self.classes)
        rebuilt = self.model.reconstruct(self.images, np.where(self.target < 0, 0, self.target))
        rows: dict[str, dict[str, list]] = {}
        for image in range(len(self.images)):
            found = self.instances(labels[:, image], foreground[image], first + image)
            for row, instances in found.items():
                sure = of_first if row == "sample_components" else foreground
                known = rebuilt[image] if row == "model" else None
                for metric, value in self.metrics(image, instances, sure[image], known).items():
                    rows.setdefault(row, {}).setdefault(metric, []).append(value)
        return rows

    def instances(
        self, labels: np.ndarray, foreground: np.ndarray, number: int
    ) -> dict[str, np.ndarray]:
        """The instances [H, W] of each row, from the samples of one image."""
        options = dataclasses.replace(self.options, seed=seed_word([self.options.seed, number]))
        one = only_classes(labels[0], self.classes)
        components = {
            "marginal_components": scipy.ndimage.label(foreground > 0.5, _CROSS)[0],
            "sample_components": skimage.measure.label(one, background=0, connectivity=1),
        }
        cleaned = {
            row: clean_up(found, options.erosion, options.neighbourhood, options.no_neighbour)
            for row, found in components.items()
        }
        return {"model": instances_from_samples(labels, self.classes, options), **cleaned}

    def metrics(
        self,
        image: int,
        instances: np.ndarray,
        foreground: np.ndarray,
        rebuilt: np.ndarray | None,
    ) -> dict[str, float | Detections]:
        """The metrics of a row, of one image; without a reconstruction, instances are painted."""
        target, truth = self.target[image], Truth(*(maps[image] for maps in self.truth))
        ignored = target == NO_TARGET
        if rebuilt is None:
            rebuilt = paint(instances, truth.instances, target)
        scored = iou(rebuilt[None], target[None], self.classes, "nan", ignored[None])
        values: dict[str, float | Detections] = {
            "reconstruction_iou": float(scored[0]),
            "rand_error": adapted_rand_error(instances, truth.instances),
        }
        if self.min_region is not None:
            values["detections"] = match(
                instances,
                instance_scores(instances, foreground),
                truth.instances,
                groups=truth.groups,
                void=truth.void,
                min_region=self.min_region,
            )
        return values


def _joined(
    parts: list[dict[str, dict[str, list]]],
    options: SegmentOptions,
    crop: tuple[int, int],
    num_ids: int,
    min_region: int | None,
) -> Scores:
    rows = {
        row: {
            metric: [value for part in parts for value in part[row][metric]] for metric in metrics
        }
        for row, metrics in parts[0].items()
    }
    detections = {
        row: join(metrics.pop("detections"))
        for row, metrics in rows.items()
        if "detections" in metrics
    }
    settings = {**dataclasses.asdict(options), "crop": list(crop), "num_ids": num_ids}
    if min_region is not None:
        settings["min_region"] = min_region
    arrays = {
        row: {metric: np.array(values) for metric, values in metrics.items()}
        for row, metrics in rows.items()
    }
    return Scores(arrays, None, settings, detections)
