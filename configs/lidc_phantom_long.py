"""The small HPU-Net of `demo.py`, trained for 10,000 steps.

    hpunet build_data --name=lidc_phantom --data_dir=datasets
    hpunet train --config=lidc_phantom_long --workdir=runs/lidc_phantom

Needs: two CPU cores and nothing else. Takes: not timed to its end; seven times the steps of
    `demo.py`. Stopped, the same command goes on from the newest checkpoint.
Expect: not measured yet. After 1,000 steps, samples colour less of chest wall and ribs on real CT
    than the shipped model's, but find fewer lesions (docs/lidc_phantom.md has the program).
"""

import ml_collections

from configs import demo


def get_config() -> ml_collections.ConfigDict:
    """`configs/demo.py` with more steps."""
    config = demo.get_config().unlock()
    config.training.steps = 10_000
    config.training.log_every = 50
    return config.lock()
