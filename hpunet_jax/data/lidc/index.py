"""LIDC-IDRI (Appendix C): finding each CT scan in the downloaded folders, and its XML file.

Files are matched by the series instance UID that both carry, so it does not matter in which folders
they stand, as long as each series has its own.
"""

import dataclasses
import os
import pathlib
from collections import Counter, defaultdict

import tqdm

from hpunet_jax.data.lidc.dicom import BadScanError, read_identity
from hpunet_jax.data.lidc.xml import read_series_uid
from hpunet_jax.data.problems import Problem


@dataclasses.dataclass(frozen=True)
class ScanFiles:
    """Where a scan's files are.

    Attributes:
      series: series instance UID.
      patient: for instance "LIDC-IDRI-0078".
      number: counts the scans of a patient, from 0, in the order of their UIDs.
      folder: of the DICOM files.
      xml: the readings.
    """

    series: str
    patient: str
    number: int
    folder: pathlib.Path
    xml: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Index:
    """What was found below a folder.

    Attributes:
      scans: CT scans with readings, by patient and number.
      num_series: CT series, with readings or not.
      not_used: how many files or series were of other kinds, by kind.
      problems: what does not fit together.
    """

    scans: list[ScanFiles]
    num_series: int
    not_used: dict[str, int]
    problems: list[Problem]


def index_files(source: str | os.PathLike[str]) -> Index:
    """Finds all scans below a folder.

    Args:
      source: LIDC-IDRI as downloaded.

    Returns:
      The scans, and the files that are damaged or belong to nothing.

    Raises:
      FileNotFoundError: if there is no such folder, or no DICOM file in it.
    """
    source = pathlib.Path(source)
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist; expected the folder LIDC-IDRI.")
    folders, xmls = _walk(source)
    if not folders:
        raise FileNotFoundError(
            f"there are no .dcm files in {source}; expected LIDC-IDRI as downloaded from "
            "The Cancer Imaging Archive."
        )
    problems: list[Problem] = []
    not_used: Counter[str] = Counter()
    readings = _index_xmls(xmls, problems, not_used)
    series = _index_folders(folders, problems, not_used)
    scans = []
    numbers: Counter[str] = Counter()  # counts the scans of each patient
    for uid, (patient, folder) in sorted(series.items()):
        numbers[patient] += 1
        if uid in readings:
            scans.append(ScanFiles(uid, patient, numbers[patient] - 1, folder, readings[uid]))
        else:
            text = f"{folder}: there is no XML file with the readings of the series {uid}."
            problems.append(Problem("series without XML", text))
    for uid, path in sorted(readings.items()):
        if uid not in series:
            text = f"{path}: there is no usable CT series {uid} that it is about."
            problems.append(Problem("XML without series", text))
    scans.sort(key=lambda scan: (scan.patient, scan.number))
    return Index(scans, len(series), dict(not_used), problems)


def _walk(source: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    folders, xmls = [], []
    for folder, _, names in tqdm.tqdm(os.walk(source), "Listing", unit=" folders"):
        names = [name for name in names if not name.startswith(".")]
        if any(name.lower().endswith(".dcm") for name in names):
            folders.append(pathlib.Path(folder))
        xmls += [pathlib.Path(folder) / name for name in names if name.lower().endswith(".xml")]
    return sorted(folders), sorted(xmls)


def _index_xmls(
    paths: list[pathlib.Path], problems: list[Problem], not_used: Counter[str]
) -> dict[str, pathlib.Path]:
    """XML file by series; of several, none, unless they are copies of each other."""
    found: dict[str, list[pathlib.Path]] = defaultdict(list)
    for path in tqdm.tqdm(paths, "Finding readings", unit=" XML files"):
        try:
            uid = read_series_uid(path)
        except (ValueError, OSError) as error:
            problems.append(Problem("damaged XML", str(error)))
            continue
        if uid is None:
            not_used["XML files that are not about CT scans"] += 1
        else:
            found[uid].append(path)
    chosen = {}
    for uid, copies in found.items():
        if len({path.read_bytes() for path in copies}) > 1:
            names = ", ".join(map(str, copies))
            text = f"{names} differ, but are about the same series {uid}. Leave only one of them."
            problems.append(Problem("different XML files of a series", text))
        else:
            chosen[uid] = copies[0]
            not_used["copies of XML files"] += len(copies) - 1
    return chosen


def _index_folders(
    folders: list[pathlib.Path], problems: list[Problem], not_used: Counter[str]
) -> dict[str, tuple[str, pathlib.Path]]:
    """Patient and folder by CT series."""
    found: dict[str, tuple[str, pathlib.Path]] = {}
    twice = set()
    for folder in tqdm.tqdm(folders, "Finding scans", unit=" series"):
        try:
            uid, patient, modality = read_identity(folder)
        except BadScanError as error:
            problems.append(Problem(error.kind, str(error)))
            continue
        if modality != "CT":
            not_used[f"{modality} series"] += 1
        elif uid in found:
            text = f"{folder} and {found[uid][1]} hold the same series. Leave only one of them."
            problems.append(Problem("series in two folders", text))
            twice.add(uid)
        else:
            found[uid] = patient, folder
    return {uid: value for uid, value in found.items() if uid not in twice}
