"""Evaluates a trained network on the test split (Appendix B), by its config's evaluation.protocol.

    python -m experiments.evaluate --workdir=runs/demo

Prints a table and writes evaluation.json (means and bootstrap errors), evaluation.md (the same as
a Markdown table) and evaluation.npz (the scores of every image) to the workdir. Reference rows
computed from the same data stand beside the model. Scores that are there already, of the same
weights, images and settings, are not computed again.
"""

import dataclasses
import json
import pathlib

from absl import flags

import hpunet_jax
from experiments import program
from hpunet_jax.config import check_config
from hpunet_jax.evaluation.protocols import evaluate
from hpunet_jax.evaluation.report import markdown_table, results_table
from hpunet_jax.evaluation.scores import load_scores_of
from hpunet_jax.files import write_aside

_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_SPLIT = flags.DEFINE_string("split", None, "Default: the config's evaluation.split.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: the config's data.dir.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many images; default: all.", lower_bound=1)
flags.mark_flag_as_required("workdir")


def main(_) -> None:
    from hpunet_jax.data import pipeline

    workdir = pathlib.Path(_WORKDIR.value)
    model = hpunet_jax.load(workdir, _STEP.value)
    config, settings = model.config, model.config.evaluation
    check_config(config, sections=("data", "model", "evaluation"))
    builder = pipeline.open_data_set(config, _DATA_DIR.value)
    split = _SPLIT.value or settings.split

    def batches(split, limit=None):
        return pipeline.eval_batches(
            builder, split=split, batch_size=settings.batch_size, limit=limit
        )

    num_images = pipeline.num_examples(builder, split)
    of_what = {
        "weights": model.digest(),
        "data": builder.info.full_name,
        "split": split,
        "limit": _LIMIT.value,
        "evaluation": json.loads(settings.to_json()),
    }
    file = workdir / "evaluation.npz"
    scores = load_scores_of(file, of_what)
    if scores is None:
        scores = evaluate(
            model,
            config,
            batches(split, _LIMIT.value),
            training_batches=lambda: batches("train"),
            num_images=min(num_images, _LIMIT.value or num_images),
        )
        scores = dataclasses.replace(scores, settings={**scores.settings, **of_what})
        scores.save(file)
    results = scores.summary(settings.bootstraps, settings.seed)
    for name, text in (
        ("evaluation.json", json.dumps(results, indent=2)),
        ("evaluation.md", markdown_table(results)),
    ):
        with write_aside(workdir / name) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
    print(f"\n{builder.info.full_name}, {split} split\n\n{results_table(results)}\n")
    print(
        f"results: {workdir / 'evaluation.json'}, table for documents: {workdir / 'evaluation.md'}"
    )


if __name__ == "__main__":
    program.run(main)
