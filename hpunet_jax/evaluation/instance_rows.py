"""What the instances that were found in one image are scored by, however they were found.

A row is what an evaluation says of one way of finding instances: of each image the reconstruction
IoU, the Rand error and, where objects count from some size on, the detections behind the average
precision.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.instances import renumber
from hpunet_jax.instances.scores import instance_scores
from hpunet_jax.labels import NO_TARGET
from hpunet_jax.metrics.average_precision import Detections, join, match
from hpunet_jax.metrics.iou import iou
from hpunet_jax.metrics.rand_error import adapted_rand_error


class Row(NamedTuple):
    """What one way of finding instances reaches in an image.

    Attributes:
      reconstruction_iou: of the labels that the truth is painted with; NaN where there is none.
      rand_error: the adapted Rand error.
      detections: behind the average precision; None where it is not asked for.
    """

    reconstruction_iou: float
    rand_error: float
    detections: Detections | None


class Truth(NamedTuple):
    """What instances are compared with.

    Attributes:
      instances: integers [B, H, W] or [H, W], 0 where there is no instance.
      groups: bool, of the same shape: instances that nobody told apart.
      void: bool, of the same shape: pixels that are not evaluated.
    """

    instances: np.ndarray
    groups: np.ndarray
    void: np.ndarray


def score_row(
    instances: np.ndarray,
    truth: Truth,
    target: np.ndarray,
    classes: Sequence[int],
    foreground: np.ndarray,
    *,
    rebuilt: np.ndarray | None = None,
    min_region: int | None = None,
) -> Row:
    """The scores of the instances that were found in an image.

    Args:
      instances: integers [H, W], 0 where there is none.
      truth: what they are compared with, [H, W] each.
      target: integers [H, W]: the truth with a random label for each instance, or `NO_TARGET`.
      classes: the labels that stand for instances.
      foreground: probability [H, W] of the foreground: how sure an instance is.
      rebuilt: a reconstruction [H, W] of `target`; None: the instances, painted with the labels of
        the objects that they are matched with.
      min_region: pixels that an object must have to count in the average precision; None: no
        average precision.

    Returns:
      The scores.
    """
    ignored = target == NO_TARGET
    if rebuilt is None:  # what lies in ignored pixels does not choose an instance's object
        rebuilt = paint(np.where(ignored, 0, instances), truth.instances, target)
    scored = iou(rebuilt[None], target[None], classes, "nan", ignored[None])
    detections = None
    if min_region is not None:
        detections = match(
            instances,
            instance_scores(instances, foreground),
            truth.instances,
            groups=truth.groups,
            void=truth.void,
            min_region=min_region,
        )
    error = adapted_rand_error(instances, truth.instances)
    return Row(float(scored[0]), error, detections)


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


def scores_of_rows(images: Sequence[Mapping[str, Row]], settings: Mapping[str, Any]) -> Scores:
    """The scores of all images.

    Args:
      images: {name of a row: what `score_row` gives} of each image.
      settings: what they were computed with.
    """
    rows, joined = {}, {}
    for row in images[0]:
        of_row = [image[row] for image in images]
        rows[row] = {
            "reconstruction_iou": np.array([one.reconstruction_iou for one in of_row]),
            "rand_error": np.array([one.rand_error for one in of_row]),
        }
        detections = [one.detections for one in of_row if one.detections is not None]
        if detections:
            joined[row] = join(detections)
    return Scores(rows, None, settings, joined)
