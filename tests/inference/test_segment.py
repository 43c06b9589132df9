"""From an image to instances with their confidences, and the program that writes them."""

import csv
import pathlib
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.inference import segment
from hpunet_jax.inference.calibration import Calibration
from hpunet_jax.inference.model import Model
from hpunet_jax.inference.padding import pad_to_multiple
from hpunet_jax.inference.segment import (
    Segmenter,
    SegmentOptions,
    instances_from_samples,
)
from hpunet_jax.inference.segment_files import on_grid
from hpunet_jax.instances import clean_up, hamming_cluster
from hpunet_jax.instances.scores import (
    InstanceTable,
    foreground_probability,
    instance_scores,
)
from hpunet_jax.io import read_labels
from hpunet_jax.networks import build_network

ROOT = pathlib.Path(__file__).parents[2]
OPTIONS = SegmentOptions(num_samples=4, threshold=4, erosion=1)


@pytest.fixture(scope="module")
def model(tiny_model):
    network = build_network({**tiny_model, "num_classes": 4})
    params = network.init(jax.random.key(0))
    # Large latent weights, so that samples differ although the network is untrained.
    for name, module in params.items():
        if name.startswith("prior/latent"):
            module["w"] = 5 * module["w"]
    config = {
        "model": {**tiny_model, "num_classes": 4},
        "data": {"num_ids": 3},
        "evaluation": {"num_samples": 4, "hamming_threshold": 4, "erosion": 1, "seed": 0},
    }
    return Model(network, params, ml_collections.ConfigDict(config))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (13, 18, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, OPTIONS)


def test_an_image_of_any_size_is_segmented_as_its_padded_samples_are_clustered(
    model, segmenter, image
):
    result = segmenter(image)
    padded, inside = pad_to_multiple(image, 8)
    probabilities = model.sample(padded[None], 4, 0, probabilities=True)[:, 0]
    labels = probabilities.argmax(axis=-1)[:, *inside]
    np.testing.assert_array_equal(result.labels, labels)
    expected = clean_up(hamming_cluster(labels, 4), erosion=1)
    assert result.instances.dtype == np.uint16
    assert result.instances.shape == (13, 18)
    np.testing.assert_array_equal(result.instances == 0, expected == 0)
    pairs = set(zip(result.instances.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected)) > 2

    table = result.table
    assert table.ids.tolist() == list(range(1, result.instances.max() + 1))
    foreground = foreground_probability(probabilities, range(1, 4))[inside]
    np.testing.assert_allclose(
        table.confidences, instance_scores(result.instances, foreground), rtol=1e-5
    )
    assert ((table.agreements > 0) & (table.agreements <= 1)).all()


def test_confidences_fall_with_how_unlike_the_image_is(model, image):
    plain = Segmenter(model, OPTIONS)(image)
    calibration = Calibration(np.zeros(1), np.eye(1), 1.0, model.digest())
    for unlikeness, factor in ((0.5, 1.0), (4.0, 0.25)):
        calibrated = Model(model.network, model.params, model.config, calibration=calibration)
        calibrated.unlikeness = lambda _, value=unlikeness: value
        found = Segmenter(calibrated, OPTIONS)(image)
        np.testing.assert_array_equal(found.instances, plain.instances)
        np.testing.assert_allclose(found.table.confidences, factor * plain.table.confidences)
        np.testing.assert_array_equal(found.table.agreements, plain.table.agreements)


def test_only_the_stochastic_classes_become_instances():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[:, :3], labels[:, 3:] = 7, 14  # a class of stuff above a car
    options = SegmentOptions(num_samples=4, threshold=2)
    found = instances_from_samples(labels, range(13, 18), options)
    np.testing.assert_array_equal(found[:3], 0)
    assert set(np.unique(found[3:])) <= {0, 1}
    found = instances_from_samples(labels, range(1, 16), options)
    assert len(np.unique(found)) == 1 or set(np.unique(found)) == {1, 2}


def test_nothing_but_background_is_no_instance():
    nothing = np.zeros((4, 300, 300), np.uint8)
    assert (instances_from_samples(nothing, range(1, 4), OPTIONS) == 0).all()


def test_more_instances_than_16_bits_hold_are_an_error(monkeypatch):
    def each_pixel_its_own(labels, *arguments, **options):
        return 1 + np.arange(labels[0].size, dtype=np.int32).reshape(labels.shape[1:])

    monkeypatch.setattr(segment, "hamming_cluster", each_pixel_its_own)
    samples = np.ones((4, 256, 256), np.uint8)
    assert instances_from_samples(samples[:, :255], range(1, 4), OPTIONS).max() == 255 * 256
    with pytest.raises(ValueError, match="there are 65,536 instances, but uint16"):
        instances_from_samples(samples, range(1, 4), OPTIONS)


def test_options_come_from_the_config_unless_they_are_changed(model):
    assert SegmentOptions.from_config(model.config) == OPTIONS
    changed = SegmentOptions.from_config(model.config, threshold=2, seed=None)
    assert changed == SegmentOptions(num_samples=4, threshold=2, erosion=1)
    streets = ml_collections.ConfigDict({"evaluation": {"protocol": "cityscapes"}})
    assert SegmentOptions.from_config(streets).no_neighbour == "background"
    assert SegmentOptions.from_config(ml_collections.ConfigDict()) == SegmentOptions()


@pytest.mark.parametrize(
    ("samples", "threshold"), [(16, 16), (8, 8), (32, 32), (4, 4), (1, 1), (5, 5)]
)
def test_the_threshold_grows_and_shrinks_with_the_number_of_samples(samples, threshold):
    config = ml_collections.ConfigDict({"evaluation": {"num_samples": 16, "hamming_threshold": 16}})
    options = SegmentOptions.from_config(config, num_samples=samples)
    assert options == SegmentOptions(num_samples=samples, threshold=threshold)
    own = SegmentOptions.from_config(config, num_samples=samples, threshold=1)
    assert own.threshold == 1
    # Two objects that every sample tells apart stay two, whatever the number of samples.
    rng = np.random.default_rng(0)
    labels = np.zeros((samples, 8, 16), np.uint8)
    first = rng.integers(1, 4, samples)
    labels[:, :, :8], labels[:, :, 8:] = first[:, None, None], (first % 3 + 1)[:, None, None]
    found = instances_from_samples(labels, range(1, 4), options)
    assert len(np.unique(found)) == 2


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("num_samples", 0, "num_samples must be an integer"),
        ("num_samples", 2.5, "num_samples must be an integer"),
        ("num_samples", True, "num_samples must be an integer"),
        ("threshold", -1, "threshold must be an integer"),
        ("threshold", "16", "threshold must be an integer"),
        ("threshold", 32, "threshold must be less than 32 for 16 samples, not 32"),
        ("erosion", 4, "erosion must be an odd integer"),
        ("erosion", 0, "erosion must be an odd integer"),
        ("neighbourhood", 10, "neighbourhood must be an odd integer"),
        ("no_neighbour", "drop", "no_neighbour must be"),
        ("seed", -1, "seed must be an integer"),
        ("seed", 2**40, "seed must be an integer"),
    ],
)
def test_options_that_make_no_sense_are_named(field, value, words):
    with pytest.raises(ValueError, match=words):
        SegmentOptions(**{field: value})


def test_an_image_that_needs_more_memory_than_allowed_is_refused(model, segmenter, image):
    least = 4 * 16 * 24  # the labels alone
    assert least < segmenter.memory((13, 18)) < segmenter.memory((26, 36))
    strict = Segmenter(model, OPTIONS, max_memory=1000.0)
    with pytest.raises(ValueError, match=r"image of 16x24 pixels needs 0\.0 GB .* scale it down"):
        strict(image)


def test_what_does_not_fit_is_refused_in_a_sentence(model, segmenter):
    with pytest.raises(ValueError, match="image_channels=1"):
        segmenter(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="no pixels"):
        segmenter(np.zeros((0, 8, 1), np.uint8))
    for data, message in (({}, "does not tell instances apart"), ({"num_ids": 2}, "makes 3")):
        config = ml_collections.ConfigDict({"model": {}, "data": data})
        with pytest.raises(ValueError, match=message):
            Segmenter(Model(model.network, model.params, config), OPTIONS)
    config = ml_collections.ConfigDict({"data": {"num_ids": 3, "extrapolation": {}}})
    with pytest.raises(ValueError, match="trained to extrapolate"):
        Segmenter(Model(model.network, model.params, config), OPTIONS)


def run_program(*arguments, program="segment"):
    command = [sys.executable, "-m", f"experiments.{program}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_program_writes_maps_overlays_and_the_table(tmp_path, model, segmenter, image):
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(1, model.params, {"unused": np.zeros(1)}, model.config)
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    Image.fromarray(image[..., 0]).save(images / "one.png")
    Image.fromarray(image[:8, :8, 0]).save(images / "two.tif")
    pages = np.stack([image[::-1, :, 0], image[..., 0]])
    tifffile.imwrite(images / "stack.tif", pages, photometric="minisblack")
    (images / "Thumbs.db").touch()
    arguments = f"--checkpoint={tmp_path / 'run'}", f"--images={images}", f"--out={out}"
    done = run_program(*arguments)
    assert done.returncode == 0, done.stderr
    assert "in 3 images" in done.stdout

    expected = segmenter(image)
    with Image.open(out / "one_instances.png") as written:
        assert written.mode == "I;16"
        np.testing.assert_array_equal(np.array(written), expected.instances)
    with (out / "instances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"one.png", "two.tif", "stack.tif"}
    stack = tifffile.imread(out / "stack_instances.tif")
    np.testing.assert_array_equal(stack[1], expected.instances)  # numbered slice by slice
    of_stack = [row for row in rows if (row["image"], row["slice"]) == ("stack.tif", "1")]
    assert [int(row["instance"]) for row in of_stack] == expected.table.ids.tolist()
    assert tifffile.imread(out / "stack_overlay.tif").shape[0] == 2
    assert not list(out.glob(".*"))
    of_one = [row for row in rows if row["image"] == "one.png"]
    assert [int(row["instance"]) for row in of_one] == expected.table.ids.tolist()
    assert [int(row["area"]) for row in of_one] == expected.table.areas.tolist()
    assert [int(row["left"]) for row in of_one] == expected.table.boxes[:, 0].tolist()
    written = [[float(row[name]) for row in of_one] for name in ("confidence", "agreement")]
    columns = expected.table.confidences, expected.table.agreements
    np.testing.assert_allclose(written, columns, atol=1e-4)
    with Image.open(out / "two_overlay.png") as overlay:
        assert overlay.size == (512, 512)

    refused = run_program(*arguments[:2], f"--out={images}")
    assert refused.returncode == 1
    assert f"{images} is where {images} is read from" in refused.stderr
    assert sorted(path.name for path in images.iterdir()) == [
        *("Thumbs.db", "one.png", "stack.tif", "two.tif")
    ]

    (images / "zz.png").write_bytes(b"damaged")
    again = run_program(*arguments[:2], f"--out={tmp_path / 'other'}")
    assert again.returncode == 1
    assert "zz.png is no PNG, JPEG" in again.stderr
    assert not (tmp_path / "other").exists()  # told before the first is segmented


def test_sample_takes_any_size_and_suffix_and_never_writes_among_the_images(tmp_path, model, image):
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(1, model.params, {"unused": np.zeros(1)}, model.config)
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    Image.fromarray(image[..., 0]).save(images / "one.PNG")
    volume = sitk.GetImageFromArray(np.stack([image[..., 0], image[::-1, :, 0]]))
    volume.SetOrigin((3, 4, 5))
    sitk.WriteImage(volume, str(images / "scan.nii.gz"))
    (images / "._one.png").write_bytes(b"a Mac's")
    (images / "notes.txt").touch()
    arguments = f"--workdir={tmp_path / 'run'}", f"--images={images}"
    refused = run_program(*arguments, f"--out={images / 'samples'}", program="sample")
    assert refused.returncode == 1
    assert "images is read from" in refused.stderr
    done = run_program(*arguments, f"--out={out}", program="sample")
    assert done.returncode == 0, done.stderr
    assert "1 skipped that are no image files here (notes.txt)" in done.stdout
    padded, inside = pad_to_multiple(image, 8)
    expected = model.sample(padded[None], 4)[:, 0, *inside]
    written = [read_labels(out / f"one/sample_{number:02d}.png").array for number in range(4)]
    np.testing.assert_array_equal(written, expected)
    written = sitk.ReadImage(str(out / "scan" / "sample_02.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written)[0], expected[2])
    assert written.GetOrigin() == (3, 4, 5)
    assert {path.suffix for path in (out / "scan").iterdir()} == {".gz", ".json", ".png"}
    names = ["._one.png", "notes.txt", "one.PNG", "scan.nii.gz"]
    assert sorted(path.name for path in images.iterdir()) == names


def test_instances_on_another_grid_keep_their_numbers_and_get_its_areas():
    instances = np.zeros((4, 4), np.uint16)
    instances[:2, :2], instances[2:, 2:], instances[0, 3] = 1, 2, 3
    table = InstanceTable(
        np.array([1, 2, 3]), np.array([4, 4, 1]), np.zeros((3, 4), int), np.ones(3), np.ones(3)
    )
    fine, on_fine = on_grid(instances, table, (8, 4))
    np.testing.assert_array_equal(fine, np.repeat(instances, 2, axis=0))
    assert on_fine.areas.tolist() == [8, 8, 2]
    assert on_fine.boxes.tolist() == [[0, 0, 2, 4], [2, 4, 2, 4], [3, 0, 1, 2]]
    coarse, on_coarse = on_grid(instances, table, (2, 2))
    assert coarse.shape == (2, 2)
    assert set(on_coarse.ids.tolist()) == set(np.unique(coarse)) - {0}
    assert on_grid(instances, table, (4, 4))[1] is table
