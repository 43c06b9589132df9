"""Appendix B.2: intersection over union of label maps, per image, foreground classes only.

A class that two maps agree to be absent has no IoU (0 / 0). What it counts as is the task's choice:
'one' on LIDC, where an empty grading is a finding of its own; 'nan' on SNEMI3D and Cityscapes,
where such a class does not enter the mean over classes. A class that only one of the maps has
counts as 0 either way.
"""

from collections.abc import Sequence
from typing import Literal, no_type_check

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from hpunet_jax.arguments import check_array
from hpunet_jax.labels import IGNORED

Absent = Literal["one", "nan"]

_PIECE = 1 << 22  # pixels that are counted at once


@no_type_check
def pairwise_iou(
    a: Shaped[np.ndarray, "N B H W"],
    b: Shaped[np.ndarray, "G B H W"],
    classes: Sequence[int] = (1,),
    absent: Absent = "one",
    ignore: Bool[np.ndarray, "B H W"] | None = None,
) -> Float64[np.ndarray, "B N G"]:
    """IoU of every map of one set with every map of another, image by image (Appendix B.2).

    Pixels labelled 255 in either map of a pair are left out of that pair alone. Where distances of
    several pairs are compared, as in the GED, all of them must be over the same pixels: give
    `ignore`, as `gradings.Gradings` does.

    Args:
      a: integers [N, B, H, W], label maps.
      b: integers [G, B, H, W], label maps of the same images.
      classes: the stochastic foreground classes; the IoU is averaged over them.
      absent: what a class absent in both maps counts as: 'one' for 1, 'nan' to leave it out of
        the mean over classes.
      ignore: bool [B, H, W], pixels that are not evaluated; None evaluates all.

    Returns:
      float64 [B, N, G]; NaN only with absent='nan', for pairs without any of the classes.

    Raises:
      ValueError: for shapes that do not fit together, numbers that are no integers, negative
        labels, or an unknown `absent`.
    """
    return mean_over_classes(pairwise_class_iou(a, b, classes, ignore), absent)


@no_type_check
def pairwise_class_iou(
    a: Shaped[np.ndarray, "N B H W"],
    b: Shaped[np.ndarray, "G B H W"],
    classes: Sequence[int] = (1,),
    ignore: Bool[np.ndarray, "B H W"] | None = None,
) -> Float64[np.ndarray, "B N G K"]:
    """The same for each of K classes.

    Intersections of all pairs of an image are one matrix product for each class.

    Args:
      a: see `pairwise_iou`.
      b: see `pairwise_iou`.
      classes: the K classes.
      ignore: see `pairwise_iou`.

    Returns:
      float64 [B, N, G, K]; NaN where neither map has the class.

    Raises:
      ValueError: for shapes that do not fit together, numbers that are no integers, or negative
        labels.
    """
    a, b = (
        check_array(name, maps, "iub", (None,) * np.ndim(maps), "[maps, B, H, W]")
        for name, maps in (("a", a), ("b", b))
    )
    if a.ndim != 4 or b.ndim != 4 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"label maps have shapes {a.shape} and {b.shape}: expected [N, B, H, W] and "
            "[G, B, H, W] of the same images."
        )
    if ignore is not None and np.shape(ignore) != a.shape[1:]:
        raise ValueError(
            f"the ignore mask has shape {np.shape(ignore)}: expected {a.shape[1:]}, [B, H, W] of "
            "the label maps."
        )
    if not len(classes) or IGNORED in classes:
        raise ValueError(
            f"classes is {classes!r}: expected at least one foreground class, and not {IGNORED}, "
            "which marks pixels that are not evaluated."
        )
    result = np.empty((a.shape[1], a.shape[0], b.shape[0], len(classes)))
    for image in range(a.shape[1]):  # one at a time: it fits the cache, whatever the batch size
        maps_a = a[:, image].reshape(a.shape[0], -1)
        maps_b = b[:, image].reshape(b.shape[0], -1)
        if ignore is not None:
            keep = ~np.asarray(ignore[image], bool).ravel()
            maps_a, maps_b = maps_a[:, keep], maps_b[:, keep]
        _check_not_negative("a", maps_a)
        _check_not_negative("b", maps_b)
        result[image] = _pairs_of_one_image(maps_a, maps_b, classes)
    return result


def dice_from_iou(iou: Float64[np.ndarray, "*pairs"]) -> Float64[np.ndarray, "*pairs"]:
    """The Dice coefficients 2 |A ∩ B| / (|A| + |B|) of pairs of areas: 2 J / (1 + J).

    Args:
      iou: the pairs' IoUs J, of a single class each (the mean over classes is another).

    Returns:
      float64 of the same shape; NaN where the IoU is.
    """
    return 2 * iou / (1 + iou)


@no_type_check
def mean_over_classes(
    class_iou: Float64[np.ndarray, "*pairs K"], absent: Absent
) -> Float64[np.ndarray, "*pairs"]:
    """The mean of the IoUs of K classes.

    Args:
      class_iou: [..., K], NaN for classes absent in both maps.
      absent: what those count as, see `pairwise_iou`.

    Returns:
      float64 [...]; NaN only with absent='nan', where all classes are absent.

    Raises:
      ValueError: for an unknown `absent`.
    """
    if absent not in ("one", "nan"):
        raise ValueError(f"absent is {absent!r}: expected 'one' or 'nan'.")
    missing = np.isnan(class_iou)
    counted = (~missing | (absent == "one")).sum(axis=-1)
    total = np.where(missing, float(absent == "one"), class_iou).sum(axis=-1)
    return np.divide(total, counted, out=np.full(total.shape, np.nan), where=counted > 0)


@no_type_check
def iou(
    a: Shaped[np.ndarray, "B H W"],
    b: Shaped[np.ndarray, "B H W"],
    classes: Sequence[int] = (1,),
    absent: Absent = "one",
    ignore: Bool[np.ndarray, "B H W"] | None = None,
) -> Float64[np.ndarray, " B"]:
    """IoU of two label maps for each image, e.g. of a grading and its reconstruction.

    Args:
      a: integers [B, H, W].
      b: integers [B, H, W].
      classes: see `pairwise_iou`.
      absent: see `pairwise_iou`.
      ignore: see `pairwise_iou`.

    Returns:
      float64 [B].

    Raises:
      ValueError: see `pairwise_iou`.
    """
    return pairwise_iou(np.asarray(a)[None], np.asarray(b)[None], classes, absent, ignore)[:, 0, 0]


def _check_not_negative(name: str, maps: np.ndarray) -> None:
    if maps.dtype.kind == "i" and maps.min(initial=0) < 0:
        raise ValueError(
            f"{name} holds the label {maps.min()} in pixels that are evaluated: expected classes "
            f"of 0 or more, and {IGNORED} or `ignore` for pixels that are not."
        )


def _pairs_of_one_image(a: np.ndarray, b: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """a: [N, pixels], b: [G, pixels] -> [N, G, K]."""
    # float32 counts are exact up to 2^24 pixels, and its products are the fast ones.
    starts = range(0, max(a.shape[1], 1), _PIECE)
    pieces = [_count_pairs(a[:, i : i + _PIECE], b[:, i : i + _PIECE], classes) for i in starts]
    intersection, union = np.sum(pieces, axis=0)
    return np.divide(intersection, union, out=np.full_like(union, np.nan), where=union > 0)


def _count_pairs(a: np.ndarray, b: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Pixels of intersections and unions, float64 [2, N, G, K]."""
    valid_a, valid_b = a != IGNORED, b != IGNORED
    everything_valid = valid_a.all() and valid_b.all()
    if not everything_valid:
        valid_a, valid_b = valid_a.astype(np.float32), valid_b.astype(np.float32)

    counts = np.empty((2, len(a), len(b), len(classes)))
    for place, label in enumerate(classes):
        in_a, in_b = (a == label).astype(np.float32), (b == label).astype(np.float32)
        intersection = (in_a @ in_b.T).astype(np.float64)
        if everything_valid:
            areas = in_a.sum(axis=1)[:, None] + in_b.sum(axis=1)[None, :]
        else:
            areas = in_a @ valid_b.T + valid_a @ in_b.T
        counts[..., place] = intersection, areas - intersection
    return counts
