"""Appendix G, Algorithm 1: greedy clustering of pixels by the Hamming distance of their samples.

Pixels of one object take the same label in every sample, whichever label that is; pixels of two
objects differ in most samples. The N labels of a pixel are packed into few 64-bit words (its
code), and equal codes are looked at once. In one-hot form, a differing label makes two mismatches,
so the Hamming distance of Algorithm 1 is twice the number of samples in which two pixels differ.
"""

from collections.abc import Sequence
from typing import NamedTuple, no_type_check

import numpy as np

from hpunet_jax.arguments import check_integer

_WORD = 64  # bits


@no_type_check  # it checks by itself, with sentences
def hamming_cluster(
    labels: np.ndarray | Sequence[np.ndarray],
    threshold: int,
    background: int | None = 0,
    seed: int | Sequence[int] = 0,
) -> np.ndarray:
    """Clusters pixels whose labels vary together across samples (Algorithm 1).

    The background prototype comes first; after it, each prototype is a pixel drawn uniformly from
    those not assigned yet, and takes all of them within the threshold. The draws are made up front:
    pixels stand in a random order, and a prototype is the first in it that is not assigned, which
    is the same as drawing anew each time.

    Its time grows with the number of different codes and of clusters. Samples of a trained network
    have few of both; of noise, where each pixel is a cluster of its own, they are the number of
    pixels, and the time grows with its square.

    Args:
      labels: integers [N, H, W], the label of each pixel in N samples; 0 or more.
      threshold: the paper's alpha, the greatest Hamming distance of one-hot vectors within a
        cluster: 16 on SNEMI3D (16 samples), 32 on Cityscapes (32 samples).
      background: the label of the background; None clusters all pixels alike, without it.
      seed: seed of the order of the prototypes, an integer or several.

    Returns:
      int32 [H, W], 0 for background, else the number of the cluster, from 1 in the order of the
      prototypes. With background=None, no pixel is 0.

    Raises:
      ValueError: for samples of unequal size, labels that are negative or no integers, a negative
        threshold, or more pixels than int32 can number.
    """
    labels = _checked_stack(labels)
    threshold = check_integer("threshold", threshold, 0)
    if background is not None:
        background = check_integer("background", background, 0)
    differences = threshold // 2  # samples that may differ
    size = labels.shape[1:]
    if not np.prod(size):
        return np.zeros(size, np.int32)

    packing = Packing.of(max(int(labels.max()), background or 0), len(labels))
    codes, code_of_pixel = _unique_codes(packing.pack(labels.reshape(len(labels), -1)))
    cluster_of_code = np.full(codes.shape[1], -1, np.int32)
    remaining = np.arange(codes.shape[1])
    if background is not None:
        prototype = packing.pack(np.full((len(labels), 1), background))
        near = packing.count_differences(codes, prototype) <= differences
        cluster_of_code[near] = 0
        remaining = remaining[~near]

    first = _first_in_order(code_of_pixel, codes.shape[1], np.random.default_rng(seed))
    remaining = remaining[np.argsort(first[remaining])]
    codes = codes[:, remaining]
    cluster = 0
    while len(remaining):
        cluster += 1
        near = packing.count_differences(codes, codes[:, :1]) <= differences
        cluster_of_code[remaining[near]] = cluster
        remaining, codes = remaining[~near], codes[:, ~near]
    return cluster_of_code[code_of_pixel].reshape(size)


def only_classes(labels: np.ndarray, classes: range, background: int = 0) -> np.ndarray:
    """Turns all other classes into background, so that only instances are clustered.

    On Cityscapes, samples also flip between road and sidewalk, or bus and truck. Left as they are,
    such regions would be clusters of their own; with every class but car made background in each
    sample, they are background throughout, and only the cars are left to be told apart.

    Args:
      labels: integers of any shape.
      classes: the stochastic classes, consecutive: 1 ... 15 on SNEMI3D, the car classes on
        Cityscapes.
      background: what the others become.

    Returns:
      Of the shape and type of `labels`.
    """
    labels = np.asarray(labels)
    inside = (labels >= classes.start) & (labels < classes.stop)
    return np.where(inside, labels, labels.dtype.type(background))


class Packing(NamedTuple):
    """How the N labels of a pixel lie in 64-bit words.

    Attributes:
      bits: bits of a label.
      num_samples: number of labels N.
    """

    bits: int
    num_samples: int

    @classmethod
    def of(cls, greatest: int, num_samples: int) -> "Packing":
        """The tightest packing for labels up to `greatest`."""
        return cls(max(1, greatest.bit_length()), num_samples)

    def pack(self, labels: np.ndarray) -> np.ndarray:
        """Labels [N, pixels] as words, uint64 [words, pixels]."""
        per_word = _WORD // self.bits
        words = np.zeros((-(-self.num_samples // per_word), labels.shape[1]), np.uint64)
        for sample, row in enumerate(labels):
            word, place = divmod(sample, per_word)
            words[word] |= row.astype(np.uint64) << np.uint64(place * self.bits)
        return words

    def count_differences(self, codes: np.ndarray, prototype: np.ndarray) -> np.ndarray:
        """In how many samples each code differs from the prototype.

        Args:
          codes: uint64 [words, codes].
          prototype: uint64 [words, 1].

        Returns:
          Integers [codes].
        """
        differing = codes ^ prototype
        # Afterwards, the lowest bit of each label's place says whether the labels differ.
        spread = differing.copy()
        for shift in range(1, self.bits):
            spread |= differing >> np.uint64(shift)
        places = sum(1 << place for place in range(0, _WORD - self.bits + 1, self.bits))
        return np.bitwise_count(spread & np.uint64(places)).sum(axis=0, dtype=np.int64)


def _checked_stack(labels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    shapes = sorted({np.shape(sample) for sample in labels})
    if len(shapes) != 1 or len(shapes[0]) != 2:
        found = " and ".join(map(str, shapes)) if shapes else "none"
        raise ValueError(
            "labels must be a stack of samples of one size, integers [N, H, W]; the shapes of the "
            f"samples are {found}."
        )
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels are {labels.dtype}: expected integers, such as the argmax of probabilities."
        )
    height, width = labels.shape[1:]
    if height * width > np.iinfo(np.int32).max:
        raise ValueError(
            f"the samples have {height}x{width} pixels, which may make more clusters than int32 "
            "can number: cluster the image in parts."
        )
    if labels.size and labels.min() < 0:
        raise ValueError(f"labels go down to {labels.min()}: expected 0 or more.")
    return labels


def _unique_codes(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different codes, uint64 [words, codes], and which of them each pixel has, [pixels].

    Words are joined one after the other by the numbers of the codes so far, which sorts integers
    only.
    """
    number = np.zeros(words.shape[1], np.int64)
    for word in words:
        values, of_pixel = np.unique(word, return_inverse=True)
        _, number = np.unique(number * len(values) + of_pixel, return_inverse=True)
    some_pixel = np.zeros(number.max() + 1, np.int64)
    some_pixel[number] = np.arange(len(number))
    return words[:, some_pixel], number


def _first_in_order(
    code_of_pixel: np.ndarray, num_codes: int, rng: np.random.Generator
) -> np.ndarray:
    """The place of each code's first pixel in a random order of the pixels, [codes]."""
    order = rng.permutation(len(code_of_pixel))
    first = np.empty(num_codes, np.int64)
    # Where a code is assigned several times, the last value stays: that of its first pixel.
    first[code_of_pixel[order[::-1]]] = np.arange(len(order))[::-1]
    return first
