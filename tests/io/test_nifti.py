"""NIfTI: what SimpleITK does not tell of its files."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from hpunet_jax.io.volumes import read_volume
from hpunet_jax.io.write_volumes import write_volume
from tests.io.test_volumes import CT, itk_image


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_that_are_no_numbers_are_refused(tmp_path, suffix, value, kind):
    values = CT.astype(kind)
    sitk.WriteImage(itk_image(values), str(path := tmp_path / f"ct{suffix}"))
    np.testing.assert_array_equal(read_volume(path).array, values, strict=True)
    values[-1, -1, -1] = value
    sitk.WriteImage(itk_image(values), str(path))
    with pytest.raises(ValueError, match=rf"ct{suffix} has values that are no finite numbers"):
        read_volume(path)


@pytest.mark.parametrize("order", "<>")
def test_nifti_2_is_named(tmp_path, order):
    header = struct.pack(f"{order}i", 540) + b"n+2\0\r\n\032\n" + bytes(532)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(header))
    with pytest.raises(ValueError, match=r"ct\.nii\.gz is NIfTI-2, .* convert it to NIfTI-1"):
        read_volume(tmp_path / "ct.nii.gz")


def unpack(path):
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def fields(content, order):
    """What says where voxels lie: pixdim, units, codes, qform and sform."""
    return [
        struct.unpack_from(f"{order}{kind}", content, at)
        for kind, at in (("4f", 76), ("B", 123), ("2h", 252), ("6f", 256), ("12f", 280))
    ]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("codes", "rows"),
    [
        ((1, 2), [(0.5, 0, 0, 40), (0, 0.75, 0, 0), (0, 0, 3, 7)]),  # shifted
        ((1, 4), [(-0.5, 0, 0, 40), (0, 0, 3, 1), (0, 0.75, 0, 7)]),  # another space
        ((1, 2), [(0.5, 0.2, 0, 0), (0, 0.75, 0, 0), (0, 0, 3, 0)]),  # sheared
        ((0, 1), [(0.5, 0, 0, 40), (0, 0.75, 0, 0), (0, 0, 3, 7)]),
        ((1, 0), [(0, 0, 0, 0)] * 3),
        ((0, 0), [(0, 0, 0, 0)] * 3),
    ],
)
def test_written_nifti_has_both_geometries_of_its_source(tmp_path, codes, rows, suffix, order):
    sitk.WriteImage(itk_image(), str(tmp_path / "ct.nii"))
    little = (tmp_path / "ct.nii").read_bytes()
    # All that the header has to say, in either order of bytes.
    content = bytearray(352) + CT.astype(f"{order}i2").tobytes()
    kinds = {0: "i", 40: "8h", 70: "2h", 76: "8f", 108: "3f", 123: "B", 252: "2h", 256: "6f"}
    for at, kind in kinds.items():
        struct.pack_into(order + kind, content, at, *struct.unpack_from(f"<{kind}", little, at))
    content[344:348] = b"n+1\0"
    struct.pack_into(f"{order}2h", content, 252, *codes)
    struct.pack_into(f"{order}12f", content, 280, *sum(rows, ()))
    source = tmp_path / f"source{suffix}"
    source.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)

    volume = read_volume(source)
    np.testing.assert_array_equal(volume.array, CT)
    for name in ("labels.nii", "labels.nii.gz"):
        write_volume(tmp_path / name, (CT > 0).astype(np.uint8), volume)
        assert fields(unpack(tmp_path / name), "<") == fields(content, order)
        again = read_volume(tmp_path / name)
        np.testing.assert_array_equal(again.array, CT > 0)
        assert (again.spacing, again.origin) == (volume.spacing, volume.origin)
