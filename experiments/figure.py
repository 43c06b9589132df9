"""Draws one of the paper's figures (2 to 15) out of finished runs.

    hpunet figure --name=fig2 --workdir=runs/tables

The runs are those of `hpunet table` in the same workdir, <workdir>/<config>/seed<number>; of
several seeds the first is shown, and in the training curves (Figs. 7 and 8) all. Fig. 5, which
belongs to no table, shows <workdir>/snemi3d_extrapolation/seed0: the --workdir to be given to
experiments.train. fig4_vnc, fig5_vnc and fig11_vnc are Figs. 4, 5 and 11 of the data set vnc.
Writes <workdir>/figures/<name>_<config>.png.
"""

import shlex

from absl import flags

import hpunet_jax
from experiments import program
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.figures import curves_figure, save_figure
from hpunet_jax.figures.catalogue import (
    CURVES,
    FIGURES,
    Picture,
    choose_examples,
    spread_over,
)
from hpunet_jax.figures.model import model_figures
from hpunet_jax.reproduction.runs import evaluated, trained
from hpunet_jax.training.metrics_log import FILE_NAME

_NAME = flags.DEFINE_enum("name", None, list(FIGURES), "The figure.")
_WORKDIR = flags.DEFINE_string("workdir", None, "The --workdir of `hpunet table`.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", None, "Samples of each image; default: as in the evaluation.", lower_bound=1
)
flags.mark_flags_as_required(["name", "workdir"])


def main(_) -> None:
    workdir = place(_WORKDIR.value, "--workdir")
    for picture in FIGURES[_NAME.value]:
        folders = [workdir / job.name for job in trained(workdir, picture.config)]
        if not folders:
            raise FileNotFoundError(
                f"{workdir / picture.config} holds no trained run: make some with "
                "`hpunet table`, or one with `hpunet train "
                f"--config={picture.config} "
                f"--workdir={shlex.quote(f'{workdir / picture.config}/seed0')}`."
            )
        target = workdir / "figures" / f"{_NAME.value}_{picture.config}.png"
        if picture.kind == CURVES:
            draw_curves(folders, target)
        else:
            draw_samples(folders[0], picture, target)
        print(f"picture: {target}")


def draw_curves(folders: list[AnyPath], target: AnyPath) -> None:
    """The curves of all runs over each other."""
    with Checkpoints(folders[0]) as checkpoints:
        objective = checkpoints.config().objective
    kappa = objective.kappa if objective.name == "geco" else None
    save_figure(curves_figure([folder / FILE_NAME for folder in folders], kappa=kappa), target)


def draw_samples(folder: AnyPath, picture: Picture, target: AnyPath) -> None:
    """The picture of that kind which `hpunet sample` draws."""
    from hpunet_jax.data import pipeline
    from hpunet_jax.data.fingerprint import fingerprint

    run = evaluated(folder)
    evaluate = f"`hpunet evaluate --workdir={shlex.quote(str(folder))}`"
    if picture.worst and run is None:
        raise FileNotFoundError(
            f"{folder} is not evaluated, but the picture shows the images of the highest "
            f"{picture.worst}: run {evaluate}."
        )
    model = hpunet_jax.load(folder)
    builder = pipeline.open_data_set(model.config)
    split = model.config.evaluation.split
    if run is not None:
        _, scores = run
        if scores.settings["data_digest"] != fingerprint(builder):
            raise ValueError(
                f"{folder} was evaluated on other data than {builder.data_dir} holds: run "
                f"{evaluate} again."
            )
        numbers = choose_examples(scores.rows["model"], picture)
    else:
        numbers = spread_over(pipeline.num_examples(builder, split), picture.num_examples)
    examples = pipeline.examples_at(builder, split, numbers)
    figures = model_figures(model, examples, _NUM_SAMPLES.value, only=[picture.kind])
    if picture.kind not in figures:
        raise ValueError(f"the model of {folder} has no such picture as {picture.kind}.")
    save_figure(figures[picture.kind], target)


if __name__ == "__main__":
    program.run(main)
