"""A small HPU-Net on the embedded LIDC phantom, for a laptop's CPU: what `make demo` trains.

    python -m experiments.train --config=configs/demo.py --workdir=runs/demo

It differs from the paper's network in size only: 64x64 crops (32 mm), 5 scales of which 3 carry
latents, fewer and narrower residual blocks. See README.md for how long it takes and what it
reaches.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The paper's LIDC config, made small."""
    config = lidc_hpunet.get_config().unlock()
    config.data.name = "lidc_phantom"
    config.data.crop = (64, 64)
    config.data.augmentation.translate = 8.0
    config.data.augmentation.elastic = 1.0

    config.model.num_scales = 6
    config.model.base_channels = 12
    config.model.max_channels = 48
    config.model.latent_dims = (1, 1, 1)
    config.model.blocks_per_scale = 1

    config.objective.top_k = 0.08  # as many pixels of a 64x64 crop as 2 % of 128x128
    config.optimizer.learning_rate.initial = 1e-3
    config.optimizer.learning_rate.final = 1e-4
    config.optimizer.learning_rate.drops = 2

    config.training.steps = 1_000
    config.training.batch_size = 12
    config.training.log_every = 10
    config.training.checkpoint_every = 500

    config.evaluation.batch_size = 64
    return config.lock()
