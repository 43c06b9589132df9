"""A small HPU-Net that tells generated neurites apart, for a laptop's CPU: `make demo_neurites`.

The paper's SNEMI3D experiment (configs/snemi3d_hpunet.py) in small: 64x64 crops of slices that no
microscope took, 5 ids, 6 scales of which 2 carry latents.

    hpunet build_data --name=neurites_phantom
    hpunet train --config=demo_neurites --workdir=runs/demo_neurites
    hpunet sample --workdir=runs/demo_neurites
    hpunet evaluate --workdir=runs/demo_neurites

Needs: two CPU cores and nothing else. Takes: all four less than ten minutes on two
    CPU cores (docs/instances.md).
Expect: on generated slices, reconstruction IoU 0.72, Rand error 0.20 (docs/instances.md).
"""

import importlib

import ml_collections


def get_config(name: str = "snemi3d_hpunet") -> ml_collections.ConfigDict:
    """One of the paper's SNEMI3D configs, made small.

    Args:
      name: the config; what follows the colon in --config=demo_neurites:snemi3d_spunet.
    """
    config = importlib.import_module(f"configs.{name}").get_config().unlock()
    config.data.name = "neurites_phantom"
    config.data.crop = (64, 64)
    config.data.num_ids = 5
    config.data.augmentation.translate = 12.0
    config.data.augmentation.scale = (0.9, 1.1)
    config.data.augmentation.shear = 0.0
    config.data.augmentation.elastic = 0.0

    config.model.num_classes = 6
    config.model.num_scales = 6
    if config.model.name == "hpunet":
        # Few maps at full resolution, where they cost the most, and many where cells are told
        # apart.
        config.model.channels = (8, 16, 32, 64, 64, 64)
        config.model.block_channels = (8, 16, 32, 32, 32, 32)
        # The finest latents lie 16 pixels apart, about a cell's width: finer ones would colour
        # parts of a cell independently. There, a position has four latents, since it may see
        # several cells.
        config.model.latent_dims = (1, 4)
        config.model.blocks_per_scale = 1
    else:
        config.model.base_channels = 8
        config.model.max_channels = 64
        config.model.latent_dim = 68  # as many as the HPU-Net has on its two scales

    config.objective.decay = 0.95  # the multiplier has 2,000 steps, not 450k
    config.optimizer.learning_rate.initial = 2e-3
    config.optimizer.learning_rate.final = 2e-4
    config.optimizer.learning_rate.drops = 2
    config.optimizer.learning_rate.boundaries = (1_300, 1_700)

    config.training.steps = 2_000
    config.training.batch_size = 12
    config.training.log_every = 10
    config.training.checkpoint_every = 500

    config.evaluation.num_samples = 32
    config.evaluation.hamming_threshold = 32
    config.evaluation.batch_size = 32
    return config.lock()
