"""Appendix B.3, "Average Precision": how sure the samples are of each instance."""

from typing import NamedTuple

import numpy as np
import scipy.ndimage

from hpunet_jax.labels import numbered


class InstanceTable(NamedTuple):
    """What is known of the instances of one image, one entry each, by ascending id.

    Attributes:
      ids: int64 [I].
      areas: int64 [I], in pixels.
      boxes: int64 [I, 4], the least box around each: left, top, width and height.
      confidences: float64 [I], see `instance_scores`.
      agreements: float64 [I], see `sample_agreement`.
    """

    ids: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    confidences: np.ndarray
    agreements: np.ndarray


def foreground_probability(probabilities: np.ndarray, classes: range) -> np.ndarray:
    """The probability that a pixel belongs to any instance, averaged over samples.

    Args:
      probabilities: [N, ..., C], the softmax of each sample.
      classes: the stochastic classes, consecutive: 1 ... 15 on SNEMI3D, the car classes on
        Cityscapes.

    Returns:
      float64 [...].
    """
    stochastic = probabilities[..., classes.start : classes.stop]
    return stochastic.sum(axis=-1, dtype=np.float64).mean(axis=0)


def instance_scores(instances: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """The confidence in each instance: the mean softmax of the stochastic classes (Appendix B.3).

    The mean is over samples and pixels of the instance. The probabilities of the stochastic classes
    are added up, since they stand for one object under different names; averaging them would divide
    all scores by the same number, and average precision depends on their order alone.

    Args:
      instances: integers [H, W], 0 for background.
      foreground: [H, W], from `foreground_probability`.

    Returns:
      float64 [I] in [0, 1], for the ids that occur, ascending.

    Raises:
      ValueError: if the shapes differ.
    """
    instances, foreground = np.asarray(instances), np.asarray(foreground)
    if instances.shape != foreground.shape:
        raise ValueError(
            f"instances have shape {instances.shape}, but foreground has {foreground.shape}: "
            "expected the same."
        )
    ids, number = numbered(instances)
    sums = np.bincount(number, weights=foreground.ravel(), minlength=len(ids) + 1)[1:]
    return sums / np.bincount(number, minlength=len(ids) + 1)[1:]


def sample_agreement(instances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far the samples agree that an instance is one object.

    In each sample, it is the fraction of the instance's pixels that have the instance's most
    frequent label but background; the mean is over samples. 1 says that each sample gave all pixels
    of it the same label. An instance that is part of two objects, or that some samples do not have
    at all, has less.

    Args:
      instances: integers [H, W], 0 for background.
      labels: integers [N, H, W], the samples; 0 for background.

    Returns:
      float64 [I] in [0, 1], for the ids that occur, ascending.

    Raises:
      ValueError: if the shapes differ.
    """
    instances, labels = np.asarray(instances), np.asarray(labels)
    if labels.shape[1:] != instances.shape:
        raise ValueError(
            f"instances have shape {instances.shape}, but the samples' labels {labels.shape}: "
            "expected [H, W] and [N, H, W]."
        )
    ids, number = numbered(instances)
    inside = number > 0
    number, width = number[inside] - 1, int(labels.max(initial=0)) + 1
    total = np.zeros(len(ids))
    for sample in labels:
        pairs = number * width + sample.ravel()[inside]
        counts = np.bincount(pairs, minlength=len(ids) * width).reshape(len(ids), width)
        total += counts[:, 1:].max(axis=1, initial=0)
    return total / (len(labels) * np.maximum(np.bincount(number, minlength=len(ids)), 1))


def instance_table(
    instances: np.ndarray, labels: np.ndarray, foreground: np.ndarray
) -> InstanceTable:
    """What is known of the instances of one image.

    Args:
      instances: integers [H, W], 0 for background.
      labels: integers [N, H, W], the samples; 0 for background.
      foreground: [H, W], from `foreground_probability`.

    Returns:
      The table.

    Raises:
      ValueError: if the shapes do not fit.
    """
    ids, number = numbered(np.asarray(instances))
    slices = scipy.ndimage.find_objects(number.reshape(np.shape(instances)), len(ids))
    boxes = [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in slices[: len(ids)]]
    return InstanceTable(
        ids.astype(np.int64),
        np.bincount(number, minlength=len(ids) + 1)[1:],
        np.array(boxes, np.int64).reshape(-1, 4),
        instance_scores(instances, foreground),
        sample_agreement(instances, labels),
    )
