"""The Standard Probabilistic U-Net on SNEMI3D (Section 3.3, Appendix D.2).

As many global latents as the HPU-Net has on its four scales: the paper's trainings with about 10
never converged, nor is this one "very stable".

    hpunet train --config=snemi3d_spunet --workdir=runs/snemi3d_spunet

Needs: what configs/snemi3d_hpunet.py needs.
Takes: not timed at this size.
Expect: the paper reports reconstruction IoU 0.13, Rand error 0.52.
"""

import ml_collections

from configs import lidc_spunet, snemi3d_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config with another network and objective."""
    config = snemi3d_hpunet.get_config().unlock()
    config.model = lidc_spunet.get_config().model.unlock()
    config.model.num_classes = 16
    config.model.num_scales = 9
    config.model.base_channels = 24
    config.model.max_channels = 192
    config.model.latent_dim = 85

    config.objective.name = "elbo"
    config.objective.top_k = 1.0
    return config.lock()
