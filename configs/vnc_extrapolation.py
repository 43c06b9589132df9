"""The extrapolation task of Section 3.3 (Fig. 5) on real micrographs.

    hpunet train --config=vnc_extrapolation --workdir=runs/vnc_extrapolation
    hpunet sample --workdir=runs/vnc_extrapolation

Needs: what configs/vnc_hpunet.py needs. Takes: a third of its time. Expect: what meets
    the seam goes on, what is farther away is made up (docs/results.md).
"""

import ml_collections

from configs import vnc_hpunet
from configs.demo_extrapolation import extrapolate


def get_config() -> ml_collections.ConfigDict:
    """The config of the HPU-Net, with hidden parts and trained for less time."""
    config = extrapolate(vnc_hpunet.get_config()).unlock()
    config.training.steps = 3_000
    config.optimizer.learning_rate.boundaries = (1_800, 2_400)
    return config.lock()
