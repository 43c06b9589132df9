"""A small HPU-Net on the embedded LIDC phantom, for a laptop's CPU: what `make demo` trains.

It has the paper's four latent scales, on 1x1 to 8x8 positions, but 64x64 crops (32 mm), 7 scales,
and fewer, narrower and shorter residual blocks.

    hpunet build_data --name=lidc_phantom --data_dir=datasets
    hpunet train --config=demo --workdir=runs/demo
    hpunet train --config=demo:lidc_spunet --workdir=runs/demo_spunet

The last line makes another LIDC config of this folder small in the same way.

Needs: two CPU cores and nothing else. Takes: `make demo`, with evaluation and pictures,
    five minutes on two CPU cores (README.md).
Expect: on simulated CT, GED² 0.32, Hungarian-matched IoU 0.51, reconstruction IoU 0.73 (README.md).
"""

import importlib

import ml_collections

_SMALL_NETWORKS = {
    "hpunet": {"num_scales": 7, "blocks_per_scale": 1, "convs_per_block": 2},
    "spunet": {"num_scales": 5},
    "unet": {"num_scales": 5},
}


def get_config(name: str = "lidc_hpunet") -> ml_collections.ConfigDict:
    """One of the paper's LIDC configs, made small.

    Args:
      name: the config; what follows the colon in --config=demo:lidc_spunet.
    """
    config = importlib.import_module(f"configs.{name}").get_config().unlock()
    config.data.name = "lidc_phantom"
    config.data.crop = (64, 64)
    config.data.augmentation.translate = 8.0
    config.data.augmentation.elastic = 1.0

    config.model.update(_SMALL_NETWORKS[config.model.name])
    config.model.base_channels = 16
    config.model.max_channels = 48

    if config.objective.top_k < 1:
        config.objective.top_k = 0.08  # as many pixels of a 64x64 crop as 2 % of 128x128
        config.objective.kappa += 0.3  # reached soon: until then the posterior does all the work
    # The multiplier rises and falls within 1,500 steps, not 240k.
    config.objective.decay = 0.95
    config.optimizer.multiplier_lr_factor = 10.0
    config.optimizer.learning_rate.initial = 2e-3
    config.optimizer.learning_rate.final = 2e-4
    config.optimizer.learning_rate.drops = 1  # after λ has fallen, which moves at this rate, too

    config.training.steps = 1_500
    config.training.batch_size = 12
    config.training.log_every = 10
    config.training.checkpoint_every = 500

    config.evaluation.batch_size = 64
    return config.lock()
