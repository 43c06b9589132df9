"""A model that fills in what is hidden (Fig. 5): what it sees, and what it refuses."""

import pathlib
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest
from PIL import Image

from hpunet_jax import load
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.inference.inputs import as_unit_images
from hpunet_jax.inference.model import Model
from hpunet_jax.networks import build_network
from hpunet_jax.tasks.extrapolation import hide, num_channels, visible_input
from hpunet_jax.training.setup import build_draw_batch

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plain(tiny_model):
    return Model(build_network(tiny_model), None, ml_collections.ConfigDict({"model": tiny_model}))


@pytest.fixture(scope="module")
def model(tiny_model):
    section = {**tiny_model, "image_channels": num_channels(1, tiny_model["num_classes"])}
    network = build_network(section)
    config = {"model": section, "data": {"extrapolation": {"hidden": (0.3, 0.7)}}}
    return Model(network, network.init(jax.random.key(0)), ml_collections.ConfigDict(config))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 24, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, 3, (2, 16, 24)).astype(np.uint8)


def test_samples_and_reconstructions_see_the_visible_part_only(model, images, labels):
    visible = hide(labels, 0.5)
    arguments = {"probabilities": True, "visible_labels": visible}
    samples = model.sample(images, num_samples=2, **arguments)
    assert samples.shape == (2, 2, 16, 24, 3)
    rebuilt = model.reconstruct(images, labels, **arguments)

    seen = visible_input(as_unit_images(images), visible, 3)
    network, params = model.network, model.params
    outputs = network.train_outputs(params, None, seen, labels.astype(np.int32), mean=True)
    np.testing.assert_allclose(rebuilt, jax.nn.softmax(outputs.logits), atol=1e-6)

    other = images.copy()
    other[:, :8] = 255 - other[:, :8]  # hidden
    np.testing.assert_array_equal(model.sample(other, num_samples=2, **arguments), samples)
    other[:, 8:] = 255 - other[:, 8:]  # visible
    assert (model.sample(other, num_samples=2, **arguments) != samples).any()
    arguments["visible_labels"] = np.where(visible == 1, 2, visible)
    assert (model.sample(images, num_samples=2, **arguments) != samples).any()


def test_hidden_pixels_may_be_255_as_in_unsigned_label_maps(model, images, labels):
    visible = hide(labels, 0.5)
    unsigned = np.where(visible < 0, 255, visible).astype(np.uint8)
    np.testing.assert_array_equal(
        model.sample(images, num_samples=2, visible_labels=unsigned),
        model.sample(images, num_samples=2, visible_labels=visible),
    )


def test_visible_labels_are_refused_unless_the_model_extrapolates(plain, model, images, labels):
    assert model.extrapolates
    assert not plain.extrapolates
    for use in (plain.sample, lambda *a, **k: plain.reconstruct(*a, labels, **k)):
        with pytest.raises(ValueError, match="not trained to extrapolate"):
            use(images, visible_labels=hide(labels, 0.5))
    for use in (model.sample, lambda *a: model.reconstruct(*a, labels)):
        with pytest.raises(ValueError, match="give the visible segmentation as visible_labels"):
            use(images)


def test_visible_labels_that_do_not_fit_are_refused_in_a_sentence(model, images, labels):
    for bad, message in (
        (labels[:1], r"integers of shape \(2, 16, 24\), not uint8 of shape \(1, 16, 24\)"),
        (labels.astype(float), "not float64"),
        (labels + 1, r"lie in \[1, 3\], but the model knows the classes 0 to 2"),
        (labels.astype(int) - 2, r"lie in \[-2, 0\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(images, visible_labels=bad)
    with pytest.raises(ValueError, match="the visible segmentation has 7 channels"):
        model.sample(images.repeat(3, axis=-1), visible_labels=hide(labels, 0.5))


def test_a_config_with_the_section_feeds_the_network_hidden_parts(tiny_config, examples):
    config = tiny_config.copy_and_resolve_references().unlock()
    config.data.extrapolation = ml_collections.ConfigDict({"hidden": (0.3, 0.7)})
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"image_channels is 1, .* needs 4"):
        jax.eval_shape(build_draw_batch(config), key, examples)
    plain = jax.jit(build_draw_batch(tiny_config))(key, examples)
    config.model.image_channels = num_channels(1, 2)
    batch = jax.jit(build_draw_batch(config))(key, examples)
    np.testing.assert_array_equal(batch.label, plain.label)
    np.testing.assert_array_equal(batch.mask, plain.mask)
    visible = np.asarray(batch.image[..., -1]) == 1
    assert 0 < visible.mean() < 1
    # Two programs: how XLA fuses the augmentation's sums differs between its versions.
    np.testing.assert_allclose(batch.image[..., :1][visible], plain.image[visible], rtol=1e-6)

    network = build_network(config.model)
    shapes = network.param_shapes(), batch.image, batch.label
    rebuilt = jax.eval_shape(network.reconstruct, *shapes)
    assert rebuilt.shape == (*batch.label.shape, 2)


def test_a_loaded_model_knows_that_it_extrapolates(tmp_path, model, images, labels):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, model.params, {"unused": np.zeros(1)}, model.config)
    arguments = {"num_samples": 1, "visible_labels": hide(labels, 0.5)}
    np.testing.assert_array_equal(
        load(tmp_path).sample(images, **arguments), model.sample(images, **arguments)
    )


@pytest.mark.parametrize("program", ["sample", "explore"])
def test_programs_that_have_images_alone_refuse_it_in_the_sentence_of_segment(tmp_path, program):
    if program == "explore":
        pytest.importorskip("starlette", reason="pip install '.[app]' in a clone")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "a.png")
    arguments = [f"--images={tmp_path / 'a.png'}", f"--out={tmp_path / 'out'}"]
    arguments += ["--checkpoint=pretrained/neurites_extrapolation"]
    arguments += ["--port=0"] if program == "explore" else []
    command = [sys.executable, "-m", f"experiments.{program}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert "error: this model was trained to extrapolate (data.extrapolation)" in done.stderr
    assert not (tmp_path / "out").exists()
