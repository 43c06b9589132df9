"""Appendices B and C: the evaluation protocol of LIDC-IDRI, for any data set of several graders.

Each test image is scored by how well 16 samples agree with its graders (GED², Hungarian-matched
IoU) and by how well their gradings are reconstructed. Rows computed from the same data stand
beside the model:

  human               one grader against the others
  thresholded_mean    the most probable class of the model's marginal, the mean of its samples
  training_marginal   the most frequent class of the training masks, whatever the image
  independent_pixels  the model's marginal sampled in every pixel on its own

The last three know (at best) each pixel's distribution, but not how pixels depend on each other.
"""

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import tqdm

from hpunet_jax.evaluation.independent import independent_pixels
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.segmenter import FullBatches, Segmenter
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.distribution import (
    Agreement,
    ged_squared,
    hungarian_iou,
    leave_one_out,
)
from hpunet_jax.metrics.iou import iou, pairwise_iou
from hpunet_jax.tasks.crop import centre_crop

Examples = Mapping[str, np.ndarray]
_T = TypeVar("_T")


def evaluate(
    model: Segmenter,
    batches: Iterable[Examples],
    *,
    crop: tuple[int, int],
    num_samples: int = 16,
    seed: int = 0,
    num_images: int | None = None,
    training_frequencies: np.ndarray | None = None,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` uint8 [B, H, W, channels] and `masks` uint8 [B, H, W, G], whose
        values are classes, 255 where a pixel is not evaluated; a plane that is 255 everywhere is a
        grader who did not annotate this image. Only the last batch may be smaller than the others.
      crop: height and width of the centre crop that is evaluated.
      num_samples: number of samples N.
      seed: seed of the samples and of the independent pixels.
      num_images: number of images, for the progress bar.
      training_frequencies: [h, w, C], how often each class was drawn in each pixel of the training
        crops (`class_frequencies`); with it, the row `training_marginal` is computed.

    Returns:
      The scores of each image, under the rows above and `model`.

    Raises:
      ValueError: if there are no images, one has no grader, or a mask has a class the model does
        not know.
    """

    def read() -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
        batch_size = first = 0
        for batch in batches:
            images, masks = _read(batch, crop, model.num_classes, first)
            batch_size = batch_size or len(images)
            yield images, masks, first, batch_size
            first += len(images)

    def score(images: np.ndarray, masks: np.ndarray, first: int, batch_size: int):
        present = _present(masks)
        rows = _score_batch(
            FullBatches(model, batch_size),
            images,
            masks,
            present,
            num_samples,
            [seed, first],
            training_frequencies,
        )
        return rows, marked_by_all(masks, present)

    parts: list[dict[str, dict[str, np.ndarray]]] = []
    subset_b: list[np.ndarray] = []
    with tqdm.tqdm(total=num_images, desc="evaluate", unit="image") as bar:
        for rows, marked in _two_at_once(score, read()):
            parts.append(rows)
            subset_b.append(marked)
            bar.update(len(marked))
    if not parts:
        raise ValueError("there are no images to evaluate: the split is empty.")
    joined = {
        row: {name: np.concatenate([part[row][name] for part in parts]) for name in metrics}
        for row, metrics in parts[0].items()
    }
    settings = {"num_samples": num_samples, "seed": seed, "crop": list(crop)}
    return Scores(joined, np.concatenate(subset_b), settings)


def class_frequencies(
    batches: Iterable[Examples], *, crop: tuple[int, int], num_classes: int
) -> np.ndarray:
    """How often each class is drawn in each pixel of the crop: the training-time marginal.

    Args:
      batches: examples as for `evaluate`, usually one pass over the training split.
      crop: height and width of the centre crop.
      num_classes: number of classes C.

    Returns:
      float64 [h, w, C], summing to 1 over the classes; class 0 where nothing was drawn at all.

    Raises:
      ValueError: see `evaluate`.
    """
    counts = np.zeros((*crop, num_classes))
    first = 0
    for batch in batches:
        images, masks = _read(batch, crop, num_classes, first)
        for label in range(num_classes):
            counts[..., label] += (masks == label).sum(axis=(0, 1))
        first += len(images)
    total = counts.sum(axis=-1, keepdims=True)
    nothing = np.eye(num_classes)[0]
    return np.where(total > 0, counts / np.maximum(total, 1), nothing)


def marked_by_all(masks: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Subset B (Appendix C): images in which each grader marked something, within the crop.

    Args:
      masks: [G, B, H, W].
      present: bool [B, G], the graders who annotated the image.

    Returns:
      bool [B].
    """
    marked = ((masks != 0) & (masks != IGNORED)).any(axis=(2, 3)).T
    return (marked | ~present).all(axis=1)


def _two_at_once(function: Callable[..., _T], arguments: Iterable[tuple]) -> Iterator[_T]:
    """`itertools.starmap` in two threads.

    The CPU scores one batch while the device samples the next; and where the device is a CPU, small
    operations would leave cores idle.
    """
    arguments = iter(arguments)
    yield from itertools.starmap(function, itertools.islice(arguments, 1))  # alone: it compiles
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pending: collections.deque[concurrent.futures.Future[_T]] = collections.deque()
        for these in arguments:
            pending.append(pool.submit(function, *these))
            if len(pending) > 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _score_batch(
    model: FullBatches,
    images: np.ndarray,
    masks: np.ndarray,
    present: np.ndarray,
    num_samples: int,
    seed: list[int],
    training_frequencies: np.ndarray | None,
) -> dict[str, dict[str, np.ndarray]]:
    """{row: {metric: [B]}} for masks [G, B, H, W]."""
    probabilities = model.sample(images, num_samples, seed)
    marginal = probabilities.mean(axis=0)
    num_classes = marginal.shape[-1]
    predictions = {
        "model": probabilities.argmax(axis=-1).astype(np.uint8),
        "thresholded_mean": marginal.argmax(axis=-1).astype(np.uint8)[None],
    }
    if training_frequencies is not None:
        _check_frequencies(training_frequencies, marginal.shape)
        labels = training_frequencies.argmax(axis=-1).astype(np.uint8)
        predictions["training_marginal"] = np.broadcast_to(labels, (1, *marginal.shape[:3]))
    predictions["independent_pixels"] = independent_pixels(marginal, num_samples, seed)

    classes = range(1, num_classes)
    among_graders = pairwise_iou(masks, masks, classes)

    def agreement(labels: np.ndarray) -> dict[str, np.ndarray]:
        cross = pairwise_iou(labels, masks, classes)
        among_samples = pairwise_iou(labels, labels, classes)
        ged2 = ged_squared(cross, among_samples, among_graders, present)
        return Agreement(ged2, hungarian_iou(cross, present))._asdict()

    rebuilt = _reconstruction_iou(model, images, masks, present, classes)
    return {
        "model": {**agreement(predictions.pop("model")), "reconstruction_iou": rebuilt},
        "human": leave_one_out(among_graders, present)._asdict(),
        **{row: agreement(labels) for row, labels in predictions.items()},
    }


def _reconstruction_iou(
    model: FullBatches,
    images: np.ndarray,
    masks: np.ndarray,
    present: np.ndarray,
    classes: Sequence[int],
) -> np.ndarray:
    """[B]: mean over the graders present of the IoU of a grading and its reconstruction."""
    total = np.zeros(len(images))
    for grading, has_grading in zip(masks, present.T, strict=True):
        rebuilt = model.reconstruct(images, np.where(grading == IGNORED, 0, grading))
        total += np.where(has_grading, iou(rebuilt, grading, classes), 0.0)
    return total / present.sum(axis=1)


def _read(
    batch: Examples, crop: tuple[int, int], num_classes: int, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Crops, and brings the graders to the front: [B, h, w, channels] and [G, B, h, w]."""
    if "masks" not in batch:
        raise ValueError(
            "the protocol 'graders' scores the masks of graders, which this data set has not: set "
            "evaluation.protocol to 'snemi3d' or 'cityscapes' for instances."
        )
    images = centre_crop(batch["image"], crop)
    masks = centre_crop(batch["masks"], crop)
    wrong = (masks >= num_classes) & (masks != IGNORED)
    if wrong.any():
        image = first + int(np.argwhere(wrong)[0, 0])
        raise ValueError(
            f"the masks of image {image} have the class {masks[wrong][0]}, but the model knows the "
            f"classes 0 to {num_classes - 1} (and {IGNORED} for pixels to ignore)."
        )
    masks = np.ascontiguousarray(np.moveaxis(masks, -1, 0))
    if not (has_grader := _present(masks).any(axis=1)).all():
        image = first + int(np.argmin(has_grader))
        raise ValueError(
            f"image {image} has no grader: all of its masks are {IGNORED} everywhere. Leave it out "
            "of the data set."
        )
    return images, masks


def _present(masks: np.ndarray) -> np.ndarray:
    """bool [B, G]: the graders who annotated the image."""
    return (masks != IGNORED).any(axis=(2, 3)).T


def _check_frequencies(frequencies: np.ndarray, marginal_shape: tuple[int, ...]) -> None:
    if frequencies.shape != marginal_shape[1:]:
        raise ValueError(
            f"training_frequencies have shape {frequencies.shape}: expected {marginal_shape[1:]}, "
            "[h, w, C] of the evaluated crop."
        )
