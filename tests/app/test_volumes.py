"""Volumes on the page: slices, windows, and masks saved in place."""

import base64

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from hpunet_jax.app.explorer import Explorer, _area
from hpunet_jax.app.pictures import file_pictures
from hpunet_jax.io import Preparation, read_volume
from tests.io.test_volumes import write_series

CT = np.random.default_rng(0).integers(-1000, 1000, (3, 13, 9)).astype(np.int16)


@pytest.fixture
def volumes(model, tmp_path):
    image = sitk.GetImageFromArray(CT)
    image.SetSpacing((1.0, 0.5, 3.0))
    image.SetOrigin((-10.0, 20.5, 30.25))
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    preparation = Preparation(window=(-1000, 400), spacing=(0.5, 0.5))
    pictures = file_pictures(model, [tmp_path / "ct.nii.gz"], preparation)
    return Explorer(model, "tiny", pictures, str(tmp_path / "out"), max_cases=2)


def test_slices_of_a_volume_are_opened_with_windows_in_its_units(volumes):
    assert volumes.info()["images"] == ["ct.nii.gz"]
    opened = volumes.image({"image": 0, "slice": 2})
    assert (opened["slice"], opened["slices"], opened["name"]) == (2, 3, "ct")
    assert opened["spacing"] == (0.5, 0.5)
    assert opened["presets"]["lung"] == (0, 65535)  # -1000 to 400, as it was prepared
    low, high = opened["presets"]["mediastinum"]
    assert (round(low / 65535 * 1400 - 1000), round(high / 65535 * 1400 - 1000)) == (-160, 240)
    with pytest.raises(ValueError, match="`slice` is 3, but ct has slices 0 to 2"):
        volumes.image({"image": 0, "slice": 3})


def arrays_from(sent):
    return np.frombuffer(base64.b64decode(sent["data"]), sent["dtype"]).reshape(sent["shape"])


def test_a_mask_is_saved_in_place_of_its_slice(volumes, tmp_path):
    opened = volumes.image({"image": 0, "slice": 1})
    noise = volumes.hypotheses({"image": 0, "slice": 1})["hypotheses"][0]["noise"]
    saved = volumes.save({"image": 0, "slice": 1, "noise": noise})
    assert [file.rsplit("/", 1)[1] for file in saved["files"]] == [
        f"ct_slice1_001{suffix}" for suffix in (".png", ".json", ".nii.gz")
    ]
    written = read_volume(tmp_path / "out" / "ct_slice1_001.nii.gz")
    original = read_volume(tmp_path / "ct.nii.gz")
    assert written.array.shape == CT.shape
    assert (written.spacing, written.origin) == (original.spacing, original.origin)
    assert not written.array[[0, 2]].any()
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "ct_slice1_001.png")))
    np.testing.assert_array_equal(written.array[1], shown)  # on the file's pixels, not the model's
    seen = arrays_from(volumes.decode({"image": 0, "slice": 1, "noise": noise})["labels"])
    assert seen.shape == (13, 18)
    assert ((shown == seen[:, ::2]) | (shown == seen[:, 1::2])).all()
    assert opened["slices"] == 3


def test_areas_are_in_pixels_of_the_file_at_any_scale(model, tmp_path):
    Image.fromarray(np.full((12, 8), 99, np.uint8)).save(tmp_path / "a.png")
    pictures = file_pictures(model, [tmp_path / "a.png"], Preparation(scale=2.0))
    labels = np.pad(np.ones((6, 10)), [(0, 18), (0, 6)])
    assert _area(labels, pictures.open(0, 0)) == "15 pixels"


def test_a_volume_of_nothing_but_air_is_shown_with_percentiles(model, tmp_path):
    air = sitk.GetImageFromArray(np.full((2, 8, 8), -1000, np.int16))
    sitk.WriteImage(air, str(tmp_path / "air.nii"))
    pictures = file_pictures(model, [tmp_path / "air.nii"], Preparation(percentiles=(1, 99)))
    opened = Explorer(model, "tiny", pictures, None).image({"image": 0})
    assert np.isfinite(list(opened["presets"].values())).all()


def test_that_no_mask_of_a_series_can_be_saved_is_said_when_it_is_opened(model, tmp_path):
    write_series(tmp_path / "ct", [30.0, 33.0, 36.0])
    for file in (tmp_path / "ct").iterdir():
        data = pydicom.dcmread(file)
        del data.StudyInstanceUID
        data.save_as(file)
    preparation = Preparation(window=(-1000, 400), spacing=(0.75, 0.5))
    pictures = file_pictures(model, [tmp_path / "ct"], preparation)
    opened = Explorer(model, "tiny", pictures, str(tmp_path / "out")).image({"image": 0})
    assert "Nothing can be saved of this image: " in opened["warning"]
    assert "it has no StudyInstanceUID" in opened["warning"]
    assert Explorer(model, "tiny", pictures, None).image({"image": 0})["warning"] is None
