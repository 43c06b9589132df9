"""One of two processes that train on eight devices and share an evaluation.

Started by test_sharing.py. Saves the same state to a bucket (as it trains) and to a local folder,
and writes what process 0 knows of it to result.json.
"""

import json
import pathlib
import sys

import jax
import numpy as np

from experiments import evaluate
from hpunet_jax import load
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.checkpoints.directory import whole_on_host
from hpunet_jax.evaluation import graders
from hpunet_jax.evaluation.sharing import Parts
from hpunet_jax.inference.model import Model
from hpunet_jax.training import mesh, processes, save, train
from tests.sweeps.sweep_program import EXAMPLES, get_config


def config_on_eight_devices():
    """Adam's moments are split over the devices (ZeRO), whose number the batch has."""
    config = get_config().unlock()
    config.training.update({"steps": 2, "batch_size": 8})
    config.model.update({"base_channels": 8, "max_channels": 8})
    config.mesh.update({"data": -1, "shard_optimizer": True})
    return config.lock()


def evaluation_batches():
    """Five images in batches of two."""
    images = {name: np.concatenate([array, array[:1]]) for name, array in EXAMPLES.items()}
    for start in (0, 2, 4):
        yield {name: array[start : start + 2] for name, array in images.items()}


def score(model, batches):
    """The scores of some of these images."""
    return graders.evaluate(model, batches, crop=(16, 16), num_samples=2)


def main(port: str, process_id: str, workdir: str, bucket: str) -> None:
    mesh.MIN_SPLIT = 1  # nothing in this network would be worth splitting
    folder = pathlib.Path(workdir)
    processes.join(f"127.0.0.1:{port}", 2, int(process_id))
    config = config_on_eight_devices()

    def batches_from(step):
        del step
        while True:
            yield EXAMPLES  # four for each of two processes

    state = train(config, bucket, batches_from)
    split = [leaf for leaf in jax.tree.leaves(state) if not leaf.is_fully_replicated]
    with Checkpoints(folder) as checkpoints:
        save(checkpoints, 2, state, config)
    model = load(folder, device="all")
    scores = evaluate.share(
        lambda batches: score(model, batches), evaluation_batches(), Parts(3, 2), folder / "s.npz"
    )
    params = whole_on_host(state.params.network)
    if jax.process_index() == 0:
        scores.save(folder / "scores.npz")
        digest = Model(model.network, params, config).digest()
        result = {"digest": digest, "split": len(split), "devices": jax.device_count()}
        (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
