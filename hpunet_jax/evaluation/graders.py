"""Appendices B and C: the evaluation protocol of LIDC-IDRI, for any data set of several graders.

Each test image is scored by how well 16 samples agree with its graders (GED², Hungarian-matched
IoU) and by how well their gradings are reconstructed; besides, by what the field has come to
compare on since (`metrics.gradings`, `metrics.calibration`, `metrics.risk_coverage`). Rows computed
from the same data stand beside the model:

  human               one grader against the others; GED² of two graders is that of N samples drawn
                      from them, since one against one is undercut by whatever differs much
  thresholded_mean    the most probable class of the model's marginal, the mean of its samples
  training_marginal   the most frequent class of the training masks, whatever the image
  independent_pixels  the model's marginal sampled in every pixel on its own

The last three know (at best) each pixel's distribution, but not how pixels depend on each other.
Pixels that any grader of an image ignores are left out of all its scores (`metrics.gradings`).
"""

import collections
import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import tqdm
from jaxtyping import Bool, Float, Shaped, UInt8

from hpunet_jax.evaluation.independent import independent_pixels
from hpunet_jax.evaluation.model import FullBatches, SegmentationModel, WholeImages
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.evaluation.sharing import NUMBER, Examples
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.calibration import Levels
from hpunet_jax.metrics.gradings import GradedScores, Gradings, Metrics
from hpunet_jax.metrics.iou import Absent
from hpunet_jax.tasks.crop import centre_crop

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def evaluate(
    model: SegmentationModel,
    batches: Iterable[Examples],
    *,
    crop: tuple[int, int] | None,
    num_samples: int = 16,
    seed: int = 0,
    num_images: int | None = None,
    progress: bool = True,
    training_frequencies: np.ndarray | None = None,
    absent: Absent | None = None,
    numbers: Sequence[int] = (),
    tile: Sequence[int] = TILE,
) -> Scores:
    """Scores every image of a split.

    Args:
      model: the model.
      batches: examples with `image` uint8 [B, H, W, channels] and `masks` uint8 [B, H, W, G], whose
        values are classes, 255 where a pixel is not evaluated; a plane that is 255 everywhere is a
        grader who did not annotate this image. Only the last batch may be smaller than the others.
      crop: height and width of the centre crop that is evaluated; None: whole images of any size,
        each a batch of its own.
      num_samples: number of samples N.
      seed: seed of the samples and of the independent pixels.
      num_images: number of images, for the progress bar.
      progress: whether to show the bar.
      training_frequencies: [h, w, C], how often each class was drawn in each pixel of the training
        crops (`class_frequencies`); with it, the row `training_marginal` is computed.
      absent: what a class counts as that two compared maps lack, as of `metrics.gradings`; None:
        `default_absent`.
      numbers: numbers of samples by which the model is scored besides; the first `num_samples` of
        more samples are those of the rows.
      tile: greatest height and width that the model sees of a whole image at once.

    Returns:
      The scores of each image, under the rows above and `model`; with several foreground classes
      those of each class, too. Images whose crop has no pixel to be scored have NaN
      (`Scores.check_scored`: if that is all of them).

    Raises:
      ValueError: if there are no images, or a mask has a class the model does not know.
    """
    num_classes = model.num_classes
    absent = absent or default_absent(num_classes)
    whole = tuple(tile) if crop is None else None
    scorer = _Scorer(model, num_samples, seed, absent, training_frequencies, tuple(numbers), whole)
    parts: list[Part] = []
    with tqdm.tqdm(total=num_images, desc="evaluate", unit="image", disable=not progress) as bar:
        for part in _two_at_once(scorer, _read_all(batches, crop, num_classes)):
            parts.append(part)
            bar.update(len(part.subset_b))
    if not parts:
        raise ValueError("there are no images to evaluate: the split is empty.")
    of_images = {"tile": list(tile)} if crop is None else {"crop": list(crop)}
    settings = {"num_samples": num_samples, "seed": seed, **of_images}
    if num_classes > 2:
        settings["absent"] = absent
    return join_parts(parts, settings)


def default_absent(num_classes: int) -> Absent:
    """What an absent class counts as: 'one' as on LIDC, 'nan' with several foreground classes."""
    return "one" if num_classes <= 2 else "nan"


def class_frequencies(
    batches: Iterable[Examples], *, crop: tuple[int, int] | None, num_classes: int
) -> Float[np.ndarray, "h w C"]:
    """How often each class is drawn in each pixel of the crop: the training-time marginal.

    Args:
      batches: examples as for `evaluate`, usually one pass over the training split.
      crop: height and width of the centre crop; None: whole images, all pixels together.
      num_classes: number of classes C.

    Returns:
      float64 [h, w, C], of whole images [1, 1, C], summing to 1 over the classes; class 0 where
      nothing was drawn at all.

    Raises:
      ValueError: see `evaluate`.
    """
    counts = np.zeros((*(crop or (1, 1)), num_classes))
    pooled = (0, 1) if crop else (0, 1, 2, 3)
    for batch in _read_all(batches, crop, num_classes):
        for label in range(num_classes):
            counts[..., label] += (batch.masks == label).sum(axis=pooled)
    total = counts.sum(axis=-1, keepdims=True)
    nothing = np.eye(num_classes)[0]
    return np.where(total > 0, counts / np.maximum(total, 1), nothing)


class _Batch(NamedTuple):
    """Images [B, h, w, channels] and masks [G, B, h, w] of a batch, cropped."""

    images: Shaped[np.ndarray, "B h w channels"]
    masks: UInt8[np.ndarray, "G B h w"]
    first: int  # the first image's number
    size: int  # of all batches but the last


class Part(NamedTuple):
    """The scores of some images.

    Attributes:
      rows: {row: scores}.
      subset_b: bool [B], the images that every grader marked.
      by_number: {number of samples: {metric: float64 [B]}}.
    """

    rows: Mapping[str, GradedScores]
    subset_b: Bool[np.ndarray, " B"]
    by_number: Mapping[int, Metrics]


@dataclasses.dataclass(frozen=True)
class _Scorer:
    """Scores the images of one batch."""

    model: SegmentationModel
    num_samples: int
    seed: int
    absent: Absent
    training_frequencies: np.ndarray | None
    numbers: tuple[int, ...]
    tile: tuple[int, ...] | None  # of whole images; None: crops of one size

    def __call__(self, batch: _Batch) -> Part:
        gradings = Gradings(batch.masks, self.model.num_classes, self.absent)
        model = self._feeding(batch)
        drawn = model.sample(batch.images, self.num_samples, self.seed, batch.first)
        predictions = self._references(drawn.marginal, batch.first)
        rebuilt = gradings.reconstruction_iou(self._reconstruct(model, batch))
        rows = {
            "model": _both(gradings.agreement(drawn.labels), rebuilt),
            "human": gradings.human(self.num_samples),
            **{row: gradings.agreement(labels) for row, labels in predictions.items()},
        }
        by_number: Mapping[int, Metrics] = {}
        if self.numbers:
            most = model.sample(batch.images, max(self.numbers), self.seed, batch.first)
            by_number = gradings.by_number(most.labels, self.numbers)
        return Part(rows, gradings.marked_by_all(), by_number)

    def _feeding(self, batch: _Batch) -> FullBatches | WholeImages:
        if self.tile is None:
            return FullBatches(self.model, batch.size)
        return WholeImages(self.model, self.tile)

    def _references(self, marginal: np.ndarray, first: int) -> dict[str, np.ndarray]:
        """Labels [N, B, H, W] of the reference rows, from the model's marginal [B, H, W, C]."""
        rows = {"thresholded_mean": marginal.argmax(axis=-1).astype(np.uint8)[None]}
        if self.training_frequencies is not None:
            _check_frequencies(self.training_frequencies, marginal.shape)
            labels = self.training_frequencies.argmax(axis=-1).astype(np.uint8)
            rows["training_marginal"] = np.broadcast_to(labels, (1, *marginal.shape[:3]))
        seed = [self.seed, first]
        rows["independent_pixels"] = independent_pixels(marginal, self.num_samples, seed)
        return rows

    def _reconstruct(self, model: FullBatches | WholeImages, batch: _Batch) -> np.ndarray:
        """The reconstructions [G, B, H, W] of all gradings; ignored pixels go in as class 0."""
        gradings = np.where(batch.masks == IGNORED, 0, batch.masks)
        return np.stack([model.reconstruct(batch.images, grading) for grading in gradings])


def _both(a: GradedScores, b: GradedScores) -> GradedScores:
    """Several metrics of one row."""
    of_class = {label: {**a.of_class[label], **b.of_class[label]} for label in a.of_class}
    return dataclasses.replace(a, metrics={**a.metrics, **b.metrics}, of_class=of_class)


def join_parts(parts: list[Part], settings: Mapping) -> Scores:
    """The scores of all images, one part after the other.

    Args:
      parts: at least one, with the same rows.
      settings: what the scores depend on.
    """

    def join(of_parts: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in of_parts]) for name in of_parts[0]}

    first = parts[0].rows
    rows = {row: join([part.rows[row].metrics for part in parts]) for row in first}
    of_class = {
        label: {row: join([part.rows[row].of_class[label] for part in parts]) for row in first}
        for label in first["model"].of_class
    }
    by_number = {n: join([part.by_number[n] for part in parts]) for n in parts[0].by_number}
    subset_b = np.concatenate([part.subset_b for part in parts])
    levels = {
        row: Levels(*(np.concatenate(v) for v in zip(*_levels(parts, row), strict=True)))
        for row in first
        if first[row].levels is not None
    }
    return Scores(rows, subset_b, settings, of_class=of_class, by_number=by_number, levels=levels)


def _levels(parts: list[Part], row: str) -> list[Levels]:
    return [levels for part in parts if (levels := part.rows[row].levels) is not None]


def _two_at_once(function: Callable[[_In], _Out], arguments: Iterable[_In]) -> Iterator[_Out]:
    """`map` in two threads.

    The CPU scores one batch while the device samples the next; and where the device is a CPU, small
    operations would leave cores idle.
    """
    arguments = iter(arguments)
    yield from map(function, itertools.islice(arguments, 1))  # alone: it compiles
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pending: collections.deque[concurrent.futures.Future[_Out]] = collections.deque()
        for argument in arguments:
            pending.append(pool.submit(function, argument))
            if len(pending) > 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_all(
    batches: Iterable[Examples], crop: tuple[int, int] | None, num_classes: int
) -> Iterator[_Batch]:
    """Crops, brings the graders to the front, and numbers the images."""
    first = size = 0
    for examples in batches:
        first = int(examples.get(NUMBER, [first])[0])
        images, masks = _read(examples, crop, num_classes, first)
        size = size or len(images)
        yield _Batch(images, masks, first, size)
        first += len(images)


def _read(
    batch: Examples, crop: tuple[int, int] | None, num_classes: int, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Crops, and brings the graders to the front: [B, h, w, channels] and [G, B, h, w]."""
    images, masks = batch["image"], batch["masks"]
    if crop:
        images, masks = (np.asarray(centre_crop(maps, crop)) for maps in (images, masks))
    wrong = (masks >= num_classes) & (masks != IGNORED)
    if wrong.any():
        image = first + int(np.argwhere(wrong)[0, 0])
        raise ValueError(
            f"the masks of image {image} have the class {masks[wrong][0]}, but the model knows the "
            f"classes 0 to {num_classes - 1} (and {IGNORED} for pixels to ignore)."
        )
    return images, np.ascontiguousarray(np.moveaxis(masks, -1, 0))


def _check_frequencies(frequencies: np.ndarray, marginal_shape: tuple[int, ...]) -> None:
    if frequencies.shape not in (marginal_shape[1:], (1, 1, marginal_shape[-1])):
        raise ValueError(
            f"training_frequencies have shape {frequencies.shape}: expected {marginal_shape[1:]}, "
            "[h, w, C] of the evaluated crop."
        )
