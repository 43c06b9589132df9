"""A small HPU-Net that tells generated neurites apart, for a laptop's CPU: `make demo_neurites`.

    python -m experiments.build_data --name=neurites_phantom
    python -m experiments.train --config=configs/demo_neurites.py --workdir=runs/demo_neurites
    python -m experiments.sample --workdir=runs/demo_neurites
    python -m experiments.evaluate --workdir=runs/demo_neurites

The paper's SNEMI3D experiment (configs/snemi3d_hpunet.py) in small: 64x64 crops of slices that no
microscope took, 5 ids, 6 scales of which 2 carry latents. docs/instances.md says how long it takes
and what it reaches.
"""

import ml_collections

from configs import snemi3d_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The paper's SNEMI3D config, made small."""
    config = snemi3d_hpunet.get_config().unlock()
    config.data.name = "neurites_phantom"
    config.data.crop = (64, 64)
    config.data.num_ids = 5
    config.data.augmentation.translate = 12.0
    config.data.augmentation.scale = (0.9, 1.1)
    config.data.augmentation.shear = 0.0
    config.data.augmentation.elastic = 0.0

    config.model.num_classes = 6
    config.model.num_scales = 6
    # Few maps at full resolution, where they cost the most, and many where cells are told apart.
    config.model.channels = (8, 16, 32, 64, 64, 64)
    config.model.block_channels = (8, 16, 32, 32, 32, 32)
    # The finest latents lie 16 pixels apart, about a cell's width: finer ones would colour parts
    # of a cell independently. There, a position has four latents, since it may see several cells.
    config.model.latent_dims = (1, 4)
    config.model.blocks_per_scale = 1

    config.objective.kappa = 1.1
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
