"""Runs experiments.sweep on noise in place of a data set; test_sweep.py starts it.

    python -m tests.sweeps.sweep_program --kill=NAME <flags of experiments.sweep>

Its programs are forked from a server that has imported everything, which is faster than starting
them. With --kill, everything is killed in the middle of the training of that run.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from unittest import mock

import ml_collections
import numpy as np

from configs import demo

_RNG = np.random.default_rng(0)
EXAMPLES = {
    "image": _RNG.integers(0, 256, (4, 16, 16, 1), np.uint8),
    "masks": _RNG.integers(0, 2, (4, 16, 16, 2), np.uint8),
}


def get_config():
    """A network that is trained and evaluated in a second."""
    config = demo.get_config().unlock()
    config.data.crop = (16, 16)
    config.data.augmentation = ml_collections.ConfigDict({"translate": 2.0, "mirror": True})
    config.model.update({"num_scales": 2, "base_channels": 2, "max_channels": 2})
    config.model.update({"latent_dims": (1,), "convs_per_block": 1, "blocks_per_scale": 1})
    config.training.update({"steps": 4, "batch_size": 4, "log_every": 1, "checkpoint_every": 2})
    config.evaluation.update({"num_samples": 2, "batch_size": 4, "bootstraps": 10})
    config.mesh.data = 1
    return config.lock()


def batches_from(step: int, kill: str):
    """Endless batches; at the third everything is killed if this run is to be."""
    while True:
        step += 1
        if step == 3 and any(argument.endswith(f"/{kill}") for argument in sys.argv):
            os.killpg(0, signal.SIGKILL)
        yield EXAMPLES


def stand_in(kill: str) -> None:
    """Puts these examples in the place of the data sets."""
    pipeline = mock.MagicMock()  # what else the programs ask of it does not matter here
    pipeline.open_data_set.return_value.info.features = EXAMPLES
    pipeline.train_batches = lambda *_, start_step, **__: batches_from(start_step, kill)
    pipeline.num_examples = lambda *_: 4
    pipeline.eval_batches = lambda *_, **__: iter([EXAMPLES])
    fingerprint = mock.MagicMock()
    fingerprint.fingerprint.return_value = "noise"
    fingerprint.data_set_name.return_value = "noise/1.0.0"
    sys.modules["hpunet_jax.data.pipeline"] = pipeline
    sys.modules["hpunet_jax.data.fingerprint"] = fingerprint


def run_program(arguments: list[str], kill: str) -> None:
    """What `hpunet <arguments>` does, in this process."""
    stand_in(kill)
    sys.argv = arguments
    runpy.run_module(f"experiments.{arguments[0]}", run_name="__main__", alter_sys=True)


def main() -> None:
    from experiments import making, program, sweep

    _, kill, *flags = sys.argv
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["experiments.program", "hpunet_jax.training", "hpunet_jax"])

    def call(self, arguments):
        child = forks.Process(target=run_program, args=(list(arguments), kill.partition("=")[2]))
        child.start()
        child.join()
        return child.exitcode == 0

    making._Maker._call = call
    program.run(sweep.main, ["sweep", *flags])


if __name__ == "__main__":
    main()
