"""Appendix B.1: how well sets of segmentations agree with the gradings of several graders.

A set of samples and a set of gradings are compared by distances of pairs: of samples with graders,
of samples among themselves, and of graders among themselves. All of them are over the same pixels,
those that no grader of the image ignores; only so do equal sets have no distance, and makes no
difference what samples have in pixels where nothing is scored.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64, Shaped, UInt8

from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.distribution import (
    energy_distance,
    ged_squared,
    hungarian_iou,
    leave_one_out,
)
from hpunet_jax.metrics.iou import Absent, mean_over_classes, pairwise_class_iou

Metrics = Mapping[str, Float64[np.ndarray, " B"]]


@dataclasses.dataclass(frozen=True)
class GradedScores:
    """Scores of some images.

    Attributes:
      metrics: {metric: float64 [B]}, of all foreground classes together.
      of_class: {class: {metric: float64 [B]}}; empty if there is but one foreground class.
    """

    metrics: Metrics
    of_class: Mapping[int, Metrics]


@dataclasses.dataclass(frozen=True)
class Gradings:
    """The segmentations that several graders gave of some images.

    A class that neither map of a pair has counts as `absent` says: 'one' as an IoU of 1, 'nan' not
    at all, so that the many classes that an image lacks do not make bad segmentations look good.
    Maps of which neither has any foreground agree, with an IoU of 1, either way. By the same rule
    images that neither graders nor samples gave a class have no score of that class with 'nan'.

    Images of which no grader annotated any pixel that counts have no score: NaN.

    Attributes:
      masks: uint8 [G, B, H, W], the classes; 255 where a pixel is ignored. A plane that is 255
        everywhere is a grader who did not annotate the image.
      num_classes: number of classes C, of which 0 is background.
      absent: what a class counts as that both maps of a pair lack.
    """

    masks: UInt8[np.ndarray, "G B H W"]
    num_classes: int
    absent: Absent

    @functools.cached_property
    def present(self) -> Bool[np.ndarray, "B G"]:
        """The graders who annotated the image."""
        return np.asarray(self.masks != IGNORED).any(axis=(2, 3)).T

    @functools.cached_property
    def ignored(self) -> Bool[np.ndarray, "B H W"]:
        """The pixels that some grader of the image ignores; all if there is no grader."""
        by_grader = (self.masks == IGNORED) & self.present.T[..., None, None]
        return by_grader.any(axis=0) | ~self.present.any(axis=1)[:, None, None]

    @property
    def scored(self) -> Bool[np.ndarray, " B"]:
        """The images that have a pixel to be scored."""
        return np.asarray(~self.ignored.all(axis=(1, 2)))

    def marked_by_all(self) -> Bool[np.ndarray, " B"]:
        """Subset B (Appendix C): images in which each grader marked something that is scored."""
        marked = ((self.masks != 0) & ~self.ignored).any(axis=(2, 3)).T
        return (marked | ~self.present).all(axis=1) & self.scored

    def agreement(self, samples: Shaped[np.ndarray, "N B H W"]) -> GradedScores:
        """GED² and Hungarian-matched IoU of samples [N, B, H, W] and the graders."""
        cross = self._class_iou(samples, self.masks)
        among_samples = self._class_iou(samples, samples)
        occurs = _occurs(cross, self.present)

        def score(iou: Callable[[np.ndarray], np.ndarray]) -> Metrics:
            ged2 = ged_squared(iou(cross), iou(among_samples), iou(self._among), self.present)
            return {"ged2": ged2, "hungarian_iou": hungarian_iou(iou(cross), self.present)}

        return self._graded(score, occurs)

    def by_number(
        self, samples: Shaped[np.ndarray, "N B H W"], numbers: Sequence[int]
    ) -> dict[int, Metrics]:
        """The agreement of the first n of N samples, with the terms of GED², for each n.

        Args:
          samples: [N, B, H, W].
          numbers: the numbers n, at most N.

        Returns:
          {n: {metric: float64 [B]}}, the metrics of `agreement`, the terms of `energy_distance`
          and `ged2_without_self_pairs`.
        """

        def of_all(class_iou: np.ndarray) -> np.ndarray:
            return _agreed(mean_over_classes(class_iou, self.absent))

        cross = of_all(self._class_iou(samples, self.masks))
        among_samples = of_all(self._class_iou(samples, samples))
        among_graders = of_all(self._among)
        found = {}
        for n in numbers:
            matrices = cross[:, :n], among_samples[:, :n, :n], among_graders, self.present
            terms = energy_distance(*matrices)
            without = energy_distance(*matrices, self_pairs=False)
            metrics = {
                "ged2": terms.ged_squared(),
                "ged2_without_self_pairs": without.ged_squared(),
                **terms._asdict(),
                "hungarian_iou": hungarian_iou(cross[:, :n], self.present),
            }
            found[n] = {k: np.where(self.scored, v, np.nan) for k, v in metrics.items()}
        return found

    def human(self) -> GradedScores:
        """One grader against the others: `distribution.leave_one_out`."""

        def score(iou: Callable[[np.ndarray], np.ndarray]) -> Metrics:
            return leave_one_out(iou(self._among), self.present)._asdict()

        return self._graded(score, _occurs(self._among, self.present))

    def reconstruction_iou(self, rebuilt: Shaped[np.ndarray, "G B H W"]) -> GradedScores:
        """IoU of gradings and their reconstructions [G, B, H, W], averaged over graders."""
        pairs = [
            self._class_iou(one[None], mask[None])[:, 0]
            for one, mask in zip(rebuilt, self.masks, strict=True)
        ]
        of_graders = np.concatenate(pairs, axis=1)  # [B, G, K]
        number = np.maximum(self.present.sum(axis=1), 1)

        def score(iou: Callable[[np.ndarray], np.ndarray]) -> Metrics:
            total = np.where(self.present, iou(of_graders), 0.0).sum(axis=1)
            return {"reconstruction_iou": total / number}

        return self._graded(score, _occurs(of_graders[:, None], self.present))

    @functools.cached_property
    def _among(self) -> np.ndarray:
        """[B, G, G, K]"""
        return self._class_iou(self.masks, self.masks)

    def _class_iou(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return pairwise_class_iou(a, b, range(1, self.num_classes), self.ignored)

    def _graded(
        self, score: Callable[[Callable[[np.ndarray], np.ndarray]], Metrics], occurs: np.ndarray
    ) -> GradedScores:
        """Scores by the mean over classes, and by each class where it `occurs` [B, K]."""

        def where(scored: np.ndarray, metrics: Metrics) -> Metrics:
            return {name: np.where(scored, values, np.nan) for name, values in metrics.items()}

        def of_all(class_iou: np.ndarray) -> np.ndarray:
            return _agreed(mean_over_classes(class_iou, self.absent))

        of_class = {}
        for place in range(self.num_classes - 1 if self.num_classes > 2 else 0):
            has = occurs[:, place] | (self.absent == "one")
            metrics = score(lambda class_iou, place=place: _agreed(class_iou[..., place]))
            of_class[place + 1] = where(self.scored & has, metrics)
        return GradedScores(where(self.scored, score(of_all)), of_class)


def _agreed(iou: np.ndarray) -> np.ndarray:
    """Maps of which neither has what the IoU is of agree."""
    return np.where(np.isnan(iou), 1.0, iou)


def _occurs(cross: np.ndarray, present: np.ndarray) -> np.ndarray:
    """[B, K]: the classes that some map has, from class IoUs [B, N, G, K] with the graders."""
    return (~np.isnan(cross) & present[:, None, :, None]).any(axis=(1, 2))
