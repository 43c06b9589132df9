"""Table 2, "local latents": latents on the grid of 8x8 positions only (Appendix F).

    hpunet train --config=lidc_local_latents --workdir=runs/local

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: the paper reports, on real CT, GED² 0.34, Hungarian-matched IoU 0.45, reconstruction IoU
    0.97; docs/results.md ("Table 2") has scores in small, by
    configs/lidc_phantom_tight.py:lidc_local_latents.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config but for this."""
    config = lidc_hpunet.get_config().unlock()
    config.model.latent_dims = (0, 0, 0, 1)
    return config.lock()
