"""DICOM segmentations (SEG) of a DICOM series, by highdicom: viewers draw them over its slices."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

_MOST_SEGMENTS = 65_535  # segments are numbered by 16 bits
_UNKNOWN = {  # what every image of a patient must say, if only that it is not known
    **dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "PatientSex"), ""),
    **dict.fromkeys(("StudyID", "StudyDate", "StudyTime", "AccessionNumber"), ""),
    "ReferringPhysicianName": "",
}
_NOTE = "Research software, not for clinical use"


def write_segmentation(
    path: str | os.PathLike[str],
    labels: Integer[np.ndarray, "D H W"],
    files: Sequence[str],
    distance: float,
    name: str,
    instances: bool = False,
) -> None:
    """Writes labels as the segments of a DICOM segmentation; 0 is background.

    Classes are a segment with frames of its own each (BINARY), which every viewer of segmentations
    knows. Instances are one map of numbers (LABELMAP), which newer ones know. The same labels of
    the same series get the same UIDs.

    Args:
      path: the file.
      labels: 0 to 65535.
      files: the series's files, one for each slice in the order of `labels`; or a single file that
        holds all of them.
      distance: mm from slice to slice, for series that do not say how thick their slices are.
      name: what viewers call it.
      instances: whether the labels are instances rather than classes.

    Raises:
      ValueError: if highdicom is not installed, the labels are too many, or the series lacks what a
        segmentation must say of it.
    """
    if labels.max(initial=0) > _MOST_SEGMENTS:
        raise ValueError(f"{path}: a DICOM segmentation holds {_MOST_SEGMENTS:,} segments at most.")
    _segmentation(labels, files, distance, name, instances).save_as(path)


def check_segmentation(shape: Sequence[int], files: Sequence[str], distance: float) -> None:
    """Makes a segmentation without labels, so that what a series lacks is known before the work.

    Args:
      shape: slices, rows and columns.
      files: as for `write_segmentation`.
      distance: likewise.

    Raises:
      ValueError: as `write_segmentation`.
    """
    _segmentation(np.zeros(shape, np.uint8), files, distance, "check", instances=True)


def _segmentation(
    labels: Integer[np.ndarray, "D H W"],
    files: Sequence[str],
    distance: float,
    name: str,
    instances: bool,
) -> Any:
    """The segmentation, an object of highdicom."""
    try:
        import highdicom
        import pydicom.uid
        from pydicom.sr.codedict import codes
    except ImportError as error:
        raise ValueError(
            f"results of {files[0]} would be DICOM segmentations, which highdicom writes, and it "
            "is not installed: pip install '.[dicom]' in a clone."
        ) from error
    import hpunet_jax

    greatest = int(labels.max(initial=0))
    sources = [pydicom.dcmread(file, stop_before_pixels=True, force=True) for file in files]
    try:
        for source in sources:
            _complete(source, distance)
        series = str(sources[0].SeriesInstanceUID)
    except AttributeError as error:
        raise ValueError(_lacking(files, error)) from error
    labels = labels.astype(np.min_scalar_type(greatest))
    content = hashlib.sha256(labels.tobytes()).hexdigest()
    uids = [
        pydicom.uid.generate_uid(entropy_srcs=[series, name, content, part])
        for part in ("series", "instance")
    ]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="hpunet_jax",
        version=hpunet_jax.__version__,
        family=codes.cid7162.ArtificialIntelligence,
    )
    kind = "instance" if instances else "class"
    segments = [
        highdicom.seg.SegmentDescription(
            number, f"{kind} {number}", codes.SCT.Tissue, codes.SCT.Tissue, "AUTOMATIC", algorithm
        )
        for number in range(1, max(1, greatest) + 1)
    ]
    try:
        with warnings.catch_warnings():  # about what the source says, such as an odd name
            warnings.simplefilter("ignore", UserWarning)
            return highdicom.seg.Segmentation(
                sources,
                labels,
                "LABELMAP" if instances else "BINARY",
                segments,
                series_instance_uid=uids[0],
                series_number=900,
                sop_instance_uid=uids[1],
                instance_number=1,
                manufacturer="hpunet_jax",
                manufacturer_model_name="Hierarchical Probabilistic U-Net",
                software_versions=hpunet_jax.__version__,
                device_serial_number="none",
                omit_empty_frames=False,
                content_description=_NOTE,
                series_description=name[:64],
            )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(_lacking(files, error)) from error


def _lacking(files: Sequence[str], error: Exception) -> str:
    missing = isinstance(error, AttributeError) and error.name
    reason = f"it has no {missing}" if missing else str(error)
    return (
        f"no DICOM segmentation can be made of the series of {files[0]} ({reason}): convert the "
        "series to NIfTI, and give that."
    )


def _complete(source: Any, distance: float) -> None:
    """Fills in what an anonymised file may lack."""
    for keyword, value in _UNKNOWN.items():
        if keyword not in source:
            setattr(source, keyword, value)
    if "FrameOfReferenceUID" not in source:
        import pydicom.uid

        series = str(source.SeriesInstanceUID)
        source.FrameOfReferenceUID = pydicom.uid.generate_uid(entropy_srcs=[series, "frame"])
    if "SliceThickness" not in source and "SharedFunctionalGroupsSequence" not in source:
        source.SliceThickness = f"{distance:.6g}"
