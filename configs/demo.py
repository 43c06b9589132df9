"""A small HPU-Net on the embedded LIDC phantom, for a laptop's CPU: what `make demo` trains.

    python -m experiments.train --config=configs/demo.py --workdir=runs/demo
    python -m experiments.train --config=configs/demo.py:lidc_spunet --workdir=runs/demo_spunet

The second line makes another LIDC config of this folder small in the same way.

It differs from the paper's network in size only: 64x64 crops (32 mm), 5 scales of which 3 carry
latents, fewer and narrower residual blocks. See README.md for how long it takes and what it
reaches.
"""

import importlib

import ml_collections

_SMALL_NETWORKS = {
    "hpunet": {"num_scales": 6, "base_channels": 12, "max_channels": 48, "blocks_per_scale": 1},
    "spunet": {"num_scales": 5, "base_channels": 12, "max_channels": 48},
    "unet": {"num_scales": 5, "base_channels": 12, "max_channels": 48},
}


def get_config(name: str = "lidc_hpunet") -> ml_collections.ConfigDict:
    """One of the paper's LIDC configs, made small.

    Args:
      name: the config; what follows the colon in --config=configs/demo.py:lidc_spunet.
    """
    config = importlib.import_module(f"configs.{name}").get_config().unlock()
    config.data.name = "lidc_phantom"
    config.data.crop = (64, 64)
    config.data.augmentation.translate = 8.0
    config.data.augmentation.elastic = 1.0

    config.model.update(_SMALL_NETWORKS[config.model.name])
    if config.model.name == "hpunet":
        if len(config.model.latent_dims) > 1:
            config.model.latent_dims = config.model.latent_dims[1:]  # up to 8x8 positions again
        else:
            config.model.num_scales = 7  # global latents need a bottom of 1x1

    if config.objective.top_k < 1:
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
