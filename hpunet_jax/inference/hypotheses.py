"""A few distinct segmentations that stand for many samples, for a person to pick from (Section 4).

Many near-equal samples are of no use to a person who is to choose; a few that differ are. So the
samples are clustered by their pairwise IoU, and of each cluster its medoid is shown, with the
cluster's share of the samples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are used
from jaxtyping import Float, Integer

from hpunet_jax.metrics.iou import pairwise_iou


class Hypothesis(NamedTuple):
    """A segmentation that stands for a part of the samples.

    Attributes:
      labels: integers [H, W], a sample: the one nearest to all of its part.
      latents: float32 [h, w, d] of each latent scale, which decode to it.
      share: the part's share of all samples, in (0, 1].
      samples: the numbers of the part's samples.
      medoid: the number of the sample that stands for it.
      distance: the mean IoU distance (1 - IoU) of its labels to all samples.
      area: pixels that are not background.
      area_mm2: their area in mm^2; None where the spacing is not known.
      recommended: whether it is the one to take if only one is wanted: that of the largest share,
        of equal ones that of the least mean distance.
    """

    labels: Integer[np.ndarray, "H W"]
    latents: tuple[Float[np.ndarray, "h w d"], ...]
    share: float
    samples: tuple[int, ...]
    medoid: int
    distance: float
    area: int
    area_mm2: float | None
    recommended: bool


def distinct_hypotheses(
    labels: Integer[np.ndarray, "N H W"],
    latents: Sequence[Float[np.ndarray, "N _h _w _d"]],
    classes: Sequence[int],
    at_most: int = 6,
    distinct: float | int = 0.25,
    spacing: tuple[float, float] | None = None,
) -> tuple[Hypothesis, ...]:
    """Groups samples of an image into hypotheses, the likeliest first.

    The groups are those of average linkage on the IoU distance, cut where groups are more than
    `distinct` apart, or higher where these are too many. Samples without any foreground are a group
    of their own (unless `at_most` is 1). The samples' order decides nothing but ties.

    Args:
      labels: the samples.
      latents: their latents.
      classes: the foreground classes; the IoU is averaged over those present in either of two maps.
      at_most: the greatest number of hypotheses.
      distinct: the mean distance above which groups are told apart, between 0 and 1.
      spacing: height and width of a pixel in mm.

    Returns:
      The hypotheses; their shares sum to 1.
    """
    distances = iou_distances(labels, classes)
    empty = np.asarray(~np.isin(labels, classes).any(axis=(1, 2)))
    groups = group_samples(distances, empty, at_most, distinct)
    mean_distances = distances.mean(axis=1)
    medoids = [_medoid(distances, group) for group in groups]
    order = sorted(
        range(len(groups)),
        key=lambda i: (-len(groups[i]), mean_distances[medoids[i]], medoids[i]),
    )
    found = []
    for i in order:
        medoid = medoids[i]
        area = int(np.isin(labels[medoid], classes).sum())
        found.append(
            Hypothesis(
                labels=labels[medoid],
                latents=tuple(z[medoid] for z in latents),
                share=len(groups[i]) / len(labels),
                samples=tuple(int(sample) for sample in groups[i]),
                medoid=medoid,
                distance=float(mean_distances[medoid]),
                area=area,
                area_mm2=None if spacing is None else area * spacing[0] * spacing[1],
                recommended=not found,
            )
        )
    return tuple(found)


def iou_distances(
    labels: Integer[np.ndarray, "N H W"], classes: Sequence[int]
) -> Float[np.ndarray, "N N"]:
    """1 - IoU of each two samples, averaged over the classes that either has; 0 where none has."""
    if not len(classes):
        return np.zeros((len(labels), len(labels)))
    iou = pairwise_iou(labels[:, None], labels[:, None], classes, absent="nan")[0]
    return 1 - np.where(np.isnan(iou), 1.0, iou)


def group_samples(
    distances: Float[np.ndarray, "N N"], empty: np.ndarray, at_most: int, distinct: float | int
) -> list[np.ndarray]:
    """Groups of samples, each as the ascending numbers of its samples.

    Args:
      distances: of each two samples, symmetric.
      empty: bool [N], the samples that are a group of their own, unless `at_most` is 1.
      at_most: the greatest number of groups.
      distinct: the mean distance above which groups are told apart.

    Returns:
      The groups, in no particular order.
    """
    if at_most == 1:
        return [np.arange(len(distances))]
    groups = [np.flatnonzero(empty)] if empty.any() else []
    rest = np.flatnonzero(~empty)
    if len(rest) < 2:
        return groups + ([rest] if len(rest) else [])
    hierarchy, squareform = scipy.cluster.hierarchy, scipy.spatial.distance.squareform
    tree = hierarchy.average(squareform(distances[np.ix_(rest, rest)], checks=False))
    numbers = hierarchy.fcluster(tree, distinct, "distance")
    if numbers.max() > at_most - len(groups):
        numbers = hierarchy.fcluster(tree, at_most - len(groups), "maxclust")
    return groups + [rest[numbers == number] for number in np.unique(numbers)]


def _medoid(distances: np.ndarray, group: np.ndarray) -> int:
    """The sample of a group that is nearest to all of the group, the first of equal ones."""
    return int(group[distances[np.ix_(group, group)].sum(axis=1).argmin()])
