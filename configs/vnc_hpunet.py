"""A small HPU-Net on real micrographs, which tells neurites apart (as Section 3.3), for a CPU.

The network of configs/demo_neurites.py, with one latent scale more, on sections of a fly's ventral
nerve cord at 18.4 nm a pixel (docs/data.md, "Micrographs of a ventral nerve cord").

    hpunet build_data --name=vnc --source=downloads/vnc
    hpunet train --config=vnc_hpunet --workdir=runs/vnc
    hpunet evaluate --workdir=runs/vnc

Needs: the download, and two CPU cores. Takes: 30 to 45 minutes on one core.
Expect: reconstruction IoU 0.52, Rand error 0.26 (docs/results.md, "Real micrographs").
"""

import ml_collections

from configs import demo_neurites


def get_config(name: str = "snemi3d_hpunet") -> ml_collections.ConfigDict:
    """The neurites' demo on real micrographs.

    Args:
      name: one of the paper's SNEMI3D configs, which is made small.
    """
    config = demo_neurites.get_config(name).unlock()
    config.data.name = "vnc"
    config.data.augmentation.scale = (0.8, 1.25)
    config.data.augmentation.contrast = 0.2
    config.data.augmentation.brightness = 0.1

    if config.model.name == "hpunet":
        # One more scale, on 1x1 positions, and four latents on each: so that a large profile, on
        # several positions of the finest, comes to one id.
        config.model.num_scales = 7
        config.model.channels = (8, 16, 32, 64, 64, 64, 64)
        config.model.block_channels = (8, 16, 32, 32, 32, 32, 32)
        config.model.latent_dims = (4, 4, 4)

    config.objective.kappa = 1.4  # within reach: at 1.2 the multiplier does not stop rising
    config.optimizer.learning_rate.boundaries = (7_000, 9_000)
    config.training.steps = 10_000

    config.evaluation.protocol = "instances"
    config.evaluation.min_region = 10  # pixels of a profile that counts in the average precision
    config.evaluation.erosion = 3  # profiles are thin at this resolution
    return config.lock()
