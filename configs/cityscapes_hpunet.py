"""The paper's HPU-Net on Cityscapes (Section 3.4, Appendix D.3): cars told apart by 5 random ids.

9 scales (2x4 at the bottom) with 4 latent scales on whole images of 512x1024, 100k steps of batch
128: 29.5 M parameters, 114 TFLOP a step. 32 samples of each test image are clustered with Hamming
distances up to 32.

    hpunet train --config=cityscapes_hpunet --workdir=runs/cityscapes \\
        --config.mesh.space=4

Needs: the archives of cityscapes-dataset.com (docs/data.md says where to put them) and a TPU pod or
    many GPUs, over which `mesh.space` splits each image's rows (docs/tpu.md).
Takes: not timed at this size; memory and operations on TPUs stand in docs/tpu.md.
Expect: the paper reports reconstruction IoU 0.62, Rand error 0.12 (in Table 1: 0.13), AP50 46.8.
    configs/demo_cars.py is the same in small, on generated streets, with measured scores.
"""

import ml_collections

from configs import lidc_hpunet
from hpunet_jax.augmentation.ranges import CITYSCAPES


def get_config() -> ml_collections.ConfigDict:
    """The paper's LIDC config, with what Appendix D.3 says of Cityscapes."""
    config = lidc_hpunet.get_config().unlock()
    config.data.name = "cityscapes"
    config.data.crop = (512, 1024)
    config.data.num_ids = 5  # labels that the cars are mapped to at random
    config.data.augmentation = ml_collections.ConfigDict(CITYSCAPES)

    config.model.image_channels = 3
    config.model.num_classes = 23  # Cityscapes' 19, with 5 for car
    config.model.num_scales = 9
    config.model.base_channels = 32
    config.model.max_channels = 256
    config.model.blocks_per_scale = 2

    config.objective.kappa = 0.77
    config.optimizer.learning_rate.initial = 2e-4
    config.optimizer.learning_rate.final = 1e-4
    config.optimizer.learning_rate.drops = 1
    config.optimizer.learning_rate.boundaries = (70_000,)

    config.training.steps = 100_000
    config.training.batch_size = 128

    config.evaluation.protocol = "cityscapes"
    config.evaluation.num_samples = 32
    config.evaluation.hamming_threshold = 32
    config.evaluation.erosion = 5
    config.evaluation.neighbourhood = 11
    config.evaluation.batch_size = 4
    return config.lock()
