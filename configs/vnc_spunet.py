"""The sPU-Net on real micrographs, beside configs/vnc_hpunet.py.

    hpunet train --config=vnc_spunet --workdir=runs/vnc_spunet

Needs: what configs/vnc_hpunet.py needs. Takes: about eight minutes on two CPU cores.
Expect: worse than the HPU-Net (docs/results.md, "Real micrographs").
"""

import ml_collections

from configs import vnc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The small sPU-Net of configs/demo_neurites.py, on real micrographs, with fewer steps."""
    config = vnc_hpunet.get_config("snemi3d_spunet").unlock()
    config.training.steps = 3_000
    config.optimizer.learning_rate.boundaries = (1_800, 2_400)
    return config.lock()
