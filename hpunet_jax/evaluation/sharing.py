"""Several processes share an evaluation: each scores a part of the images, process 0 joins them.

A part are batches that follow each other, whose images keep their numbers in the split: samples
and scores are those of a single process.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.metrics.average_precision import join
from hpunet_jax.metrics.calibration import Levels

NUMBER = "number"
"""In a batch of examples: the numbers of its images; where missing, they are counted from 0."""

Examples = Mapping[str, np.ndarray]


class Parts(NamedTuple):
    """How the batches of an evaluation are shared.

    Attributes:
      num_batches: how many batches there are.
      count: the number of parts, which have as many batches each, but for the last ones.
    """

    num_batches: int
    count: int

    @property
    def length(self) -> int:
        """Batches of a part."""
        return max(1, -(-self.num_batches // self.count))

    @property
    def filled(self) -> int:
        """How many parts have any batch; an evaluation without images is one part."""
        return max(1, -(-self.num_batches // self.length))

    def batches(self, batches: Iterable[Examples], part: int) -> Iterator[Examples]:
        """The batches of a part, with the numbers of their images.

        Args:
          batches: all batches: examples with `image` [B, ...].
          part: the part's number, from 0.
        """
        start = part * self.length
        number = 0
        for place, batch in enumerate(itertools.islice(batches, start + self.length)):
            images = len(batch["image"])
            if place >= start:
                yield {**batch, NUMBER: number + np.arange(images)}
            number += images


def joined(parts: Sequence[Scores]) -> Scores:
    """The scores of all images, of parts that follow each other.

    Args:
      parts: at least one; all of the same rows, metrics and settings.
    """
    first = parts[0]

    def together(of_parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in of_parts]) for name in of_parts[0]}

    def rows(of_parts: Sequence[Mapping]) -> dict[str, dict[str, np.ndarray]]:
        return {row: together([part[row] for part in of_parts]) for row in of_parts[0]}

    subset_b = None
    if first.subset_b is not None:
        subset_b = np.concatenate([part.subset_b for part in parts])
    return Scores(
        rows([part.rows for part in parts]),
        subset_b,
        first.settings,
        {row: join([part.detections[row] for part in parts]) for row in first.detections},
        {label: rows([part.of_class[label] for part in parts]) for label in first.of_class},
        {n: together([part.by_number[n] for part in parts]) for n in first.by_number},
        {
            row: Levels(*map(np.concatenate, zip(*(p.levels[row] for p in parts), strict=True)))
            for row in first.levels
        },
    )
