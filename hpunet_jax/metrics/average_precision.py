"""Appendix B.3: average precision of instances by the protocol of Cityscapes.

Numbers agree with `cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling` for predictions
that do not overlap one another, such as clusters. As the truth does not overlap either and every
overlap asked for is above one half, an instance then matches one object at most, and the reverse.
"""

from collections.abc import Sequence
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Float, Float64, Int8, Int64, Integer, Shaped

from hpunet_jax.labels import numbered
from hpunet_jax.metrics.bootstrap import Estimate, bootstrap_counts

OVERLAPS = np.arange(0.5, 1.0, 0.05)
"""The IoUs that a match must exceed, 0.50 to 0.95."""

MIN_REGION = 100
"""Pixels that an object must have to count, at Cityscapes' full resolution."""

TRUE, FALSE, LEFT_OUT = 1, 0, -1

_CHUNK = 1 << 22  # values of a bootstrapped curve that are held at once


class Detections(NamedTuple):
    """Predicted instances of some images and what they matched.

    Attributes:
      image: int64 [D], the number of the image.
      score: float64 [D], the confidence.
      outcome: int8 [D, 10], at each overlap: 1 for a match, 0 for a false positive, -1 if left out,
        on a group, on what is ignored or on an object too small to count.
      num_objects: int64 [images], the objects that count.
    """

    image: Int64[np.ndarray, " D"]
    score: Float64[np.ndarray, " D"]
    outcome: Int8[np.ndarray, "D overlaps"]
    num_objects: Int64[np.ndarray, " images"]


@no_type_check
def match(
    instances: Integer[np.ndarray, "H W"],
    scores: Sequence[float] | Float[np.ndarray, " I"],
    truth: Integer[np.ndarray, "H W"],
    *,
    groups: Bool[np.ndarray, "H W"] | None = None,
    void: Bool[np.ndarray, "H W"] | None = None,
    min_region: int = MIN_REGION,
) -> Detections:
    """Matches the instances of one class in one image with its objects.

    An instance that matches neither an object nor a group is a false positive, unless more of it
    than the overlap asked for lies on void, on groups and on objects too small to count. As in the
    official script, its pixels on void are part of its area: to leave them out of everything, set
    the instances to 0 there.

    Args:
      instances: integers [H, W], 0 for background.
      scores: [I], the confidence in each instance that occurs, by ascending id.
      truth: integers [H, W], 0 for no object.
      groups: bool [H, W], objects that nobody told apart; all of them are taken for one.
      void: bool [H, W], pixels that are not evaluated.
      min_region: pixels that an object must have to count.

    Returns:
      The detections of this image, with the number 0.

    Raises:
      ValueError: if shapes do not fit together, or a score is NaN.
    """
    nowhere = np.zeros(np.shape(truth), bool)
    groups = nowhere if groups is None else np.asarray(groups, bool)
    void = nowhere if void is None else np.asarray(void, bool)
    shapes = {np.shape(array) for array in (instances, truth, groups, void)}
    if len(shapes) != 1:
        raise ValueError(f"the maps have the shapes {sorted(shapes)}: expected the same.")
    ids, instance = numbered(np.asarray(instances))
    if np.shape(scores) != (len(ids),):
        raise ValueError(
            f"there are {np.shape(scores)} scores, but {len(ids)} instances: expected one each."
        )
    if np.isnan(np.asarray(scores, np.float64)).any():
        raise ValueError("scores hold NaN: instances are ranked by them.")
    objects, thing = numbered(np.asarray(truth))
    group = len(objects) + 1
    thing = np.where(groups.ravel(), group, thing)

    # Rows are instances; columns are objects, and the group last.
    shared = _shared_pixels(instance, thing, (len(ids) + 1, group + 1))
    areas, sizes = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    shared = shared[1:, 1:]
    overlaps = shared / np.maximum(areas[:, None] + sizes - shared, 1)
    matches = overlaps[..., None] > OVERLAPS  # [instances, objects and group, 10]

    small = sizes < min_region
    countable = ~small
    countable[-1] = False
    on_void = np.bincount(instance, weights=void.ravel(), minlength=len(ids) + 1)[1:]
    # The official script counts pixels on small groups both as group and as small.
    not_evaluated = on_void + shared[:, -1] + shared[:, small].sum(axis=1)
    left_out = (not_evaluated / np.maximum(areas, 1))[:, None] > OVERLAPS

    outcome = np.where(left_out, LEFT_OUT, FALSE)
    outcome[matches.any(axis=1)] = LEFT_OUT
    outcome[matches[:, countable].any(axis=1)] = TRUE
    return Detections(
        np.zeros(len(ids), np.int64),
        np.asarray(scores, np.float64),
        outcome.astype(np.int8),
        np.array([countable.sum()]),
    )


def _shared_pixels(a: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How many pixels have number i in one map and j in another: int64 of a shape [A, B]."""
    return np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)


def join(parts: Sequence[Detections]) -> Detections:
    """The detections of several sets of images, numbered one after the other.

    Args:
      parts: at least one.

    Returns:
      The detections of all.
    """
    counts = [len(part.num_objects) for part in parts]
    starts = np.cumsum([0, *counts[:-1]])
    image = np.concatenate([part.image + s for part, s in zip(parts, starts, strict=True)])
    others = (np.concatenate([part[i] for part in parts]) for i in range(1, len(parts[0])))
    return Detections(image, *others)


def average_precision(
    detections: Detections, counts: Shaped[np.ndarray, "*draws images"] | None = None
) -> Float64[np.ndarray, "*draws overlaps"]:
    """Area under the curve of precision over recall, for each overlap.

    The curve runs over the different scores and ends at recall 0 with precision 1; the area is that
    of the trapezoids between its points.

    Args:
      detections: those of all images.
      counts: [..., images], how often each image is counted, e.g. by a bootstrap; None: once.

    Returns:
      float64 [..., 10]; 0 without any match, NaN where there is no object.
    """
    if counts is None:
        counts = np.ones(len(detections.num_objects))
    order = np.argsort(-detections.score, kind="stable")
    score, outcome = detections.score[order], detections.outcome[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1) if len(score) else []
    weights = np.asarray(counts, np.float64)[..., detections.image[order]]
    num_objects = (counts @ detections.num_objects)[..., None]

    areas = []
    for column in outcome.T:
        matched = np.cumsum(weights * (column == TRUE), axis=-1)[..., ends]
        found = np.cumsum(weights * (column != LEFT_OUT), axis=-1)[..., ends]
        precision = np.divide(matched, found, out=np.ones_like(found), where=found > 0)
        recall = np.divide(
            matched, num_objects, out=np.full(matched.shape, np.nan), where=num_objects > 0
        )
        width = np.diff(recall, axis=-1, prepend=0.0)
        before = np.concatenate([np.ones_like(precision[..., :1]), precision[..., :-1]], axis=-1)
        areas.append((width * (precision + before) / 2).sum(axis=-1))
    return np.where(num_objects > 0, np.stack(areas, axis=-1), np.nan)


def estimate_average_precision(
    runs: Sequence[Detections], num_bootstraps: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """AP and AP50 of the whole data set, and how they vary when images are drawn with replacement.

    Args:
      runs: detections of one or more runs on the same images.
      num_bootstraps: number of bootstraps of each run.
      seed: seed of the draws, which are those of `bootstrap` for equal numbers of images.

    Returns:
      `average_precision`, the mean over overlaps, and `average_precision_50`.
    """
    num_images = len(runs[0].num_objects)
    of_all = np.stack([average_precision(run) for run in runs])
    counts = bootstrap_counts(num_images, num_bootstraps, seed)
    drawn = np.concatenate([_in_chunks(run, counts) for run in runs])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]  # a bootstrap may draw no image with an object

    def estimate(chosen: slice) -> Estimate:
        std = drawn[:, chosen].mean(axis=1).std() if len(drawn) else np.nan
        return Estimate(float(of_all[:, chosen].mean()), float(std), num_images)

    return {
        "average_precision": estimate(slice(None)),
        "average_precision_50": estimate(slice(1)),
    }


def _in_chunks(detections: Detections, counts: np.ndarray) -> np.ndarray:
    parts = -(-counts.shape[0] * max(1, len(detections.score)) // _CHUNK)
    parts = min(parts, counts.shape[0])
    return np.concatenate([average_precision(detections, c) for c in np.array_split(counts, parts)])
