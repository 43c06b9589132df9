"""A pixel-wise U-Net for membranes on real micrographs, to be followed by a watershed.

It is the field's usual way, which the paper does not have: the body of the sPU-Net predicts where
there is no membrane, and `benchmarks.watershed` makes instances of that.

    hpunet train --config=vnc_unet --workdir=runs/vnc_unet
    python -m benchmarks.watershed --workdir=runs/vnc_unet

Needs: what configs/vnc_hpunet.py needs. Takes: about eight minutes on one core.
Expect: Rand error 0.08 with the watershed (docs/results.md, "Real micrographs").
"""

import ml_collections

from configs import lidc_unet, vnc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config with a plain U-Net, one class for all neurites, and cross-entropy."""
    config = vnc_hpunet.get_config().unlock()
    config.data.num_ids = 1
    config.model = lidc_unet.get_config().model.unlock()
    config.model.num_scales = 6
    config.model.base_channels = 16
    config.model.max_channels = 64
    config.model.init_gain = 2**0.5

    config.objective.name = "elbo"  # without latents it is the cross-entropy
    config.objective.top_k = 1.0
    config.optimizer.learning_rate.boundaries = (900, 1_200)
    config.training.steps = 1_500
    config.evaluation.num_samples = 1  # all are the same
    config.evaluation.hamming_threshold = 1
    return config.lock()
