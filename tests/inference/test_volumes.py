"""Volumes are sampled slice by slice with the same noise, into files that know what they are of."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from hpunet_jax.inference import outputs, sample_files, volumes
from hpunet_jax.inference.outputs import settings_of
from hpunet_jax.inference.sample_files import finished_samples, write_samples
from hpunet_jax.inference.volumes import read_for, sample_volume
from hpunet_jax.io import Preparation, read_volume

ROOT = pathlib.Path(__file__).parents[2]
RNG = np.random.default_rng(0)
CT = RNG.integers(-1000, 1000, (5, 13, 21)).astype(np.int16)
WINDOW = Preparation(window=(-1000, 400))
OPTIONS = {"num_samples": 3, "seed": 1, "tile": (64, 64)}


def write_ct(path, spacing=(0.5, 0.5, 3.0), array=CT):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-10.0, 20.5, 30.25))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(path))
    return image


def settings(model, slices, preparation=WINDOW):
    return settings_of("sample", model.digest(), slices, preparation, **OPTIONS)


def test_slices_have_the_samples_of_the_model_with_one_noise_for_all(tmp_path, tiny_sampler):
    write_ct(tmp_path / "ct.nii.gz")
    drawn = sample_volume(tiny_sampler, tmp_path / "ct.nii.gz", 3, 1, WINDOW)
    windowed = np.clip((CT + 1000) / 1400, 0, 1).astype(np.float32)
    padded = np.pad(windowed, [(0, 0), (1, 2), (1, 2)], mode="symmetric")[..., None]
    chances = tiny_sampler.sample(padded, 3, 1, probabilities=True, image_ids=[0] * 5)
    chances = chances[:, :, 1:14, 1:22]
    np.testing.assert_array_equal(drawn.labels, chances.argmax(axis=-1))
    np.testing.assert_allclose(drawn.mean, chances.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(drawn.std, chances.std(axis=0), atol=1e-3)
    assert drawn.volume.spacing == (0.5, 0.5, 3.0)
    same = write_ct(tmp_path / "same.nii", array=np.repeat(CT[:1], 3, axis=0))
    again = sample_volume(tiny_sampler, tmp_path / "same.nii", 3, 1, WINDOW)
    assert same.GetSize()[2] == len(again.mean)
    assert (again.labels == again.labels[:, :1]).all()  # equal slices have equal hypotheses


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_samples_of_a_volume_open_in_place_over_it(tmp_path, tiny_sampler, suffix):
    original = write_ct(tmp_path / f"ct{suffix}")
    slices = read_for(tiny_sampler, tmp_path / f"ct{suffix}", WINDOW)
    done = []
    files = write_samples(
        tiny_sampler,
        slices,
        tmp_path / "out",
        settings(tiny_sampler, slices),
        **OPTIONS,
        on_slice=done.append,
    )
    assert sum(done) == 5
    names = ["sample_00", "sample_01", "sample_02"]
    names += [f"{map_}_class{label}" for map_ in ("probability", "std") for label in (1, 2)]
    assert [file.name for file in files] == [name + suffix for name in names]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "samples.json",
        *(file.name for file in files),
    }
    drawn = sample_volume(tiny_sampler, tmp_path / f"ct{suffix}", 3, 1, WINDOW)
    for number, file in enumerate(files[:3]):
        written = sitk.ReadImage(str(file))
        assert written.GetSize() == original.GetSize()
        for corner in ((0, 0, 0), (20, 0, 0), (0, 12, 0), (0, 0, 4)):
            np.testing.assert_allclose(
                written.TransformIndexToPhysicalPoint(corner),
                original.TransformIndexToPhysicalPoint(corner),
                atol=1e-4,
            )
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), drawn.labels[number])
    np.testing.assert_array_equal(read_volume(files[4]).array, drawn.mean[..., 2])


def test_samples_that_were_stopped_go_on_and_equal_those_that_were_not(
    tmp_path, tiny_sampler, monkeypatch
):
    write_ct(tmp_path / "ct.nrrd")
    slices = read_for(tiny_sampler, tmp_path / "ct.nrrd", WINDOW)
    wanted = settings(tiny_sampler, slices)
    whole = write_samples(tiny_sampler, slices, tmp_path / "whole", wanted, **OPTIONS)
    out = tmp_path / "out"

    done = []

    def stop_in_the_third(number):
        done.append(number)
        if sum(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(tiny_sampler, slices, out, wanted, **OPTIONS, on_slice=stop_in_the_third)
    assert [path.name for path in out.iterdir()] == [".unfinished"]
    assert not finished_samples(out, wanted)
    with monkeypatch.context() as patch:  # killed while the files are put together
        patch.setattr(sample_files, "_write_maps", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_samples(tiny_sampler, slices, out, wanted, **OPTIONS)
    assert not finished_samples(out, wanted)
    drawn = []
    one = sample_files.sample_slice
    monkeypatch.setattr(
        sample_files, "sample_slice", lambda *a, **k: drawn.append(a[2]) or one(*a, **k)
    )
    resumed = write_samples(tiny_sampler, slices, out, wanted, **OPTIONS)
    assert drawn == []  # all slices were there
    assert finished_samples(out, wanted)
    for before, after in zip(whole, resumed, strict=True):
        assert before.read_bytes() == after.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )


def test_results_of_something_else_are_never_joined(tmp_path, tiny_sampler):
    write_ct(tmp_path / "ct.nrrd")
    slices = read_for(tiny_sampler, tmp_path / "ct.nrrd", WINDOW)
    wanted, out = settings(tiny_sampler, slices), tmp_path / "out"
    write_samples(tiny_sampler, slices, out, wanted, **OPTIONS)
    assert finished_samples(out, wanted)
    for name, value in (("seed", 2), ("weights", "0" * 16), ("image", "f" * 16)):
        with pytest.raises(ValueError, match=rf"out holds results of .*{name} .*, not {value}"):
            finished_samples(out, {**wanted, name: value})
    (out / "sample_01.nrrd").unlink()
    assert not finished_samples(out, wanted)  # it is made again
    assert not finished_samples(out, {**wanted, "seed": 2}, overwrite=True)
    assert list(out.iterdir()) == []

    (out / "sample_07.nrrd").touch()  # nobody knows of what
    with pytest.raises(ValueError, match=r"sample_07\.nrrd has no record"):
        finished_samples(out, wanted)
    (out / "samples.json").write_text("damaged")
    with pytest.raises(ValueError, match="its record cannot be read"):
        finished_samples(out, wanted)
    assert not finished_samples(out, wanted, overwrite=True)
    assert list(out.iterdir()) == []

    with outputs.unfinished(out / ".unfinished", {**wanted, "seed": 9}) as parts:
        parts.write(0, labels=np.zeros((3, 13, 21), np.uint8))
    with outputs.unfinished(out / ".unfinished", wanted) as parts:
        assert parts.missing(2) == [0, 1]  # of another seed
    (out / "sample_07.nrrd").touch()  # put together by who was stopped before the record
    files = write_samples(tiny_sampler, slices, out, wanted, **OPTIONS)
    assert {path.name for path in out.iterdir()} == {"samples.json", *(f.name for f in files)}


def test_what_is_resampled_comes_back_on_the_grid_of_the_file(tmp_path, tiny_sampler):
    write_ct(tmp_path / "ct.nii", spacing=(0.5, 1.0, 3.0), array=RNG.permuted(CT[:, :8], axis=2))
    with pytest.raises(ValueError, match=r"ct\.nii has pixels of 1x0\.5 mm, which are not square"):
        read_for(tiny_sampler, tmp_path / "ct.nii", WINDOW)
    square = Preparation(window=(-1000, 400), spacing=(0.5, 0.5))
    drawn = sample_volume(tiny_sampler, tmp_path / "ct.nii", 3, preparation=square)
    assert drawn.labels.shape == (3, 5, 8, 21)
    seen = read_for(tiny_sampler, tmp_path / "ct.nii", square)
    assert seen.array.shape == (5, 16, 21, 1)
    fine = volumes.sample_whole(tiny_sampler, seen.array[2], 3)
    upper, lower = fine.labels[:, ::2], fine.labels[:, 1::2]
    assert ((drawn.labels[:, 2] == upper) | (drawn.labels[:, 2] == lower)).all()
    between = (fine.mean[::2] + fine.mean[1::2]) / 2
    np.testing.assert_allclose(drawn.mean[2], between, atol=1e-5)


def test_stacks_of_pages_and_pictures_are_sampled_alike(tmp_path, tiny_sampler):
    pages = RNG.integers(0, 255, (3, 13, 21)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    tifffile.imwrite(tmp_path / "page.tif", pages[1], photometric="minisblack")
    plain = Preparation()
    for name in ("stack", "page"):
        slices = read_for(tiny_sampler, tmp_path / f"{name}.tif", plain)
        write_samples(
            tiny_sampler, slices, tmp_path / name, settings(tiny_sampler, slices, plain), **OPTIONS
        )
    stack = read_volume(tmp_path / "stack" / "sample_00.tif").array
    assert stack.shape == (3, 13, 21)
    page = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "page" / "sample_00.png")))
    np.testing.assert_array_equal(page, stack[1])
    assert tifffile.imread(tmp_path / "page" / "std_class1.tif").dtype == np.float32
    record = json.loads((tmp_path / "page" / "samples.json").read_text())
    assert record["source"] == str(tmp_path / "page.tif")
    assert record["settings"]["num_samples"] == 3


def test_slices_of_a_volume_are_drawn_as_a_network_sees_them(tmp_path):
    write_ct(tmp_path / "ct.nrrd")
    command = [sys.executable, "-m", "experiments.show_data", f"--images={tmp_path / 'ct.nrrd'}"]
    command += [f"--out={tmp_path / 'out' / 'ct.png'}", "--window=-1000,400", "--count=3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sitk.ReadImage(str(tmp_path / "out" / "ct.png")).GetSize()[0] > 500
