"""Table 2, last row: the HPU-Net with the cross-entropy of all pixels (Appendix F).

    hpunet train --config=lidc_no_top_k --workdir=runs/no_top_k

Needs: what configs/lidc_hpunet.py needs. Takes: not timed at this size.
Expect: the paper reports, on real CT, GED² 0.27, Hungarian-matched IoU 0.54, reconstruction IoU
    0.94; docs/results.md ("Table 2") has scores in small, by
    configs/lidc_phantom_tight.py:lidc_no_top_k.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The HPU-Net's config but for this."""
    config = lidc_hpunet.get_config().unlock()
    config.objective.top_k = 1.0
    return config.lock()
