"""A small HPU-Net that tells generated cars apart, for a laptop's CPU: `make demo_cars` trains it.

The paper's Cityscapes experiment (configs/cityscapes_hpunet.py) in small: drawn scenes of 64x128
pixels with the same classes and 5 ids for cars, 6 scales of which 3 carry latents.

    hpunet build_data --name=streets_phantom
    hpunet train --config=demo_cars --workdir=runs/demo_cars
    hpunet sample --workdir=runs/demo_cars
    hpunet evaluate --workdir=runs/demo_cars

Needs: two CPU cores and nothing else. Takes: all four less than ten minutes on two
    CPU cores (docs/instances.md).
Expect: on generated streets, reconstruction IoU 0.55, Rand error 0.27, AP50 0.31
    (docs/instances.md).
"""

import importlib

import ml_collections


def get_config(name: str = "cityscapes_hpunet") -> ml_collections.ConfigDict:
    """The paper's Cityscapes config, made small.

    Args:
      name: the config; what follows the colon in --config=demo_cars:cityscapes_hpunet.
    """
    config = importlib.import_module(f"configs.{name}").get_config().unlock()
    config.data.name = "streets_phantom"
    config.data.crop = (64, 128)
    config.data.augmentation.translate = (2.0, 6.0)
    config.data.augmentation.rotation = 2.0
    config.data.augmentation.shear = 0.0
    config.data.augmentation.scale = (0.95, 1.2)
    config.data.augmentation.elastic = 0.0

    config.model.num_scales = 6  # 2x4 at the bottom, as in the paper
    # Few maps at full resolution, where they cost the most, and many where cars are told apart.
    config.model.channels = (8, 16, 32, 64, 64, 64)
    config.model.block_channels = (8, 16, 32, 32, 32, 32)
    config.model.latent_dims = (1, 3, 1)  # on 2x4, 4x8 and 8x16 positions
    config.model.blocks_per_scale = 1

    config.objective.top_k = 0.03
    config.objective.kappa = 1.3  # what is within reach of a small network in a short time
    config.objective.decay = 0.95  # the multiplier has 1,500 steps, not 100k
    config.optimizer.learning_rate.initial = 2e-3
    config.optimizer.learning_rate.final = 2e-4
    config.optimizer.learning_rate.drops = 2
    config.optimizer.learning_rate.boundaries = (1_000, 1_300)

    config.training.steps = 1_500
    config.training.batch_size = 8
    config.training.log_every = 10
    config.training.checkpoint_every = 500

    config.evaluation.batch_size = 16
    return config.lock()
