"""The sPU-Net on real micrographs, beside configs/vnc_hpunet.py.

    hpunet train --config=vnc_spunet --workdir=runs/vnc_spunet

Its first weights keep a signal's variance: with the paper's it learns nothing in so few steps
(docs/results.md, "Real micrographs"). `--config.model.init_gain=1` takes those.

Needs: what configs/vnc_hpunet.py needs. Takes and expect: docs/results.md, "Real micrographs".
"""

import ml_collections

from configs import vnc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The small sPU-Net of configs/demo_neurites.py, on real micrographs."""
    config = vnc_hpunet.get_config("snemi3d_spunet").unlock()
    config.model.init_gain = 2**0.5
    return config.lock()
