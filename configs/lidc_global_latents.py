"""Table 2, "global latents": 85 latents at the U-Net's 1x1 bottom, and nowhere else (Appendix F).

    hpunet train --config=lidc_global_latents --workdir=runs/global

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: the paper reports, on real CT, GED² 0.40, Hungarian-matched IoU 0.37, reconstruction IoU
    0.94; docs/results.md ("Table 2") has scores in small, by
    configs/lidc_phantom_tight.py:lidc_global_latents.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config but for this."""
    config = lidc_hpunet.get_config().unlock()
    config.model.latent_dims = (85,)  # as many as the four scales of the HPU-Net have together
    config.objective.kappa = 0.15
    return config.lock()
