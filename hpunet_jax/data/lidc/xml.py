"""LIDC-IDRI (Appendix C): the radiologists' readings, from the XML files that come with the scans.

LidcReadMessage
  ResponseHeader / SeriesInstanceUid
  readingSession                           one for each radiologist
    unblindedReadNodule
      roi                                  an outline in one slice, or a nodule's centre
        imageZposition, imageSOP_UID, inclusion
        edgeMap / xCoord, yCoord           a pixel of the outline
    nonNodule / locus
"""

import dataclasses
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np

from hpunet_jax.data.lidc.lesions import GRADERS, Lesion, group_lesions
from hpunet_jax.data.lidc.readings import RATINGS, Contour, Reading

_CT, _XRAY = "LidcReadMessage", "IdriReadMessage"


@dataclasses.dataclass(frozen=True)
class Markup:
    """What the radiologists drew in one scan.

    Attributes:
      series: the series instance UID of the scan.
      sessions: for each radiologist, the readings of the lesions that he or she outlined.
      images: by position in mm the SOP instance UIDs of the image that was marked there, where
        they are given. Two radiologists may have marked different images at one position; the
        one that most outlines lie on comes first.
      num_points: readings that give only a nodule's centre; they are disregarded.
      num_non_nodules: marks of what is no nodule; they are disregarded.
    """

    series: str
    sessions: Sequence[Sequence[Reading]]
    images: Mapping[float, Sequence[str]]
    num_points: int
    num_non_nodules: int

    def is_same(self, other: "Markup") -> bool:
        """Whether another file says the same; headers do not matter."""
        return _content(self) == _content(other)

    def graders(self) -> list[Sequence[Reading]]:
        """The sessions of at most four radiologists.

        Of more than four sessions, the last ones without an outline are left out: they would add
        nothing but empty masks.

        Raises:
          ValueError: if there are no sessions, or more than four with outlines.
        """
        empty = [i for i, readings in enumerate(self.sessions) if not readings]
        surplus = min(max(len(self.sessions) - GRADERS, 0), len(empty))
        left_out = set(empty[len(empty) - surplus :])
        kept = [readings for i, readings in enumerate(self.sessions) if i not in left_out]
        if not 1 <= len(kept) <= GRADERS:
            raise ValueError(
                f"has {len(kept)} reading sessions{' with outlines' if kept else ''}; expected "
                f"{GRADERS}, one for each radiologist"
            )
        return kept

    def lesions(self) -> list[Lesion]:
        """The lesions: readings whose boxes overlap, told apart by who drew them.

        Returns:
          The lesions; `Lesion.graders` has an entry for each of `graders`, empty if this
          radiologist did not outline the lesion.

        Raises:
          ValueError: see `graders`.
        """
        sessions = self.graders()
        session = {r.number: i for i, readings in enumerate(sessions) for r in readings}
        lesions = []
        for lesion in group_lesions([r for readings in sessions for r in readings]):
            members = sorted(lesion.readings, key=lambda reading: reading.number)
            drawn = [[r for r in members if session[r.number] == i] for i in range(len(sessions))]
            lesions.append(dataclasses.replace(lesion, graders=drawn))
        return lesions


def _content(markup: Markup) -> tuple:
    sessions = [
        [(r.ratings, [(c.z, c.inclusion, c.points.tolist()) for c in r.contours]) for r in readings]
        for readings in markup.sessions
    ]
    return sessions, markup.images, markup.num_points, markup.num_non_nodules


def read_series_uid(path: str | os.PathLike[str]) -> str | None:
    """Reads only which scan an XML file belongs to.

    Args:
      path: the XML file.

    Returns:
      The series instance UID; None if the file is about a chest X-ray, or is none of LIDC-IDRI's.

    Raises:
      ValueError: if the file is damaged.
    """
    try:
        with open(path, "rb") as file:
            for event, element in ElementTree.iterparse(file, ("start", "end")):
                name = _name(element)
                if event == "start" and name == _XRAY:
                    return None
                if event == "end" and name == "SeriesInstanceUid":
                    return (element.text or "").strip()
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also of its encoding
        raise ValueError(_damaged(path, error)) from error
    return None


def read_markup(path: str | os.PathLike[str]) -> Markup:
    """Reads the radiologists' outlines of a CT scan.

    Args:
      path: the XML file.

    Returns:
      The outlines.

    Raises:
      ValueError: if the file is damaged or not of this kind.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also of its encoding
        raise ValueError(_damaged(path, error)) from error
    if _name(root) != _CT:
        raise ValueError(f"{path} is a {_name(root)}; expected a {_CT} about a CT scan.")
    try:
        return _markup(root)
    except (ValueError, OverflowError, _Missing) as error:
        raise ValueError(f"{path} does not follow LIDC's schema: {error}.") from error


class _Missing(Exception):
    """An element that should be there is not."""


class _Places:
    """Which images were marked at which positions.

    An image is known by its UID; it has the position with which it was marked first, however
    others round it.
    """

    def __init__(self) -> None:
        self._position: dict[str, float] = {}
        self._marks: dict[float, Counter[str]] = defaultdict(Counter)

    def mark(self, z: float, uid: str) -> float:
        """Counts an outline; returns the position of its image."""
        if uid:
            z = self._position.setdefault(uid, z)
            self._marks[z][uid] += 1
        return z

    def images(self) -> dict[float, tuple[str, ...]]:
        """UIDs by position, those with the most marks first."""
        return {
            z: tuple(sorted(marks, key=lambda uid: (-marks[uid], uid)))
            for z, marks in self._marks.items()
        }


def _markup(root: ElementTree.Element) -> Markup:
    sessions: list[list[Reading]] = []
    places = _Places()
    number = num_points = num_non_nodules = 0
    for session in _children(root, "readingSession"):
        sessions.append([])
        num_non_nodules += len(_children(session, "nonNodule"))
        for nodule in _children(session, "unblindedReadNodule"):
            reading = _reading(number, nodule, places)
            number += 1
            if any(contour.inclusion for contour in reading.contours):
                sessions[-1].append(reading)
            else:
                num_points += 1
    series = _text(root, "ResponseHeader", "SeriesInstanceUid")
    return Markup(series, sessions, places.images(), num_points, num_non_nodules)


def _reading(number: int, nodule: ElementTree.Element, places: _Places) -> Reading:
    contours = []
    for roi in _children(nodule, "roi"):
        edges = _children(roi, "edgeMap")
        points = [[int(_text(edge, axis)) for axis in ("xCoord", "yCoord")] for edge in edges]
        if len(points) < 2:  # the centre of a small nodule, not an outline
            continue
        uids = _children(roi, "imageSOP_UID")
        uid = (uids[0].text or "").strip() if uids else ""
        z = places.mark(_number(_text(roi, "imageZposition")), uid)
        inclusion = _text(roi, "inclusion")
        if inclusion.upper() not in ("TRUE", "FALSE"):
            raise ValueError(f"inclusion is {inclusion}; expected TRUE or FALSE")
        contours.append(Contour(z, inclusion.upper() == "TRUE", np.array(points, np.int32)))
    return Reading(number, _ratings(nodule), tuple(contours))


def _number(text: str) -> float:
    number = float(text.replace(",", "."))  # some programs write a decimal comma
    if not math.isfinite(number):
        raise ValueError(f"imageZposition is {text}; expected a finite number")
    return number


def _ratings(nodule: ElementTree.Element) -> dict[str, int]:
    given = [item for group in _children(nodule, "characteristics") for item in group]
    return {_name(item): int(item.text) for item in given if _name(item) in RATINGS and item.text}


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]  # without the namespace


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _name(child) == name]


def _text(element: ElementTree.Element, *names: str) -> str:
    for name in names:
        found = _children(element, name)
        if not found:
            raise _Missing(f"{_name(element)} has no {name}")
        element = found[0]
    text = (element.text or "").strip()
    if not text:
        raise _Missing(f"{_name(element)} is empty")
    return text


def _damaged(path: str | os.PathLike[str], error: Exception) -> str:
    return f"{path} is damaged or no XML file ({error}). Download it again."
