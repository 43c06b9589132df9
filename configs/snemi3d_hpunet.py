"""The paper's HPU-Net on SNEMI3D (Section 3.3, Appendix D.2): neurites told apart by 15 random ids.

9 scales with 4 latent scales (85 latents) on 256x256 patches, 450k steps of batch 24: 42.6 M
parameters, 3.8 TFLOP a step. 16 samples of each test patch are clustered with Hamming distances up
to 16.

    hpunet train --config=snemi3d_hpunet --workdir=runs/snemi3d

Needs: the challenge's volume (docs/data.md says where to put it) and a GPU or TPU.
Takes: not run to its end. Time and memory of a step on a CPU stand in docs/speed.md, memory and
    operations on TPUs in docs/tpu.md.
Expect: the paper reports reconstruction IoU 0.60, Rand error 0.06. configs/demo_neurites.py is the
    same in small, on generated slices, with measured scores.
"""

import ml_collections

from configs import lidc_hpunet
from hpunet_jax.augmentation.ranges import SNEMI3D


def get_config() -> ml_collections.ConfigDict:
    """The paper's LIDC config, with what Appendix D.2 says of SNEMI3D."""
    config = lidc_hpunet.get_config().unlock()
    config.data.name = "snemi3d"
    config.data.crop = (256, 256)
    config.data.num_ids = 15  # labels that the neurites are mapped to at random
    config.data.augmentation = ml_collections.ConfigDict(SNEMI3D)

    config.model.num_classes = 16  # the ids and the background
    config.model.num_scales = 9
    config.model.base_channels = 32
    config.model.max_channels = 256

    config.objective.kappa = 1.20
    config.optimizer.learning_rate.initial = 1e-4
    config.optimizer.learning_rate.final = 1e-7
    config.optimizer.learning_rate.drops = 5

    config.training.steps = 450_000
    config.training.batch_size = 24

    config.evaluation.protocol = "snemi3d"
    config.evaluation.num_samples = 16
    config.evaluation.hamming_threshold = 16
    config.evaluation.erosion = 5
    config.evaluation.neighbourhood = 11
    config.evaluation.batch_size = 16
    return config.lock()
