"""A pixel-wise U-Net with cross-entropy on LIDC-IDRI: the baseline without a distribution.

It is the body of the sPU-Net, without latents; the paper has no such row. All samples of an image
are the same.

    hpunet train --config=lidc_unet --workdir=runs/lidc_unet

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: `hpunet table --name=baseline_lidc --scale=demo` puts its scores in small beside the others.
"""

import ml_collections

from configs import lidc_hpunet, lidc_spunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config with a plain U-Net and the cross-entropy of all pixels."""
    config = lidc_hpunet.get_config().unlock()
    config.model = lidc_spunet.get_config().model.unlock()
    config.model.name = "unet"
    for field in ("latent_dim", "final_convs", "log_std_bound"):
        del config.model[field]

    config.objective.name = "elbo"  # without latents it is the cross-entropy
    config.objective.top_k = 1.0
    return config.lock()
