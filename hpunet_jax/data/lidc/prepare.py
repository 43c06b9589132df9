"""LIDC-IDRI (Appendix C): from CT scans and readings to crops in the layout of the published ones.

  <out>/<train|val|test>/images/<patient>/<series>/z-<position>_c<lesion>.png     180x180 at 0.5 mm
  <out>/<train|val|test>/gt/<patient>/<series>/z-<position>_c<lesion>_l<0..3>.png 0 and 255

A scan's crops are made aside and get their names when all are there (`scan_crops`). Each scan that
is done leaves a note in `<out>/.done`, which knows the files that it was made from: a stopped run
can be started again, and what has changed is made anew.
"""

import json
import multiprocessing
import os
import pathlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import tqdm

from hpunet_jax.data.lidc.index import Index, index_files
from hpunet_jax.data.lidc.report import REPORTS, Report, ScanResult
from hpunet_jax.data.lidc.scan_crops import RULES, prepare_scan, read_done, remove_scan
from hpunet_jax.data.lidc.split import SIZES, draw_split, read_split, split_to_json
from hpunet_jax.data.problems import Problem
from hpunet_jax.files import write_aside
from hpunet_jax.folders import used_alone
from hpunet_jax.io import check_apart

WINDOW = (-1000.0, 400.0)  # Hounsfield units shown as 0 and 255

_SPLIT = "split.json"


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    split_file: str | os.PathLike[str] | None = None,
    window: tuple[float | int, float | int] = WINDOW,
    workers: int | None = None,
) -> Report:
    """Makes the crops of all scans below a folder, and a report.

    Afterwards `out` holds the crops of the scans that the report calls used, and no others.

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
      FolderInUseError: if another process writes to `out`.
      ValueError: if the split file is not one, or `out` was begun with other settings, lies in the
        source, or holds files of the same names that are not ours.
    """
    if not window[0] < window[1]:
        raise ValueError(f"the window is {window}; expected a lower and a higher value.")
    check_apart(out, source)
    index = index_files(source)
    with used_alone(out):
        return _prepare(index, pathlib.Path(out), seed, split_file, window, workers)


def _prepare(
    index: Index,
    out: pathlib.Path,
    seed: int,
    split_file: str | os.PathLike[str] | None,
    window: tuple[float | int, float | int],
    workers: int | None,
) -> Report:
    patients = {scan.patient for scan in index.scans}
    split = read_split(split_file) if split_file else draw_split(patients, seed)
    _check_settings(out, split, window)
    problems = list(index.problems)
    done = read_done(out)
    unusable = set(index.unusable)
    tasks, results = [], []
    for scan in index.scans:
        if scan.patient not in split:
            text = f"{scan.folders[0]}: the split {split_file} does not mention {scan.patient}."
            problems.append(Problem("patient without split", text))
            unusable.add(scan.series)
            continue
        state = scan.fingerprint()
        if scan.series in done and done[scan.series].fingerprint == state:
            results.append(done[scan.series])
        else:
            tasks.append((scan, out, split[scan.patient], window, state))
    for series in done.keys() & unusable.union(task[0].series for task in tasks):
        remove_scan(out, done[series])
    known = {scan.series for scan in index.scans} | unusable
    earlier = [result for series, result in done.items() if series not in known]
    with tqdm.tqdm(total=len(tasks) + len(results), initial=len(results), unit=" scans") as bar:
        for result in _in_processes(tasks, workers):
            results.append(result)
            bar.update()
    settings = {"window": list(window), "seed": seed, "rules": RULES}
    report = Report.collect(index, results, earlier, problems, settings)
    report.write(out)
    return report


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


def _check_settings(
    out: pathlib.Path, split: Mapping[str, str], window: tuple[float | int, float | int]
) -> None:
    """Refuses to go on where other rules, another split or window have been used; else notes them.

    The split in the note counts; split.json is its copy for the user. What stands in `out` without
    a note is not ours to mix with, or to write over.
    """
    note = out / ".done" / "settings"
    if note.exists():
        before = _read_settings(note, out)
        _check_same(out, before, split, window)
        split = {**before["split"], **split}
    else:
        _check_none_of_ours(out, split)
    settings = {"window": list(window), "rules": RULES, "split": dict(split)}
    with write_aside(note) as aside:
        aside.write_text(json.dumps(settings), encoding="utf-8")
    path = out / _SPLIT
    if not path.exists() or read_split(path) != split:
        with write_aside(path) as aside:
            aside.write_text(split_to_json(dict(split)), encoding="utf-8")


def _read_settings(note: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        if before.get("rules") == RULES and "split" not in before:  # as first written
            before["split"] = read_split(out / _SPLIT)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{note} is damaged ({error}): give another --out.") from error
    return before


def _check_same(
    out: pathlib.Path,
    before: Mapping[str, Any],
    split: Mapping[str, str],
    window: tuple[float | int, float | int],
) -> None:
    """Refuses other rules, another window and another split than before."""
    if before.get("rules") != RULES:
        raise ValueError(
            f"{out} was made by another version of the program, whose crops differ; give another "
            "--out."
        )
    if before["window"] != list(window):
        raise ValueError(
            f"{out} was begun with the window {before['window']}, not {list(window)}; give another "
            "--out, or the same --window."
        )
    path, old = out / _SPLIT, before["split"]
    moved = sorted(name for name in old.keys() & split.keys() if old[name] != split[name])
    if moved:
        raise ValueError(
            f"{out} was begun with another patient split ({moved[0]} was in {old[moved[0]]!r}); "
            f"give another --out, or --split={path}."
        )
    if path.exists() and read_split(path) != old:
        raise ValueError(
            f"{path} was changed since the crops in {out} were made by it: give another --out with "
            f"--split={path}, or remove the file to go on with the split as it was."
        )


def _check_none_of_ours(out: pathlib.Path, split: Mapping[str, str]) -> None:
    """Refuses to write over files of the same names that are not ours."""
    path = out / _SPLIT
    if path.exists() and read_split(path) != split:
        raise ValueError(
            f"{path} is there already, and would be written over: give --split={path} if it is to "
            "be used, else another --out."
        )
    others = [name for name in (*SIZES, *REPORTS) if (out / name).exists()]
    if others:
        raise ValueError(f"{out} holds {others[0]} of something else; give another --out.")
