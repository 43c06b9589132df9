"""The extrapolation task of Section 3.3 (Fig. 5) in small: neurites beyond what the model sees.

configs/demo_neurites.py with a part of each training image hidden from one side; the network sees
the image and the segmentation of the rest.

    hpunet build_data --name=neurites_phantom
    hpunet train --config=demo_extrapolation \\
        --workdir=runs/demo_extrapolation
    hpunet sample --workdir=runs/demo_extrapolation

Needs: two CPU cores and nothing else. Takes: half the steps of configs/demo_neurites.py.
Expect: samples of what is hidden, extrapolation.png, shown in docs/extrapolation.md; no score.
"""

import ml_collections

from configs import demo_neurites


def get_config() -> ml_collections.ConfigDict:
    """The config of the neurites' demo, with hidden parts and trained half as long."""
    config = extrapolate(demo_neurites.get_config()).unlock()
    config.training.steps = 1_000
    config.optimizer.learning_rate.boundaries = (650, 850)
    return config.lock()


def extrapolate(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config with parts of the training images hidden."""
    config = config.unlock()
    config.data.extrapolation = ml_collections.ConfigDict()
    config.data.extrapolation.hidden = (0.3, 0.7)  # least and greatest fraction of an image
    config.data.extrapolation.sides = ("top", "bottom", "left", "right")
    # The image, one channel for each class of the visible segmentation, and what is visible.
    config.model.image_channels += config.model.num_classes + 1
    return config.lock()
