"""The sPU-Net on real micrographs, beside configs/vnc_hpunet.py.

    hpunet train --config=vnc_spunet --workdir=runs/vnc_spunet

Needs: what configs/vnc_hpunet.py needs. Takes: 40 minutes on one CPU core.
Expect: worse than the HPU-Net (docs/results.md, "Real micrographs").
"""

import ml_collections

from configs import vnc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The small sPU-Net of configs/demo_neurites.py, on real micrographs, for as many steps."""
    config = vnc_hpunet.get_config("snemi3d_spunet").unlock()
    # At the HPU-Net's the posterior collapses, and the network guesses by the classes' frequencies.
    config.optimizer.learning_rate.initial = 5e-4
    return config.lock()
