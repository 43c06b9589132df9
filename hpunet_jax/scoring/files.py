"""From two folders of label maps to a folder of scores."""

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from hpunet_jax.evaluation.per_image import image_scores, write_image_scores
from hpunet_jax.evaluation.report import markdown_table
from hpunet_jax.evaluation.scores import summarize
from hpunet_jax.files import cannot_write
from hpunet_jax.folders import check_out
from hpunet_jax.io import check_apart
from hpunet_jax.metrics.calibration import reliability
from hpunet_jax.metrics.iou import Absent
from hpunet_jax.scoring.confidence import read_confidences
from hpunet_jax.scoring.html import Shown, html_report
from hpunet_jax.scoring.pairing import Pairing, pair
from hpunet_jax.scoring.pictures import case_pictures, find_pictures
from hpunet_jax.scoring.score import (
    Classes,
    check,
    instance_image_scores,
    score_classes,
    score_instances,
)

FILES = ("scores.json", "scores.md", "scores.csv", "scores.npz", "report.html")


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """What is scored, and how.

    Attributes:
      truth: folder of gradings, or one file.
      samples: folder of samples, or one file.
      out: folder to write to.
      images: folder of the images, to be shown in the report.
      instances: whether the maps are of instances.
      truth_form: one of `pairing.FORMS`; None: what fits.
      samples_form: likewise.
      num_classes: as for `score.check`.
      foreground: likewise.
      absent: as for `score.score_classes`.
      min_region: as for `score.score_instances`.
      bootstraps: number of bootstraps.
      seed: their seed.
      shown: worst and best images in the report.
      overwrite: whether earlier scores may be replaced.
    """

    truth: str
    samples: str
    out: str
    images: str | None = None
    instances: bool = False
    truth_form: str | None = None
    samples_form: str | None = None
    num_classes: int | None = None
    foreground: int | None = None
    absent: Absent | None = None
    min_region: int = 1
    bootstraps: int = 1000
    seed: int = 0
    shown: int = 6
    overwrite: bool = False


def score_files(
    options: ScoreOptions, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Scores what is in two folders, and writes `FILES`.

    Args:
      options: what, and how.
      tell: is told how the folders were understood, before anything is scored, and which images
        cannot be shown.

    Returns:
      What `evaluation.scores.summarize` gives.

    Raises:
      FileNotFoundError: if a folder is not there, or empty.
      ValueError: if files do not fit together or are no label maps, or results would be written
        over files; nothing is written then.
    """
    out = pathlib.Path(options.out).expanduser()
    _check_out(out, options)
    pairing = pair(options.truth, options.samples, options.truth_form, options.samples_form)
    tell(pairing.note())
    classes: Classes | None = None
    if options.instances:
        confidences = read_confidences(options.samples)
        runs = score_instances(pairing, options.min_region, confidences)
        columns, sorted_by = instance_image_scores(runs), "rand_error"
    else:
        classes = check(pairing, options.num_classes, options.foreground)
        runs = [score_classes(pairing, classes, options.absent)]
        columns, sorted_by = image_scores(runs[0]), "ged2"
    results = summarize(runs, options.bootstraps, options.seed)
    names = [case.name for case in pairing.cases]
    worst, best = (
        _shown(pairing, places, classes, options.images)
        for places in _worst_and_best(columns[sorted_by], options.shown)
    )
    for image in (*worst, *best):
        if image.note:
            tell(f"{names[image.place]} is shown without its image: {image.note}")
    page = html_report(
        results,
        names,
        columns,
        sources={"truth": options.truth, "samples": options.samples},
        about=pairing.note(),
        worst=worst,
        best=best,
        sorted_by=sorted_by,
        reliability=reliability(runs[0].levels["model"]) if classes else None,
    )
    texts = (json.dumps(results, indent=2), markdown_table(results), page)
    with _all_at_once(out) as aside:
        for name, text in zip(("scores.json", "scores.md", "report.html"), texts, strict=True):
            # Names of files need not be UTF-8.
            (aside / name).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        write_image_scores(aside / "scores.csv", columns, names)
        if classes:
            runs[0].save(aside / "scores.npz")
    return results


@contextlib.contextmanager
def _all_at_once(out: pathlib.Path) -> Generator[pathlib.Path]:
    """Yields a folder whose files are moved to another when all of them are written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".unfinished-") as folder:
            yield (aside := pathlib.Path(folder))
            for name in sorted(file.name for file in aside.iterdir()):
                (aside / name).replace(out / name)
    except OSError as error:
        raise cannot_write(out, error) from error


def _check_out(out: pathlib.Path, options: ScoreOptions) -> None:
    """Refuses to write where is read from, or over what is there."""
    for source in (options.truth, options.samples, options.images):
        if source:
            check_apart(out, source)
    check_out(out, "--out")
    there = [name for name in FILES if (out / name).exists()]
    if there and not options.overwrite:
        raise ValueError(
            f"{out / there[0]} is there already: give another folder as --out, or --overwrite."
        )


def _worst_and_best(values: np.ndarray, number: int) -> tuple[list[int], list[int]]:
    """The places of the greatest and of the least values, of which no image is in both."""
    scored = np.flatnonzero(~np.isnan(values))
    order = scored[np.argsort(values[scored], kind="stable")].tolist()
    number = min(number, -(-len(order) // 2))
    worst = order[::-1][:number]
    return worst, [place for place in order[:number] if place not in worst]


def _shown(
    pairing: Pairing,
    places: Sequence[int],
    classes: Classes | None,
    images: str | os.PathLike[str] | None,
) -> list[Shown]:
    """The pictures of some images; without the image itself where it cannot be read."""
    cases = [pairing.cases[place] for place in places]
    found = find_pictures(pathlib.Path(images), [case.name for case in cases]) if images else {}
    kind = (classes.num_classes, classes.foreground) if classes else (None, None)
    shown = []
    for place, case in zip(places, cases, strict=True):
        image, note = found.get(case.name), ""
        try:
            pictures = case_pictures(case, *kind, image)
        except (ValueError, OSError) as error:
            if image is None:
                raise
            pictures, note = case_pictures(case, *kind), str(error)
        shown.append(Shown(place, pictures, note))
    return shown
