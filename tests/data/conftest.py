"""Writers of small files in the formats of LIDC-IDRI, shared by the tests of its readers."""

import pathlib
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

PREFIX = "1.3.6.1.4.1.14519.5.2.1.6279.6001."


def write_slice(path, pixels, z, series, number, patient="LIDC-IDRI-0001", **fields):
    """Writes a CT slice with stored values `pixels`; `fields` override or (None) remove tags."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = fields.pop("syntax", ImplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = CTImageStorage
    data = pydicom.Dataset()
    data.file_meta = meta
    tags = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"{PREFIX}{series}.{number}",
        "SeriesInstanceUID": f"{PREFIX}{series}",
        "Modality": "CT",
        "PatientID": patient,
        "InstanceNumber": number,
        "ImagePositionPatient": [-166.0, -171.5, z],
        "SliceLocation": z,
        "PixelSpacing": [0.5, 0.5],
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        **fields,
    }
    with pydicom.config.disable_value_validation():
        for name, value in tags.items():
            if value is not None:
                setattr(data, name, value)
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PixelData = pixels.tobytes()
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def write_markup(path, series, sessions, non_nodules=1):
    """Writes readings by LIDC's schema.

    sessions: for each radiologist a list of nodules, each a list of (z, inclusion, points [n, 2],
    number of the slice or None).
    """
    root = ElementTree.Element("LidcReadMessage", {"xmlns": "http://www.nih.gov", "uid": "1.3.6"})

    def add(parent, name, text=None):
        child = ElementTree.SubElement(parent, name)
        child.text = None if text is None else str(text)
        return child

    header = add(root, "ResponseHeader")
    add(header, "Version", "1.8.1")
    add(header, "SeriesInstanceUid", f"{PREFIX}{series}")
    for number, nodules in enumerate(sessions):
        session = add(root, "readingSession")
        add(session, "annotationVersion", "3.12")
        add(session, "servicingRadiologistID", f"anon-{number}")
        for count, rois in enumerate(nodules):
            nodule = add(session, "unblindedReadNodule")
            add(nodule, "noduleID", f"Nodule {count:03d}")
            if any(len(points) > 1 for _, _, points, _ in rois):
                characteristics = add(nodule, "characteristics")
                for name in ("subtlety", "internalStructure", "calcification", "texture"):
                    add(characteristics, name, 4)
            for z, inclusion, points, number in rois:
                roi = add(nodule, "roi")
                add(roi, "imageZposition", f"{z:.6f} ")
                if number is not None:
                    add(roi, "imageSOP_UID", f"{PREFIX}{series}.{number}")
                add(roi, "inclusion", str(bool(inclusion)).upper())
                for x, y in points:
                    edge = add(roi, "edgeMap")
                    add(edge, "xCoord", x)
                    add(edge, "yCoord", y)
        for count in range(non_nodules):
            mark = add(session, "nonNodule")
            add(mark, "nonNoduleID", count)
            add(mark, "imageZposition", "-100.0")
            locus = add(mark, "locus")
            add(locus, "xCoord", 10)
            add(locus, "yCoord", 20)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)
    return path


def square(x, y, size):
    """The outline of a square: all its pixels, closed, as LIDC lists them."""
    way = [(0, 1, 0), (1, 0, 1), (2, -1, 0), (3, 0, -1)]
    corners = [(x, y), (x + size, y), (x + size, y + size), (x, y + size)]
    points = [
        (corners[k][0] + dx * i, corners[k][1] + dy * i) for k, dx, dy in way for i in range(size)
    ]
    return [*points, points[0]]


def compress(path, syntax):
    """Compresses a slice in place, by the keyword of a transfer syntax."""
    import gdcm

    uid = getattr(pydicom.uid, syntax)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(uid))))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()


class LidcFiles:
    """Writes LIDC-IDRI's files."""

    PREFIX = PREFIX
    explicit = ExplicitVRLittleEndian
    slice = staticmethod(write_slice)
    markup = staticmethod(write_markup)
    square = staticmethod(square)
    compress = staticmethod(compress)

    @staticmethod
    def series(folder, series=1, positions=(0.0, 2.5, 5.0), size=64, seed=0, **fields):
        """Writes noise slices at these positions, numbered from 1; returns the stored values."""
        rng = np.random.default_rng(seed)
        stored = rng.integers(0, 3000, (len(positions), size, size)).astype(np.int16)
        for number, (z, pixels) in enumerate(zip(positions, stored, strict=True), start=1):
            write_slice(folder / f"1-{number:03d}.dcm", pixels, z, series, number, **fields)
        return stored


@pytest.fixture(scope="session")
def lidc_files():
    """Writers of DICOM slices and XML readings."""
    return LidcFiles
