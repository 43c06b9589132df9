"""Which images are usual for a model: distances, what they are of, where they are kept."""

import dataclasses

import jax
import ml_collections
import numpy as np
import pytest
from scipy.stats import chi2

import hpunet_jax
from hpunet_jax.checkpoints import CheckpointError, Checkpoints, read_calibration, write_model
from hpunet_jax.inference import Model
from hpunet_jax.inference.calibration import Calibration, calibrate, cut_tiles, sentence
from hpunet_jax.inference.loading import CALIBRATION
from hpunet_jax.networks import build_network


@pytest.fixture
def model(tiny_sampler):
    config = ml_collections.ConfigDict({**tiny_sampler.config, "data": {"crop": (16, 24)}})
    return Model(tiny_sampler.network, tiny_sampler.params, config)


@pytest.fixture
def calibrated(model, images):
    """The model, calibrated on images like the first, with other noise."""
    rng = np.random.default_rng(1)
    near = (images[0] // 4 + rng.integers(60, 80, (120, 16, 24, 1))).astype(np.uint8)
    model.calibration = calibrate([model.describe(near)], model.digest())
    return model, near


def test_of_gaussian_descriptions_the_limit_is_the_quantile_of_chi_squared():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6))
    usual = rng.normal(size=(20_000, 6)) @ mixing + 3
    calibration = calibrate(np.split(usual, 4), "w")
    new = rng.normal(size=(20_000, 6)) @ mixing + 3
    assert (calibration.unlikeness(new) > 1).mean() == pytest.approx(0.01, abs=0.003)
    # Of the covariance a twentieth is shrunk, which moves the quantile a little.
    assert calibration.limit == pytest.approx(np.sqrt(chi2.ppf(0.99, 6)), rel=0.1)
    assert (calibration.unlikeness(new + 8 * np.abs(mixing).sum(axis=0)) > 1).all()


def test_a_description_is_the_mean_and_spread_of_the_finest_features(model, images):
    unit = jax.numpy.asarray(images, np.float32) / 255
    finest = np.asarray(jax.tree.leaves(model.network.encode(model.params, unit))[0])
    mean, spread = finest.mean(axis=(1, 2)), np.log(finest.std(axis=(1, 2)) + 1e-3)
    expected = np.concatenate([mean, spread], axis=1)
    np.testing.assert_allclose(model.describe(images), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.describe(images[1]), expected[1], rtol=1e-4, atol=1e-5)


def test_a_description_is_the_same_in_every_layout(model, images):
    blocked = build_network({**model.config.model.to_dict(), "blocks": (4, 2)})
    other = Model(blocked, model.params, model.config)
    np.testing.assert_allclose(other.describe(images), model.describe(images), rtol=1e-4, atol=1e-5)


def test_an_unlike_image_is_told_in_a_sentence_and_a_usual_one_is_not(calibrated):
    model, near = calibrated
    assert (model.unlikeness(near) < 1).mean() > 0.9
    assert model.warning("near.png", near[0]) is None
    strange = np.full((11, 9, 1), 255, np.uint8)  # of any size
    assert model.unlikeness(strange) > 1
    assert model.warning("all white.png", strange).startswith("all white.png is unlike the images")
    assert sentence("a", np.array([3.21])) == (
        "a is unlike the images that this model was trained on (3.2 times as far as 99% of them): "
        "do not trust its segmentations."
    )
    assert sentence("a", np.array([0.2, 1.0, 3.21])).startswith("1 of 3 slices of a are unlike")


def test_an_image_is_as_unlike_as_three_quarters_of_its_tiles_at_most_are(calibrated):
    model, near = calibrated
    strange = np.full((16, 24, 1), 255, np.uint8)
    one = model.unlikeness(np.concatenate([*near[:7], strange]))
    most = model.unlikeness(np.concatenate([*near[:2], *[strange] * 6]))
    assert one < 1 < most
    assert most == pytest.approx(model.unlikeness(strange))
    tiles = cut_tiles(np.arange(40 * 24).reshape(40, 24, 1), (16, 24), 8)
    np.testing.assert_array_equal(tiles[:, 0, 0, 0] // 24, [0, 12, 24])  # all of it, overlapping


def test_images_that_are_none_are_refused_as_by_the_model(calibrated):
    model, near = calibrated
    for images in (near[0, ..., 0], None, "all white.png", [[1], [1, 2]], near > 0):
        with pytest.raises(ValueError, match="images must be"):
            model.warning("a", images)
    with pytest.raises(ValueError, match=r"24 channels \(the last axis of \(1, 16, 24\)\)"):
        model.describe(near[0].transpose(2, 0, 1))


def test_a_model_without_calibration_says_nothing(model, images):
    assert model.unlikeness(images) is None
    assert model.warning("white.png", np.full((16, 16, 1), 255, np.uint8)) is None


def test_a_model_file_keeps_the_calibration(calibrated, tmp_path):
    model, near = calibrated
    arrays = model.calibration.to_arrays()
    write_model(tmp_path / "m.npz", model.params, model.config, calibration=arrays)
    loaded = hpunet_jax.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(loaded.unlikeness(near), model.unlikeness(near))
    assert loaded.digest() == model.digest()
    write_model(tmp_path / "none.npz", model.params, model.config)
    assert read_calibration(tmp_path / "none.npz") is None
    assert hpunet_jax.load(tmp_path / "none.npz").calibration is None


def test_a_work_directorys_calibration_counts_for_the_weights_that_made_it(calibrated, tmp_path):
    model, _ = calibrated
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, model.params, {"unused": np.zeros(1)}, model.config)
    np.savez(tmp_path / CALIBRATION, **model.calibration.to_arrays())
    assert hpunet_jax.load(tmp_path).calibration.limit == model.calibration.limit
    other = dataclasses.replace(model.calibration, weights="0" * 16)
    np.savez(tmp_path / CALIBRATION, **other.to_arrays())
    assert hpunet_jax.load(tmp_path).calibration is None
    (tmp_path / CALIBRATION).write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match=r"calibration.npz is damaged .*hpunet calibrate"):
        hpunet_jax.load(tmp_path)


def test_a_calibration_needs_images_and_whole_arrays():
    with pytest.raises(ValueError, match="99 images are too few: a calibration needs 100"):
        calibrate([np.zeros((99, 4))], "w")
    good = calibrate([np.random.default_rng(0).normal(size=(200, 4))], "w").to_arrays()
    for bad, message in (
        ({"limit": np.float32(0)}, "does not hold finite numbers"),
        ({"mean": np.zeros(3)}, "does not hold finite numbers of matching shapes"),
        ({"mean": np.full(4, np.nan)}, "does not hold finite numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            Calibration.from_arrays({**good, **bad})
    with pytest.raises(ValueError, match="its calibration has no limit"):
        Calibration.from_arrays({n: a for n, a in good.items() if n != "limit"})
