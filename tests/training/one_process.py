"""One of several processes that train a tiny network together; started by test_processes.py."""

import itertools
import os
import sys
import time

import ml_collections
import numpy as np

from configs import lidc_hpunet
from hpunet_jax.training import processes, train

BATCH_SIZE = 4
STEPS = 4


def tiny_config(kappa=0.05, steps=STEPS):
    """A network of two scales on unaugmented 8x8 crops, saved at every other step."""
    config = lidc_hpunet.get_config().unlock()
    config.data.augmentation = ml_collections.ConfigDict()
    config.update_from_flattened_dict(
        {
            "data.crop": (8, 8),
            "model.num_scales": 2,
            "model.base_channels": 2,
            "model.latent_dims": (1,),
            "model.blocks_per_scale": 1,
            "model.convs_per_block": 1,
            "objective.kappa": kappa,
            "training.steps": steps,
            "training.batch_size": BATCH_SIZE,
            "training.log_every": 1,
            "training.checkpoint_every": 2,
            "mesh.space": 2,
            "mesh.min_rows": 8,
        }
    )
    return config.lock()


def batches(step, process_id=0, num_processes=1):
    """This process's part of an endless sequence of batches."""
    rows = BATCH_SIZE // num_processes
    for i in itertools.count(step):
        rng = np.random.default_rng(i)
        batch = {
            "image": rng.integers(0, 256, (BATCH_SIZE, 8, 8, 1), np.uint8),
            "masks": rng.integers(0, 2, (BATCH_SIZE, 8, 8, 4), np.uint8),
        }
        yield {k: v[process_id * rows : (process_id + 1) * rows] for k, v in batch.items()}


def main(port, num_processes, process_id, workdir, kappa, steps, signum, at_step):
    """Trains; the last process sends itself a signal when it should start step `at_step`."""

    def batches_from(step):
        parts = batches(step, process_id, num_processes)
        for i, batch in enumerate(parts, start=step + 1):
            if i == at_step and process_id == num_processes - 1:
                os.kill(os.getpid(), signum)
            if 0 < at_step < i:
                time.sleep(0.2)  # the signal is noticed within seconds
            yield batch

    processes.TIMEOUT_SECONDS = 10  # the test does not wait longer than it must
    processes.join(f"127.0.0.1:{port}", num_processes, process_id)
    try:
        train(tiny_config(kappa, steps), workdir, batches_from)
    except (ValueError, ConnectionError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _, port, num_processes, process_id, workdir, kappa, *others = sys.argv
    main(int(port), int(num_processes), int(process_id), workdir, float(kappa), *map(int, others))
