"""LIDC-IDRI (Appendix C): finding each CT scan in the downloaded folders, and its XML file.

Files are matched by the series instance UID that both carry, so it does not matter in which folders
they stand, as long as each series has its own.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections import Counter, defaultdict

import tqdm

from hpunet_jax.data.lidc.dicom import BadScanError, dicom_files, is_dicom, read_identity
from hpunet_jax.data.lidc.xml import Markup, read_markup, read_series_uid
from hpunet_jax.data.problems import Problem
from hpunet_jax.io.listing import is_clutter
from hpunet_jax.io.walk import walk


@dataclasses.dataclass(frozen=True)
class ScanFiles:
    """Where a scan's files are.

    Attributes:
      series: series instance UID.
      patient: for instance "LIDC-IDRI-0078".
      folders: of the DICOM files; several if parts or copies of them lie apart.
      xml: the readings.
    """

    series: str
    patient: str
    folders: tuple[pathlib.Path, ...]
    xml: pathlib.Path

    def fingerprint(self) -> str:
        """Changes with the names, sizes and times of the scan's files."""
        digest = hashlib.sha256(self.xml.read_bytes())
        for path in [path for folder in self.folders for path in dicom_files(folder)]:
            state = path.stat()
            digest.update(f"\n{path.name} {state.st_size} {state.st_mtime_ns}".encode())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Index:
    """What was found below a folder.

    Attributes:
      scans: CT scans with readings, by patient and series.
      unusable: series instance UIDs of scans that are there, but cannot be matched.
      num_series: CT series, with readings or not.
      not_used: how many files or series were of other kinds, by kind.
      problems: what does not fit together.
    """

    scans: list[ScanFiles]
    unusable: set[str]
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
            f"there are no DICOM files in {source}; expected LIDC-IDRI as downloaded from "
            "The Cancer Imaging Archive."
        )
    problems: list[Problem] = []
    not_used: Counter[str] = Counter()
    readings = _index_xmls(xmls, problems, not_used)
    series = _index_folders(folders, problems, not_used)
    scans = []
    for uid, (patient, places) in sorted(series.items()):
        if uid in readings:
            scans.append(ScanFiles(uid, patient, tuple(places), readings[uid]))
        else:
            text = f"{places[0]}: there is no XML file with the readings of the series {uid}."
            problems.append(Problem("series without XML", text))
    for uid, path in sorted(readings.items()):
        if uid not in series:
            text = f"{path}: there is no usable CT series {uid} that it is about."
            problems.append(Problem("XML without series", text))
    scans.sort(key=lambda scan: (scan.patient, scan.series))
    unusable = series.keys() ^ readings.keys()
    return Index(scans, unusable, len(series), dict(not_used), problems)


def _walk(source: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    folders, xmls = [], []
    for folder, names in tqdm.tqdm(walk(source), "Listing", unit=" folders"):
        others = (name for name in names if not name.lower().endswith((".xml", ".txt", ".csv")))
        if any(is_dicom(folder / name) for name in others):
            folders.append(folder)
        xmls += [folder / name for name in names if name.lower().endswith(".xml")]
    return sorted(folders), sorted(xmls)


def _index_xmls(
    paths: list[pathlib.Path], problems: list[Problem], not_used: Counter[str]
) -> dict[str, pathlib.Path]:
    """XML file by series; of several, none, unless the same can be read from all of them."""
    found: dict[str, list[pathlib.Path]] = defaultdict(list)
    for path in tqdm.tqdm(paths, "Finding readings", unit=" XML files"):
        try:
            uid = read_series_uid(path)
        except (ValueError, OSError) as error:
            problems.append(_unusable(path, error))
            continue
        if uid is None:
            not_used["XML files that are not about CT scans"] += 1
        else:
            found[uid].append(path)
    chosen = {}
    for uid, copies in found.items():
        first, *different = _distinct(copies, problems)
        if different:
            names = ", ".join(map(str, [first, *different]))
            text = f"{names} differ, but are about the same series {uid}. Leave only one of them."
            problems.append(Problem("different XML files of a series", text))
        else:
            chosen[uid] = first
            not_used["copies of XML files"] += len(copies) - 1
    return chosen


def _distinct(paths: list[pathlib.Path], problems: list[Problem]) -> list[pathlib.Path]:
    """Of XML files about a series those from which different things can be read."""
    files = list({path.read_bytes(): path for path in reversed(paths)}.values())[::-1]
    if len(files) == 1:  # read where it is used
        return files
    read: dict[pathlib.Path, Markup] = {}
    for path in files:
        try:
            markup = read_markup(path)
        except (ValueError, OSError) as error:
            problems.append(_unusable(path, error))
            continue
        if not any(markup.is_same(other) for other in read.values()):
            read[path] = markup
    return list(read) or files[:1]


def _names_a_folder(name: str) -> bool:
    """Whether crops can lie in a folder of this name, and be found there."""
    whole = name == pathlib.PurePath(name).name != ""
    return whole and name.isprintable() and not is_clutter(name)


def _unusable(path: pathlib.Path, error: ValueError | OSError) -> Problem:
    """Why an XML file is not used."""
    if isinstance(error, OSError):
        return Problem("unreadable file", f"{path} cannot be read: {error.strerror}.")
    return Problem("damaged XML", str(error))


def _index_folders(
    folders: list[pathlib.Path], problems: list[Problem], not_used: Counter[str]
) -> dict[str, tuple[str, list[pathlib.Path]]]:
    """Patient and folders by CT series."""
    found: dict[str, tuple[str, list[pathlib.Path]]] = {}
    for folder in tqdm.tqdm(folders, "Finding scans", unit=" series"):
        try:
            uid, patient, modality = read_identity(folder)
        except BadScanError as error:
            problems.append(Problem(error.kind, str(error)))
            continue
        if unusable := [name for name in (patient, uid) if not _names_a_folder(name)]:
            text = f"{folder}: no folder can be called like its patient or series, {unusable[0]!r}."
            problems.append(Problem("name of no folder", text))
            continue
        if modality != "CT":
            not_used[f"{modality} series"] += 1
        elif uid in found:
            found[uid][1].append(folder)
            not_used["further folders of a series (its slices are looked for in all of them)"] += 1
        else:
            found[uid] = patient, [folder]
    return found
