"""LIDC-IDRI (Appendix C): the crops of one scan, written whole or not at all."""

import contextlib
import dataclasses
import errno
import pathlib
import shutil
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence

import numpy as np
from PIL import Image

from hpunet_jax.data.lidc.cutting import cut_image, to_grey
from hpunet_jax.data.lidc.dicom import (
    AmbiguousSliceError,
    BadScanError,
    Series,
    Slice,
    read_hounsfield,
    read_series,
)
from hpunet_jax.data.lidc.index import ScanFiles
from hpunet_jax.data.lidc.lesions import GRADERS, Lesion, marked_crops
from hpunet_jax.data.lidc.report import ScanResult
from hpunet_jax.data.lidc.xml import Markup, read_markup
from hpunet_jax.data.problems import Problem
from hpunet_jax.files import cannot_write, write_aside

RULES = 2  # counts up when the same scan would give other crops, or other names
_KINDS = ("gt", "images")  # masks get their name first: without an image they are not built


def prepare_scan(
    scan: ScanFiles,
    out: pathlib.Path,
    part: str,
    window: tuple[float | int, float | int],
    fingerprint: str = "",
) -> ScanResult:
    """Makes the crops of one scan; what an earlier run made of it is removed first.

    Args:
      scan: its files.
      out: where the crops are written.
      part: "train", "val" or "test".
      window: Hounsfield units shown as 0 and 255.
      fingerprint: of the scan's files, for the note that it is done.

    Returns:
      What was written, or why the scan was skipped. Only a scan that was not skipped has crops,
      and is noted as done.

    Raises:
      OSError: `out` cannot be written to.
    """
    blank = ScanResult(scan.series, scan.patient, part, fingerprint)
    remove_scan(out, blank)
    try:
        with _aside(out, scan.series) as aside:
            result = _write_crops(scan, aside, blank, window)
            for kind in _KINDS:
                if (aside / kind).exists():
                    place = _place(out, blank, kind)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    (aside / kind).rename(place)
    except BadScanError as error:
        return dataclasses.replace(blank, skipped=Problem(error.kind, str(error)))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            # It is no fault of the scan, and the next one would fail too.
            raise cannot_write(out, error) from error
        return dataclasses.replace(blank, skipped=_unexpected(scan, error))
    except Exception as error:  # one scan must not end a run of hours; the report names it
        return dataclasses.replace(blank, skipped=_unexpected(scan, error))
    with write_aside(_done_file(out, scan.series)) as path:
        path.write_text(result.to_json(), encoding="utf-8")
    return result


def read_done(out: pathlib.Path) -> dict[str, ScanResult]:
    """The results of scans that are done, by series; what a killed run left aside is removed.

    Args:
      out: where the crops are written.

    Returns:
      The results. A note that cannot be read does not count: its scan is made anew.
    """
    for left_over in out.glob(".aside-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    results = {}
    for path in sorted((out / ".done").glob("*.json")):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            result = ScanResult.from_json(path.read_text(encoding="utf-8"))
            results[result.series] = result
    return results


def remove_scan(out: pathlib.Path, result: ScanResult) -> None:
    """Removes the crops of a scan and the note that it is done, in an order that leaves no gap."""
    _done_file(out, result.series).unlink(missing_ok=True)
    for kind in reversed(_KINDS):
        place = _place(out, result, kind)
        if place.exists():
            shutil.rmtree(place)
        with contextlib.suppress(OSError):  # the patient has other scans, or none yet
            place.parent.rmdir()


def _unexpected(scan: ScanFiles, error: Exception) -> Problem:
    text = f"{scan.folders[0]}, {scan.xml}: {type(error).__name__}: {error}"
    return Problem("unexpected error", text)


def _place(out: pathlib.Path, result: ScanResult, kind: str) -> pathlib.Path:
    return out / result.part / kind / result.patient / result.series


def _done_file(out: pathlib.Path, series: str) -> pathlib.Path:
    return out / ".done" / f"{series}.json"


@contextlib.contextmanager
def _aside(out: pathlib.Path, series: str) -> Generator[pathlib.Path]:
    folder = out / f".aside-{series}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_crops(
    scan: ScanFiles,
    folder: pathlib.Path,
    blank: ScanResult,
    window: tuple[float | int, float | int],
) -> ScanResult:
    markup = _readings(scan.xml)
    series = read_series(*scan.folders)
    _check_outlines(scan, markup, series)
    try:
        lesions = markup.lesions()
    except ValueError as error:
        raise BadScanError("number of sessions", f"{scan.xml} {error}.") from error
    problems = _odd_sessions(scan, markup)
    num_images = 0
    for z, crops in _by_slice(lesions, series.pixel_spacing).items():
        place, problem = _find_slice(scan, markup, series, z)
        problems += [problem] if problem else []
        if place is None:
            continue
        hounsfield = read_hounsfield(place.path)
        for number, masks in crops:
            centre = lesions[number].centre
            crop = cut_image(hounsfield, centre, series.pixel_spacing, outside=window[0])
            drawn = masks[..., : len(markup.graders())]
            _write_crop(folder, f"z-{z}_c{number}", to_grey(crop, window), drawn)
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
    except OSError as error:
        raise BadScanError(
            "unreadable file", f"{path} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        raise BadScanError("damaged XML", str(error)) from error


def _check_outlines(scan: ScanFiles, markup: Markup, series: Series) -> None:
    """Refuses outlines that do not lie on the scan's slices."""
    rows, columns = series.size
    for reading in (reading for readings in markup.sessions for reading in readings):
        for contour in reading.contours:
            for x, y in (contour.points.min(axis=0), contour.points.max(axis=0)):
                if not (0 <= x < columns and 0 <= y < rows):
                    raise BadScanError(
                        "outline beyond the image",
                        f"{scan.xml} has an outline at {contour.z} mm with the pixel ({x}, {y}), "
                        f"but the slices in {scan.folders[0]} have {columns}x{rows} pixels.",
                    )


def _odd_sessions(scan: ScanFiles, markup: Markup) -> list[Problem]:
    found, used = len(markup.sessions), len(markup.graders())
    if found > used:
        text = f"{scan.xml} has {found} reading sessions: {found - used} without outlines left out."
        return [Problem("more than four reading sessions", text)]
    if used < GRADERS:
        text = f"{scan.xml} has {used} reading sessions: no masks of graders {used} to 3 written."
        return [Problem("fewer than four reading sessions", text)]
    return []


def _by_slice(
    lesions: Sequence[Lesion], pixel_spacing: float
) -> Mapping[float, list[tuple[int, np.ndarray]]]:
    """Lesion numbers and masks by slice, so that each slice is read once."""
    slices = defaultdict(list)
    for number, lesion in enumerate(lesions):
        for z, masks in marked_crops(lesion, pixel_spacing):
            slices[z].append((number, masks))
    return dict(sorted(slices.items()))


def _find_slice(
    scan: ScanFiles, markup: Markup, series: Series, z: float
) -> tuple[Slice | None, Problem | None]:
    """The image of a marked slice, and what is odd about it."""
    uids = markup.images.get(z, ())
    try:
        place = series.find(z, uids)
    except AmbiguousSliceError as error:
        return None, Problem(error.kind, f"{error} {scan.xml} marks the slice: not used.")
    if place is None and any(uid in series.dropped for uid in uids):
        text = f"{scan.xml} marks the slice at {z} mm, whose |SliceLocation| differs: not used."
        return None, Problem("marked slice with another SliceLocation", text)
    if place is None:
        text = (
            f"{scan.xml} marks a slice at {z} mm, but {scan.folders[0]} has none there: not used."
        )
        return None, Problem("marked slice without image", text)
    if len(uids) > 1:
        text = f"{scan.xml} marks {len(uids)} images at {z} mm: {place.path} is used."
        return place, Problem("several marked images at a position", text)
    return place, None


def _write_crop(folder: pathlib.Path, name: str, image: np.ndarray, masks: np.ndarray) -> None:
    files = {f"images/{name}.png": image}
    files |= {f"gt/{name}_l{k}.png": masks[..., k] * np.uint8(255) for k in range(masks.shape[-1])}
    for file, pixels in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / file)
