"""`demo.py` with κ nearer to the paper's, and twice the steps: what Table 2 is made with.

    hpunet build_data --name=lidc_phantom --data_dir=datasets
    hpunet train --config=demo_tight --workdir=runs/tight
    hpunet table --name=table2 --workdir=runs/tables_tight --seeds=3 --scale=demo_tight --limit=600

Needs: two CPU cores and nothing else. Takes: about a quarter of an hour on one CPU core.
Expect: docs/results.md.
"""

import ml_collections

from configs import demo


def get_config(name: str = "lidc_hpunet") -> ml_collections.ConfigDict:
    """`configs/demo.py` but for κ and the steps.

    Args:
      name: as there.
    """
    config = demo.get_config(name).unlock()
    if config.objective.top_k < 1:
        config.objective.kappa -= 0.2
    config.training.steps = 3_000
    return config.lock()
