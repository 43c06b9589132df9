"""Appendix B.1: how well sets of segmentations agree with the gradings of several graders.

A set of samples and a set of gradings are compared by distances of pairs: of samples with graders,
of samples among themselves, and of graders among themselves; and, pixel by pixel, by how often they
have each class. All of it is over the same pixels, those that no grader of the image ignores; only
so do equal sets have no distance, and makes no difference what samples have in pixels where nothing
is scored. The scores of an image are to the last digit the same whatever images are beside it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64, Shaped, UInt8

from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.calibration import Levels, count_levels
from hpunet_jax.metrics.distribution import (
    best_of_n,
    energy_distance,
    hungarian_iou,
    leave_one_out,
)
from hpunet_jax.metrics.frequencies import brier_score, uncertainty_correlation
from hpunet_jax.metrics.iou import Absent, dice_from_iou, mean_over_classes, pairwise_class_iou

Metrics = Mapping[str, Float64[np.ndarray, " B"]]

# What makes one IoU, or Dice coefficient, of those of all classes: [..., K] -> [...].
_Combine = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class GradedScores:
    """Scores of some images.

    Attributes:
      metrics: {metric: float64 [B]}, of all foreground classes together.
      of_class: {class: {metric: float64 [B]}}; empty if there is but one foreground class.
      levels: what calibration errors are made of; None where there are no samples.
    """

    metrics: Metrics
    of_class: Mapping[int, Metrics]
    levels: Levels | None = None


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
        return np.any(self.masks != IGNORED, axis=(2, 3)).T

    @functools.cached_property
    def ignored(self) -> Bool[np.ndarray, "B H W"]:
        """The pixels that some grader of the image ignores; all if there is no grader."""
        by_grader = (self.masks == IGNORED) & self.present.T[..., None, None]
        return by_grader.any(axis=0) | ~np.any(self.present, axis=1)[:, None, None]

    @property
    def scored(self) -> Bool[np.ndarray, " B"]:
        """The images that have a pixel to be scored."""
        return np.asarray(~self.ignored.all(axis=(1, 2)))

    def marked_by_all(self) -> Bool[np.ndarray, " B"]:
        """Subset B (Appendix C): images in which each grader marked something that is scored."""
        marked = ((self.masks != 0) & ~self.ignored).any(axis=(2, 3)).T
        return (marked | ~self.present).all(axis=1) & self.scored

    def agreement(self, samples: Shaped[np.ndarray, "N B H W"]) -> GradedScores:
        """How well samples [N, B, H, W] and the graders agree.

        The metrics are

          ged2, hungarian_iou             see `metrics.distribution`
          ged2_without_self_pairs         the U-statistic of GED²; NaN for a single sample
          to_graders, among_samples, among_graders    the terms of `ged2`
          best_of_n, matched_dice         the same matrices of Dice coefficients
          confidence                      1 - the mean distance of different samples
          brier, uncertainty_correlation  see `metrics.frequencies`; of all classes together only
        """
        cross = self._class_iou(samples, self.masks)
        among_samples = self._class_iou(samples, samples)

        def score(combine: _Combine) -> Metrics:
            matrices = combine(cross), combine(among_samples), combine(self._among), self.present
            return _agreement(*matrices, dice=combine(dice_from_iou(cross)))

        graded = self._graded(score, _occurs(cross, self.present))
        frequencies, levels = self._compare_frequencies(samples)
        metrics = {**graded.metrics, **self._where_scored(frequencies)}
        return dataclasses.replace(graded, metrics=metrics, levels=levels)

    def by_number(
        self, samples: Shaped[np.ndarray, "N B H W"], numbers: Sequence[int]
    ) -> dict[int, Metrics]:
        """The agreement of the first n of N samples, for each n.

        Args:
          samples: [N, B, H, W].
          numbers: the numbers n, at most N.

        Returns:
          {n: {metric: float64 [B]}}, the metrics of `agreement` but those of frequencies.
        """
        class_iou = self._class_iou(samples, self.masks)
        cross, dice = self._of_all(class_iou), self._of_all(dice_from_iou(class_iou))
        among_samples = self._of_all(self._class_iou(samples, samples))
        among_graders = self._of_all(self._among)
        return {
            n: self._where_scored(
                _agreement(
                    cross[:, :n],
                    among_samples[:, :n, :n],
                    among_graders,
                    self.present,
                    dice=dice[:, :n],
                )
            )
            for n in numbers
        }

    def human(self, num_samples: int | None = None) -> GradedScores:
        """One grader against the others: `distribution.leave_one_out`, of Dice as well.

        Args:
          num_samples: number of samples that two graders are drawn as, for their GED².
        """

        def score(combine: _Combine) -> Metrics:
            of_dice = leave_one_out(combine(dice_from_iou(self._among)), self.present)
            of_iou = leave_one_out(combine(self._among), self.present, num_samples)
            return {**of_iou._asdict(), "matched_dice": of_dice.hungarian_iou}

        return self._graded(score, _occurs(self._among, self.present))

    def reconstruction_iou(self, rebuilt: Shaped[np.ndarray, "G B H W"]) -> GradedScores:
        """IoU of gradings and their reconstructions [G, B, H, W], averaged over graders."""
        pairs = [
            self._class_iou(one[None], mask[None])[:, 0]
            for one, mask in zip(rebuilt, self.masks, strict=True)
        ]
        of_graders = np.concatenate(pairs, axis=1)  # [B, G, K]
        number = np.maximum(self.present.sum(axis=1), 1)

        def score(combine: _Combine) -> Metrics:
            total = np.where(self.present, combine(of_graders), 0.0).sum(axis=1)
            return {"reconstruction_iou": total / number}

        return self._graded(score, _occurs(of_graders[:, None], self.present))

    @functools.cached_property
    def _among(self) -> np.ndarray:
        """[B, G, G, K]"""
        return self._class_iou(self.masks, self.masks)

    def _class_iou(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return pairwise_class_iou(a, b, range(1, self.num_classes), self.ignored)

    def _of_all(self, class_iou: np.ndarray) -> np.ndarray:
        """[..., K] -> [...]"""
        return _agreed(mean_over_classes(class_iou, self.absent))

    def _where_scored(self, metrics: Metrics, scored: np.ndarray | None = None) -> Metrics:
        scored = self.scored if scored is None else scored
        return {name: np.where(scored, values, np.nan) for name, values in metrics.items()}

    def _graded(self, score: Callable[[_Combine], Metrics], occurs: np.ndarray) -> GradedScores:
        """Scores by the mean over classes, and by each class where it `occurs` [B, K]."""
        of_class = {}
        for place in range(self.num_classes - 1 if self.num_classes > 2 else 0):
            has = occurs[:, place] | (self.absent == "one")
            metrics = score(lambda class_iou, place=place: _agreed(class_iou[..., place]))
            of_class[place + 1] = self._where_scored(metrics, self.scored & has)
        return GradedScores(self._where_scored(score(self._of_all)), of_class)

    def _compare_frequencies(self, samples: np.ndarray) -> tuple[Metrics, Levels]:
        num_samples, scored = len(samples), ~self.ignored.reshape(len(self.scored), -1)
        votes = self._votes(samples, np.ones((len(scored), num_samples), bool))
        shares = votes / num_samples
        metrics = {
            "brier": brier_score(shares, self._graded_shares, scored),
            "uncertainty_correlation": uncertainty_correlation(shares, self._graded_shares, scored),
        }
        return metrics, count_levels(votes[:, 1:], self._graded_shares[:, 1:], scored, num_samples)

    @functools.cached_property
    def _graded_shares(self) -> np.ndarray:
        """[B, C, P], the share of an image's graders who gave each class in each pixel."""
        number = np.maximum(self.present.sum(axis=1), 1)
        return self._votes(self.masks, self.present) / number[:, None, None]

    def _votes(self, maps: np.ndarray, present: np.ndarray) -> np.ndarray:
        """How many of the maps [N, B, H, W] that are present [B, N] have a class: [B, C, P]."""
        of_image = present.T[..., None, None]
        votes = [((maps == label) & of_image).sum(axis=0) for label in range(self.num_classes)]
        return np.stack(votes, axis=1).reshape(maps.shape[1], self.num_classes, -1)


def _agreement(
    cross: np.ndarray,
    among_samples: np.ndarray,
    among_graders: np.ndarray,
    present: np.ndarray,
    dice: np.ndarray,
) -> Metrics:
    matrices = cross, among_samples, among_graders, present
    terms = energy_distance(*matrices)
    without = energy_distance(*matrices, self_pairs=False)
    return {
        "ged2": terms.ged_squared(),
        "hungarian_iou": hungarian_iou(cross, present),
        "ged2_without_self_pairs": without.ged_squared(),
        **terms._asdict(),
        "best_of_n": best_of_n(dice, present),
        "matched_dice": hungarian_iou(dice, present),
        "confidence": 1 - without.among_samples,
    }


def _agreed(iou: np.ndarray) -> np.ndarray:
    """Maps of which neither has what the IoU is of agree."""
    return np.where(np.isnan(iou), 1.0, iou)


def _occurs(cross: np.ndarray, present: np.ndarray) -> np.ndarray:
    """[B, K]: the classes that some map has, from class IoUs [B, N, G, K] with the graders."""
    return (~np.isnan(cross) & present[:, None, :, None]).any(axis=(1, 2))
