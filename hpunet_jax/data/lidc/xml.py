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
import os
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np

from hpunet_jax.data.lidc.lesions import Lesion, group_lesions
from hpunet_jax.data.lidc.readings import RATINGS, Contour, Reading

_CT, _XRAY = "LidcReadMessage", "IdriReadMessage"


@dataclasses.dataclass(frozen=True)
class Markup:
    """What the radiologists drew in one scan.

    Attributes:
      series: the series instance UID of the scan.
      sessions: for each radiologist, the readings of the lesions that he or she outlined.
      images: SOP instance UID of each marked slice by its position in mm, where it is given.
      num_points: readings that give only a nodule's centre; they are disregarded.
      num_non_nodules: marks of what is no nodule; they are disregarded.
    """

    series: str
    sessions: Sequence[Sequence[Reading]]
    images: Mapping[float, str]
    num_points: int
    num_non_nodules: int

    def lesions(self, graders: int = 4) -> list[Lesion]:
        """The lesions: readings whose boxes overlap, told apart by who drew them.

        Args:
          graders: number of radiologists that there must be.

        Returns:
          The lesions; `Lesion.graders` has an entry for each session, empty if this radiologist
          did not outline the lesion.

        Raises:
          ValueError: if there are more or fewer sessions.
        """
        if len(self.sessions) != graders:
            raise ValueError(
                f"has {len(self.sessions)} reading sessions; expected {graders}, one for each "
                "radiologist"
            )
        session = {r.number: i for i, readings in enumerate(self.sessions) for r in readings}
        lesions = []
        for lesion in group_lesions([r for readings in self.sessions for r in readings]):
            members = sorted(lesion.readings, key=lambda reading: reading.number)
            drawn = [[r for r in members if session[r.number] == i] for i in range(graders)]
            lesions.append(dataclasses.replace(lesion, graders=drawn))
        return lesions


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
    except ElementTree.ParseError as error:
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
    except ElementTree.ParseError as error:
        raise ValueError(_damaged(path, error)) from error
    if _name(root) != _CT:
        raise ValueError(f"{path} is a {_name(root)}; expected a {_CT} about a CT scan.")
    try:
        return _markup(root)
    except (ValueError, _Missing) as error:
        raise ValueError(f"{path} does not follow LIDC's schema: {error}.") from error


class _Missing(Exception):
    """An element that should be there is not."""


def _markup(root: ElementTree.Element) -> Markup:
    sessions: list[list[Reading]] = []
    images: dict[float, str] = {}
    number = num_points = num_non_nodules = 0
    for session in _children(root, "readingSession"):
        sessions.append([])
        num_non_nodules += len(_children(session, "nonNodule"))
        for nodule in _children(session, "unblindedReadNodule"):
            reading = _reading(number, nodule, images)
            number += 1
            if any(contour.inclusion for contour in reading.contours):
                sessions[-1].append(reading)
            else:
                num_points += 1
    series = _text(root, "ResponseHeader", "SeriesInstanceUid")
    return Markup(series, sessions, images, num_points, num_non_nodules)


def _reading(number: int, nodule: ElementTree.Element, images: dict[float, str]) -> Reading:
    contours = []
    for roi in _children(nodule, "roi"):
        edges = _children(roi, "edgeMap")
        points = [[int(_text(edge, axis)) for axis in ("xCoord", "yCoord")] for edge in edges]
        if len(points) < 2:  # the centre of a small nodule, not an outline
            continue
        z = float(_text(roi, "imageZposition"))
        inclusion = _text(roi, "inclusion").upper() == "TRUE"
        contours.append(Contour(z, inclusion, np.array(points, np.int32)))
        if uids := _children(roi, "imageSOP_UID"):
            uid = (uids[0].text or "").strip()
            if images.setdefault(z, uid) != uid:
                raise ValueError(f"two images have the position {z} mm: {images[z]} and {uid}")
    return Reading(number, _ratings(nodule), tuple(contours))


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
