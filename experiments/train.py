"""Trains a network.

    python -m experiments.train --config=configs/demo.py --workdir=runs/demo

Any field of the config can be overridden: --config.training.steps=2000. Started again with the
same workdir, it goes on from the newest checkpoint. Writes checkpoints, metrics.csv, TensorBoard
event files and curves.png (Fig. 7) to the workdir.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from experiments import program
from hpunet_jax.figures import curves_figure, read_metrics, save_figure
from hpunet_jax.training import train
from hpunet_jax.training.metrics_log import FILE_NAME

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment's config file.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for everything the run writes.")
flags.mark_flags_as_required(["config", "workdir"])


def main(_) -> None:
    from hpunet_jax.data import pipeline

    config = _CONFIG.value
    workdir = pathlib.Path(_WORKDIR.value)
    builder = pipeline.open_data_set(config)

    def batches_from(start_step):
        return pipeline.train_batches(
            builder,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            start_step=start_step,
        )

    train(config, workdir, batches_from)
    kappa = config.objective.kappa if config.objective.name == "geco" else None
    figure = curves_figure([read_metrics(workdir / FILE_NAME)], kappa=kappa)
    save_figure(figure, workdir / "curves.png")
    print(f"curves: {workdir / 'curves.png'}")


if __name__ == "__main__":
    program.run(main)
