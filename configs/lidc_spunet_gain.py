"""The sPU-Net whose first weights keep a signal's variance, which the paper's do not: ours.

    hpunet train --config=lidc_spunet_gain --workdir=runs/lidc_spunet_gain

Orthogonal kernels of gain 1, as in the paper (Appendix D), are followed by relu, which halves the
signal's second moment at each of the sPU-Net's convolutions; HPU-Nets have residual blocks. With
gain 2 ** 0.5 it stays.

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: the paper has no such row; docs/results.md has scores in small, by
    configs/demo.py:lidc_spunet_gain.
"""

import ml_collections

from configs import lidc_spunet


def get_config() -> ml_collections.ConfigDict:
    """The sPU-Net's config but for this."""
    config = lidc_spunet.get_config().unlock()
    config.model.init_gain = 2**0.5
    return config.lock()
