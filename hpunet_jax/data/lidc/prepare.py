"""LIDC-IDRI (Appendix C): from CT scans and readings to crops in the layout of the published ones.

  <out>/<train|val|test>/images/<patient>/z-<position>_c<lesion>.png         180x180 at 0.5 mm
  <out>/<train|val|test>/gt/<patient>/z-<position>_c<lesion>_l<0..3>.png     0 and 255

Each scan that is done leaves a note in `<out>/.done`, so that a stopped run can be started again.
"""

import dataclasses
import json
import multiprocessing
import os
import pathlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
import tqdm
from PIL import Image

from hpunet_jax.data.lidc.dicom import (
    BadScanError,
    read_hounsfield,
    read_series,
    resample_crop,
    to_grey,
)
from hpunet_jax.data.lidc.index import ScanFiles, index_files
from hpunet_jax.data.lidc.lesions import GRADERS, Lesion, marked_crops
from hpunet_jax.data.lidc.report import Report, ScanResult
from hpunet_jax.data.lidc.split import draw_split, read_split, split_to_json
from hpunet_jax.data.lidc.xml import Markup, read_markup
from hpunet_jax.data.problems import Problem
from hpunet_jax.files import write_aside

WINDOW = (-1000.0, 400.0)  # Hounsfield units shown as 0 and 255


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    split_file: str | os.PathLike[str] | None = None,
    window: tuple[float, float] = WINDOW,
    workers: int | None = None,
) -> Report:
    """Makes the crops of all scans below a folder, and a report.

    Args:
      source: LIDC-IDRI as downloaded, DICOM and XML.
      out: where crops, report.json and report.txt are written.
      seed: of the patient split, if it is drawn.
      split_file: the patient split (`read_split`); None draws one.
      window: Hounsfield units shown as 0 and 255; the paper does not give its own.
      workers: number of processes; None: one for each core; 0: none but this one.

    Returns:
      The report.

    Raises:
      FileNotFoundError: if the source or the split file is missing.
      ValueError: if the split file is not one, or `out` was begun with other settings.
    """
    if window[0] >= window[1]:
        raise ValueError(f"the window is {window}; expected a lower and a higher value.")
    out = pathlib.Path(out)
    index = index_files(source)
    patients = {scan.patient for scan in index.scans}
    split = read_split(split_file) if split_file else draw_split(patients, seed)
    _check_settings(out, split, window)
    problems = list(index.problems)
    tasks, results = [], []
    for scan in index.scans:
        if scan.patient not in split:
            text = f"{scan.folder}: the split {split_file} does not mention {scan.patient}."
            problems.append(Problem("patient without split", text))
            continue
        done = _done_file(out, scan)
        if done.exists():
            results.append(ScanResult.from_json(done.read_text(encoding="utf-8")))
        else:
            tasks.append((scan, out, split[scan.patient], window))
    with tqdm.tqdm(total=len(tasks) + len(results), initial=len(results), unit=" scans") as bar:
        for result in _in_processes(tasks, workers):
            results.append(result)
            bar.update()
    report = Report.collect(index, results, problems, {"window": list(window), "seed": seed})
    report.write(out)
    return report


def prepare_scan(
    scan: ScanFiles, out: pathlib.Path, part: str, window: tuple[float, float] = WINDOW
) -> ScanResult:
    """Makes the crops of one scan.

    Args:
      scan: its files.
      out: where the crops are written.
      part: "train", "val" or "test".
      window: Hounsfield units shown as 0 and 255.

    Returns:
      What was written, or why the scan was skipped. Only a scan that was not skipped is noted as
      done.
    """
    blank = ScanResult(scan.series, scan.patient, part)
    try:
        result = _write_crops(scan, out, blank, window)
    except BadScanError as error:
        return dataclasses.replace(blank, skipped=Problem(error.kind, str(error)))
    except Exception as error:  # one scan must not end a run of hours; the report names it
        text = f"{scan.folder}, {scan.xml}: {type(error).__name__}: {error}"
        return dataclasses.replace(blank, skipped=Problem("unexpected error", text))
    with write_aside(_done_file(out, scan)) as path:
        path.write_text(result.to_json(), encoding="utf-8")
    return result


def _write_crops(
    scan: ScanFiles, out: pathlib.Path, blank: ScanResult, window: tuple[float, float]
) -> ScanResult:
    markup = _readings(scan.xml)
    series = read_series(scan.folder)
    try:
        lesions = markup.lesions(GRADERS)
    except ValueError as error:
        raise BadScanError("missing grader", f"{scan.xml} {error}.") from error
    problems = []
    num_images = 0
    for z, crops in _by_slice(lesions, series.pixel_spacing).items():
        uid = markup.images.get(z)
        place = series.find(z, uid)
        if place is None:
            problems.append(_missing_slice(scan, z, uid, series.dropped))
            continue
        hounsfield = read_hounsfield(place.path)
        for number, masks in crops:
            centre = lesions[number].centre
            crop = resample_crop(hounsfield, centre, series.pixel_spacing, outside=window[0])
            name = f"{scan.patient}/z-{z}_c{number}" + (f"_s{scan.number}" * (scan.number > 0))
            _write_crop(out / blank.part, name, to_grey(crop, window), masks)
            num_images += 1
    return dataclasses.replace(
        blank,
        num_images=num_images,
        num_lesions=len(lesions),
        num_points=markup.num_points,
        num_non_nodules=markup.num_non_nodules,
        num_dropped=len(series.dropped),
        problems=tuple(problems),
    )


def _readings(path: pathlib.Path) -> Markup:
    try:
        return read_markup(path)
    except ValueError as error:
        raise BadScanError("damaged XML", str(error)) from error


def _by_slice(
    lesions: Sequence[Lesion], pixel_spacing: float
) -> Mapping[float, list[tuple[int, np.ndarray]]]:
    """Lesion numbers and masks by slice, so that each slice is read once."""
    slices = defaultdict(list)
    for number, lesion in enumerate(lesions):
        for z, masks in marked_crops(lesion, pixel_spacing):
            slices[z].append((number, masks))
    return dict(sorted(slices.items()))


def _missing_slice(scan: ScanFiles, z: float, uid: str | None, dropped: Sequence[str]) -> Problem:
    if uid in dropped:
        text = f"{scan.xml} marks the slice at {z} mm, whose |SliceLocation| differs: not used."
        return Problem("marked slice with another SliceLocation", text)
    text = f"{scan.xml} marks a slice at {z} mm, but {scan.folder} has none there: not used."
    return Problem("marked slice without image", text)


def _write_crop(folder: pathlib.Path, name: str, image: np.ndarray, masks: np.ndarray) -> None:
    files = {f"images/{name}.png": image}
    files |= {f"gt/{name}_l{k}.png": masks[..., k] * np.uint8(255) for k in range(GRADERS)}
    for file, pixels in files.items():
        with write_aside(folder / file) as path:
            Image.fromarray(pixels).save(path)


def _in_processes(tasks: list[tuple[Any, ...]], workers: int | None) -> Iterator[ScanResult]:
    if workers == 0 or not tasks:
        yield from (prepare_scan(*task) for task in tasks)
        return
    # Spawned, not forked: the threads of other libraries do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(prepare_scan, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _done_file(out: pathlib.Path, scan: ScanFiles) -> pathlib.Path:
    return out / ".done" / f"{scan.series}.json"


def _check_settings(out: pathlib.Path, split: Mapping[str, str], window: Sequence[float]) -> None:
    """Refuses to go on where another split or window has been used; else notes them."""
    path = out / "split.json"
    settings = out / ".done" / "settings"
    if settings.exists():
        old = read_split(path)
        moved = sorted(name for name in old.keys() & split.keys() if old[name] != split[name])
        if moved:
            raise ValueError(
                f"{out} was begun with another patient split ({moved[0]} was in "
                f"{old[moved[0]]!r}); give another --out, or --split={path}."
            )
        before = json.loads(settings.read_text(encoding="utf-8"))
        if before["window"] != list(window):
            raise ValueError(
                f"{out} was begun with the window {before['window']}, not {list(window)}; give "
                "another --out, or the same --window."
            )
        split = {**old, **split}
    with write_aside(path) as aside:
        aside.write_text(split_to_json(dict(split)), encoding="utf-8")
    with write_aside(settings) as aside:
        aside.write_text(json.dumps({"window": list(window)}), encoding="utf-8")
