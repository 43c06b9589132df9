"""Scoring predictions of any tool by the functions that score ours.

Classes are scored as by the protocol `graders` (Appendix B.1): the rows `model` and `human`.
Instances are scored by Rand error and average precision (Appendix B.3), each sample against each
grader like a run of its own. A volume is one image: its voxels are counted like pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tqdm

from hpunet_jax.evaluation.graders import Part, default_absent, join_parts
from hpunet_jax.evaluation.results import METRICS_VERSION
from hpunet_jax.evaluation.scores import Scores
from hpunet_jax.labels import IGNORED
from hpunet_jax.metrics.average_precision import Detections, average_precision, join, match
from hpunet_jax.metrics.gradings import Gradings
from hpunet_jax.metrics.iou import Absent
from hpunet_jax.metrics.rand_error import adapted_rand_error
from hpunet_jax.scoring.confidence import Confidences, apart_by_slice, of_instances
from hpunet_jax.scoring.pairing import Case, Pairing
from hpunet_jax.scoring.reading import as_gradings, check_classes, flat, read_case


class Classes(NamedTuple):
    """What the label maps of classes have.

    Attributes:
      num_classes: number of classes C, of which 0 is background.
      foreground: 255 if maps are of 0 and 255, whose 255 is class 1.
    """

    num_classes: int
    foreground: int | None = None


def check(
    pairing: Pairing, num_classes: int | None = None, foreground: int | None = None
) -> Classes:
    """Reads every file once, before anything is scored.

    Args:
      pairing: the files.
      num_classes: number of classes; None: one more than the greatest label, at least 2.
      foreground: what a map's 255 means: 255, class 1; 1, pixels to ignore; None: nobody said, and
        gradings of nothing but 0 and 255 are refused.

    Returns:
      What the maps have.

    Raises:
      ValueError: for a file that is damaged, no map of classes, or does not fit the others; the
        message names it.
    """
    as_one = 255 if foreground == 255 else None
    greatest, only_255 = 0, None
    for case in tqdm.tqdm(pairing.cases, desc="check", unit="image"):
        truth, samples = read_case(case, as_one)
        ignored = np.any([labels == IGNORED for labels in truth.values()], axis=0)
        for maps, files in ((truth, case.truth), (samples, case.samples)):
            check_classes(maps, files, num_classes or IGNORED, ignored)
            for labels in maps.values():
                greatest = max(greatest, int(np.max(labels, where=labels != IGNORED, initial=0)))
        if only_255 is None and ignored.any():
            only_255 = next(iter(case.truth.values()))
    if foreground is None and only_255 is not None and greatest == 0:
        raise ValueError(
            f"{only_255} has only the values 0 and 255: give --foreground=255 if 255 is the "
            "foreground, or --foreground=1 if it means that a pixel is ignored."
        )
    return Classes(num_classes or max(2, greatest + 1), as_one)


def score_classes(pairing: Pairing, classes: Classes, absent: Absent | None = None) -> Scores:
    """Scores samples of classes against graders.

    Args:
      pairing: the files.
      classes: what they have, see `check`.
      absent: what a class counts as that two compared maps lack, as of `metrics.gradings`; None:
        as in our evaluation.

    Returns:
      The scores of each image, in the order of the cases.

    Raises:
      ValueError: as `check`, or if nothing of any image is to be scored.
    """
    absent = absent or default_absent(classes.num_classes)
    parts = []
    for _, gradings, samples in gradings_of(pairing, classes, absent):
        rows = {"model": gradings.agreement(samples), "human": gradings.human()}
        parts.append(Part(rows, gradings.marked_by_all(), {}))
    scores = join_parts(parts, _settings(pairing, absent=absent, **classes._asdict()))
    scores.check_scored()
    return scores


def gradings_of(
    pairing: Pairing, classes: Classes, absent: Absent
) -> Iterator[tuple[Case, Gradings, np.ndarray]]:
    """The gradings and samples uint8 [N, 1, D H, W] of each image."""
    for case in tqdm.tqdm(pairing.cases, desc="score", unit="image"):
        truth, maps = read_case(case, classes.foreground)
        gradings = Gradings(as_gradings(truth, pairing.graders), classes.num_classes, absent)
        yield case, gradings, flat(list(maps.values())).astype(np.uint8)


def score_instances(
    pairing: Pairing, min_region: int = 1, confidences: Confidences | None = None
) -> list[Scores]:
    """Scores maps of instances against gradings of instances.

    Args:
      pairing: the files.
      confidences: in the instances of each image, the same for all its samples. Where they are
        told by slice, each slice has its own instances, also in the truth. None: the same in
        all instances, since a map does not tell any, so that the average precision is that of a
        single point of the curve.
      min_region: pixels that an object must have to count in the average precision.

    Returns:
      Scores of each sample against each grader, for `evaluation.scores.summarize`.

    Raises:
      ValueError: for a file that is damaged, no map, or does not fit the others, or if an image
        lacks one of several graders.
    """
    runs: dict[tuple[int, int], list[tuple[float, Detections]]] = {}
    for case in tqdm.tqdm(pairing.cases, desc="score", unit="image"):
        truth, samples = read_case(case)
        if missing := [grader for grader in pairing.graders if grader not in truth]:
            raise ValueError(
                f"{case.name} has no instances of grader {missing[0]!r}: expected those of all."
            )
        numbers = apart_by_slice if confidences and confidences.by_slice else np.asarray
        for i, grader in enumerate(pairing.graders):
            objects = flat([numbers(truth[grader])])[0, 0]
            for j, stored in enumerate(samples.values()):
                sure, sample = of_instances(stored, confidences, case.name), numbers(stored)
                sample = flat([sample])[0, 0]
                scored = match(sample, sure, objects, min_region=min_region)
                runs.setdefault((i, j), []).append((adapted_rand_error(sample, objects), scored))
    settings = _settings(pairing, min_region=min_region, confidences=confidences is not None)
    found = []
    for images in runs.values():
        errors, detections = zip(*images, strict=True)
        rows = {"model": {"rand_error": np.array(errors)}}
        found.append(Scores(rows, None, settings, {"model": join(detections)}))
    return found


def instance_image_scores(runs: Sequence[Scores]) -> dict[str, np.ndarray]:
    """The scores of each image, averaged over samples and graders.

    Args:
      runs: what `score_instances` gives.

    Returns:
      {metric: float64 [images]}; NaN where an image has no object.
    """
    errors = [run.rows["model"]["rand_error"] for run in runs]
    alone = np.eye(runs[0].num_images)
    precision = np.mean([average_precision(run.detections["model"], alone) for run in runs], axis=0)
    return {
        "rand_error": np.mean(errors, axis=0),
        "average_precision": precision.mean(axis=-1),
        "average_precision_50": precision[:, 0],
    }


def _settings(pairing: Pairing, **others: object) -> Mapping[str, object]:
    return {
        "metrics_version": METRICS_VERSION,
        "num_samples": pairing.num_samples,
        "graders": pairing.graders,
        "truth_form": pairing.truth_form,
        "samples_form": pairing.samples_form,
        **others,
    }
