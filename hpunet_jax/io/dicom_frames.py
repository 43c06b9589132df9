"""What a DICOM file of several frames says of each, read by pydicom: SimpleITK knows the first."""

import os
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk

from hpunet_jax.io.dicom_steps import check_steps, shown


class Frames(NamedTuple):
    """The functional groups of a file, in which all frames agree but for their positions.

    Attributes:
      positions: of each frame x, y, z in mm, or () where it has none.
      orientation: directions of rows and columns, six numbers; ().
      size: mm from row to row and from column to column; ().
      slope: of all values; ().
      intercept: likewise.
    """

    positions: list[tuple[float, ...]]
    orientation: tuple[float, ...]
    size: tuple[float, ...]
    slope: tuple[float, ...]
    intercept: tuple[float, ...]


def read_frames(file: str | os.PathLike[str], count: int) -> Frames | None:
    """Reads the functional groups of a file.

    Args:
      file: a DICOM file.
      count: its number of frames.

    Returns:
      What it says of its frames; None if it has no functional groups.

    Raises:
      ValueError: if frames differ in orientation, size of pixels, slope or intercept; or pydicom,
        which reads this, is missing and there are several.
    """
    try:
        import pydicom
    except ImportError as error:
        if count == 1:
            return None
        raise ValueError(
            f"{file} has several frames, whose places are read by pydicom, which is not installed: "
            "pip install '.[dicom]' in a clone."
        ) from error
    header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    if not (own := header.get("PerFrameFunctionalGroupsSequence")):
        return None
    if len(own) != count:
        raise ValueError(
            f"{file} is damaged: it has {count} frames and describes {len(own)} of them."
        )
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    alike = []
    for group, name in (
        ("PlaneOrientation", "ImageOrientationPatient"),
        ("PixelMeasures", "PixelSpacing"),
        ("PixelValueTransformation", "RescaleSlope"),
        ("PixelValueTransformation", "RescaleIntercept"),
    ):
        found = [_of_frame(f, shared, group, name) for f in own]
        other = next((n for n, value in enumerate(found) if value != found[0]), None)
        if other is not None:
            raise ValueError(
                f"{file} has frames that are no volume: frame 1 and frame {other + 1} have "
                f"different values of {name} ({shown(found[0])} and {shown(found[other])}): "
                "convert it to a series of one slice a file."
            )
        alike.append(found[0])
    positions = [_of_frame(f, shared, "PlanePosition", "ImagePositionPatient") for f in own]
    return Frames(positions, *alike)


def place_frames(image: sitk.Image, frames: Frames, file: str | os.PathLike[str]) -> None:
    """Gives the frames of a DICOM file the geometry that it says they have.

    SimpleITK believes voxels 1x1x1 mm large where positions are rounded.

    Args:
      image: what SimpleITK read of the file, of several frames.
      frames: what the file says of them.
      file: the file.

    Raises:
      ValueError: if frames lack a position, are out of order, or at uneven distances.
    """
    positions, orientation = frames.positions, frames.orientation
    if not any(positions):
        return  # nothing is known of their places
    if not all(positions) or not orientation:
        raise ValueError(
            f"{file} has frames without a position or orientation, others have one: convert it to "
            "a series of one slice a file."
        )
    rows, columns = orientation[:3], orientation[3:]
    origins, normal = np.array(positions), np.cross(rows, columns)
    steps = np.diff(origins @ normal)
    if steps.min() < 0 < steps.max():
        raise ValueError(
            f"{file} has frames out of order: they go to and fro along their normal; convert it to "
            "a series of one slice a file."
        )
    normal = normal if steps.max() > 0 else -normal
    check_steps(file, [f"frame {n + 1}" for n in range(len(positions))], origins, normal)
    image.SetOrigin(positions[0])
    high, wide = frames.size or image.GetSpacing()[1::-1]
    image.SetSpacing((wide, high, float(np.abs(steps).mean())))
    image.SetDirection(np.transpose([rows, columns, normal]).ravel().tolist())


def _of_frame(frame: Any, shared: Any, group: str, name: str) -> tuple[float, ...]:
    """Numbers that a frame, or all frames together, have in a functional group; () if none."""
    for holder in (frame, shared):
        value = (holder.get(f"{group}Sequence") or [{}])[0].get(name)
        if value is not None:
            return tuple(float(number) for number in np.ravel(value))
    return ()
