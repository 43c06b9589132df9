"""The small LIDC networks of `lidc_phantom_long.py`, held to a smaller κ: what Table 2 compares.

    hpunet build_data --name=lidc_phantom --data_dir=datasets
    hpunet table --name=table2 --scale=tight --workdir=runs/tables --seeds=3 --limit=600
    hpunet train --config=lidc_phantom_tight:lidc_local_latents --workdir=runs/local

Global latents alone do meet the κ of `lidc_phantom_long.py`, with a few nats; this one they do not,
as in the paper (docs/results.md, "Table 2").

Needs: two CPU cores and nothing else. Takes: 20 to 30 minutes on one CPU core. Stopped, the same
    command goes on from the newest checkpoint.
Expect: on simulated CT, GED² 0.22, Hungarian-matched IoU 0.58, reconstruction IoU 0.91, of the
    first 600 test images (docs/results.md, "Table 2").
"""

import ml_collections

from configs import lidc_phantom_long


def get_config(name: str = "lidc_hpunet") -> ml_collections.ConfigDict:
    """`configs/lidc_phantom_long.py` with a κ that is 0.1 above the paper's.

    Args:
      name: the config that is made small, as there.
    """
    config = lidc_phantom_long.get_config(name).unlock()
    if config.objective.top_k < 1:
        config.objective.kappa = round(config.objective.kappa - 0.1, 2)
    else:
        # As much as 0.15 of the hardest 8 % of the pixels is of all. The paper's 0.05 of all is no
        # bound on 64x64 pixels, of which nearly all are easy.
        config.objective.kappa = 0.012
    return config.lock()
