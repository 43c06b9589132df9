"""Trains a network.

    hpunet train --config=demo --workdir=runs/demo

Any field of the config can be overridden: --config.training.steps=2000. Started again with the
same workdir, it goes on from the newest checkpoint, without --config with the config that made it;
on SIGTERM it saves one and ends. Writes checkpoints, metrics.csv, TensorBoard event files and
curves.png (Fig. 7) to the workdir, and pictures of validations (docs/training.md).

    hpunet train --config=own_data --workdir=runs/mine \\
        --init_from=runs/lidc

starts from the weights of another run, a model file or an official checkpoint.

Of several processes, each is started with the same command; under Slurm they find each other, on
Cloud TPU with --distributed, elsewhere with --coordinator, --num_processes and --process_id.
"""

import sys

import jax
import ml_collections
from absl import flags
from ml_collections import config_flags

from experiments import process_flags, program, restart
from experiments.run_config import with_config_of_run
from hpunet_jax.config import check_config, parent_config, value_of
from hpunet_jax.evaluation.protocols import check_annotations
from hpunet_jax.figures import curves_figure, read_metrics, save_figure
from hpunet_jax.training import train
from hpunet_jax.training.metrics_log import FILE_NAME
from hpunet_jax.training.summary import differences_summary

flags.adopt_module_key_flags(process_flags)
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Name of a shipped config, or a config file."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for everything the run writes.")
_PROFILER_PORT = flags.DEFINE_integer(
    "profiler_port", None, "Serve TensorBoard's profiler there.", 1, 65_535
)
_INIT_FROM = flags.DEFINE_string(
    "init_from",
    None,
    "Start from the weights of this work directory, model file or official checkpoint (without "
    "'.index'): training.init_from.",
)
flags.mark_flags_as_required(["config", "workdir"])


def main(_) -> None:
    from hpunet_jax.data import pipeline
    from hpunet_jax.data.fingerprint import fingerprint

    process_flags.join()
    if _PROFILER_PORT.value:
        jax.profiler.start_server(_PROFILER_PORT.value)
    config = _CONFIG.value
    if _INIT_FROM.value is not None:
        with config.unlocked():
            config.training.init_from = _INIT_FROM.value
        check_config(config)
    if not restart.has_happened():
        say_what_differs(config)
    workdir = program.folder(_WORKDIR.value, "--workdir")
    builder = pipeline.open_data_set(config)
    check_scorable(config, builder)

    def batches_from(start_step):
        return pipeline.train_batches(
            builder,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            start_step=start_step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            windows=pipeline.Windows.from_config(config),
        )

    whole = value_of(config, "data.whole_images")

    def validation_batches():
        return pipeline.eval_batches(
            builder,
            split=value_of(config, "training.validation_split"),
            batch_size=1 if whole else config.evaluation.batch_size,
            limit=value_of(config, "training.validation_images"),
        )

    with restart.in_this_process():
        final = train(
            config,
            workdir,
            batches_from,
            validation_batches=validation_batches,
            say=say,
            compiled=restart.if_worth_it,
            data_digest=lambda: fingerprint(builder),
        )
    step = int(final.step)
    if jax.process_index() != 0:
        return
    if step < config.training.steps:
        print(f"stopped by SIGTERM at step {step}, saved; the same command goes on from there")
        return
    kappa = config.objective.kappa if config.objective.name == "geco" else None
    figure = curves_figure([read_metrics(workdir / FILE_NAME)], kappa=kappa)
    save_figure(figure, workdir / "curves.png")
    print(f"curves: {workdir / 'curves.png'}")


def check_scorable(config: ml_collections.ConfigDict, builder) -> None:
    """Raises a `ValueError` if the data set has not what the config evaluates."""
    from hpunet_jax.data import pipeline

    if config.data.get("extrapolation") is not None:  # which nothing scores
        return
    check_annotations(config, builder.info.features)
    try:
        pipeline.num_examples(builder, config.evaluation.split)
    except ValueError as error:
        raise ValueError(
            f"{error} Set --config.evaluation.split to the one that is to be scored."
        ) from error


def say(text: str) -> None:
    """Prints what process 0 tells of the run."""
    if jax.process_index() == 0:
        print(text, flush=True)


def say_what_differs(config: ml_collections.ConfigDict) -> None:
    """Prints what a config changes in the one that it is derived from."""
    path = config_flags.get_config_filename(flags.FLAGS["config"])
    if (parent := parent_config(path)) is not None:
        say(differences_summary(parent.name, parent.config, config))


if __name__ == "__main__":
    program.run(main, with_config_of_run(sys.argv))
