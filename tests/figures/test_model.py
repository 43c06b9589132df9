"""Which pictures are drawn of a trained model, by the kind of its data."""

import types

import ml_collections
import numpy as np
import pytest

from hpunet_jax.figures.model import model_figures
from hpunet_jax.inference.model import Model

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 20, 20, 1)).astype(np.uint8)


class Fake(Model):
    """Draws noise; keeps what it was asked for."""

    def __init__(self, num_classes, num_ids=None, extrapolation=None):
        self.num_classes_, self.asked = num_classes, []
        data = {"crop": (16, 16), "num_ids": num_ids, "extrapolation": extrapolation}
        evaluation = {"num_samples": 3, "protocol": "snemi3d", "hamming_threshold": 3}
        self.config = ml_collections.ConfigDict({"data": data, "evaluation": evaluation})

    @property
    def num_classes(self):
        return self.num_classes_

    @property
    def num_latent_scales(self):
        return 2

    def sample(
        self, images, num_samples, seed=0, scales=None, probabilities=False, visible_labels=None
    ):
        self.asked.append((images.shape[1:3], num_samples, scales))
        shape = (num_samples, *images.shape[:3])
        labels = np.random.default_rng(seed).integers(0, self.num_classes, shape)
        return np.eye(self.num_classes)[labels] if probabilities else labels.astype(np.uint8)

    def reconstruct(self, images, labels, visible_labels=None):
        assert labels.shape == images.shape[:3]
        assert 0 <= labels.min() <= labels.max() < self.num_classes
        return labels.astype(np.uint8)


MASKS = {"image": IMAGES, "masks": np.where(IMAGES > 250, 255, IMAGES > 128).astype(np.uint8)}
CELLS = {"image": IMAGES, "instances": (IMAGES[..., 0] // 64).astype(np.uint16)}


@pytest.mark.parametrize(
    ("model", "examples", "names"),
    [
        (Fake(2), MASKS, {"samples.png", "scales.png"}),
        (Fake(4, num_ids=3), CELLS, {"instances.png", "scales.png"}),
        (Fake(4, num_ids=3, extrapolation={"hidden": 0.5}), CELLS, {"extrapolation.png"}),
    ],
)
def test_the_pictures_follow_the_annotations_and_show_the_centre_crop(model, examples, names):
    assert set(model_figures(model, examples)) == names
    assert {size for size, _, _ in model.asked} == {(16, 16)}
    assert {count for _, count, scales in model.asked if scales != []} == {3}


def test_whole_images_are_shown_whole():
    model = Fake(2)
    model.network = types.SimpleNamespace(size_multiple=16)
    model.config.data.whole_images = True
    assert set(model_figures(model, MASKS)) == {"samples.png", "scales.png"}
    assert {size for size, _, _ in model.asked} == {(32, 32)}
    model.asked.clear()
    model.config.evaluation.tile = (20, 17)  # more would not fit into memory
    model_figures(model, MASKS)
    assert {size for size, _, _ in model.asked} == {(16, 16)}


def test_only_the_pictures_asked_for_are_drawn():
    assert set(model_figures(Fake(2), MASKS, num_samples=2, only=["scales.png"])) == {"scales.png"}
