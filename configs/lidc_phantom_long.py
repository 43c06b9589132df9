"""The small HPU-Net of `demo.py`, trained until its curves have settled: the model that ships.

    python -m experiments.build_data --name=lidc_phantom --data_dir=datasets
    python -m experiments.train --config=configs/lidc_phantom_long.py --workdir=runs/lidc_phantom
    python -m experiments.export --workdir=runs/lidc_phantom --out=lidc_phantom.npz

Needs: two CPU cores and nothing else. Takes: about half an hour on two quiet CPU cores; stopped,
    the same command goes on from the newest checkpoint.
Expect: samples that leave chest wall and ribs alone also on real CT (docs/lidc_phantom.md).
"""

import ml_collections

from configs import demo


def get_config() -> ml_collections.ConfigDict:
    """`configs/demo.py` with more steps."""
    config = demo.get_config().unlock()
    config.training.steps = 10_000
    config.training.log_every = 50
    return config.lock()
