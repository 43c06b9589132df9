"""Evaluates a trained network on the test split (Appendix B), by its config's evaluation.protocol.

    hpunet evaluate --workdir=runs/demo
    hpunet evaluate --workdir=runs/demo --split=validation --limit=100
    hpunet evaluate --checkpoint=pretrained/neurites_phantom --out=results
    hpunet evaluate --checkpoint=model.npz --config.data.name=vnc --data_dir=datasets --out=results
    hpunet evaluate --workdir=runs/demo --num_samples=16,32,50,100

Prints a table and writes, to the workdir or to --out, files of one name: the scores of every image
(.npz, and those of the model's samples as .csv), means and bootstrap errors (.json), and the same
as a Markdown table (.md); for graders also a reliability diagram (_reliability.png). The name
says which split, checkpoint and number of images they are of: evaluation_test_step1500. Reference
rows computed from the same data stand beside the model. Scores that are there already, of the same
weights, data, settings and definitions of the metrics, are not computed again.

--num_samples adds a table of the model's scores by these numbers of samples, with the terms of
GED²; the samples of 16 are the first of 100.

--checkpoint is another name for --workdir. With --config.data.name and --data_dir a model is scored
on another data set, by the protocol of its own config; the results' names then say so.

All local devices are used. Several processes that see the same work directory, started as for
`hpunet train`, share the images; process 0 writes the results, which are those of one process.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from absl import flags

import hpunet_jax
from experiments import checkpoint_flags, data_flags, process_flags, program
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.config import check_config
from hpunet_jax.evaluation.per_image import image_scores, write_image_scores
from hpunet_jax.evaluation.protocols import evaluate
from hpunet_jax.evaluation.report import ROWS, markdown_table, results_table
from hpunet_jax.evaluation.results import origin, result_name
from hpunet_jax.evaluation.scores import Scores, load_scores, load_scores_of
from hpunet_jax.evaluation.sharing import Examples, Parts, joined
from hpunet_jax.figures import reliability_figure, save_figure
from hpunet_jax.files import is_folder, remove, write_aside
from hpunet_jax.metrics.calibration import reliability
from hpunet_jax.training import processes

flags.adopt_module_key_flags(checkpoint_flags)
flags.adopt_module_key_flags(data_flags)
flags.adopt_module_key_flags(process_flags)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Work directory of a training run, or a model file (then give --out)."
)
flags.DEFINE_alias("checkpoint", "workdir")
_SPLIT = flags.DEFINE_string("split", None, "Default: the config's evaluation.split.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many images; default: all.", lower_bound=1)
_OUT = flags.DEFINE_string("out", None, "Folder for the results; default: the work directory.")
_NUM_SAMPLES = flags.DEFINE_list(
    "num_samples", [], "Also score the model by these numbers of samples, as 16,32,50,100."
)
flags.mark_flag_as_required("workdir")


def main(_) -> None:
    process_flags.join()
    folder = results_folder()
    step = checkpoint_step()
    model = checkpoint_flags.load(_WORKDIR.value, step)
    other_data = data_flags.choose_data(model)
    check_config(model.config, sections=("data", "model", "evaluation"))
    check_writable(folder)
    scores, name = evaluate_model(model, step, folder, other_data)
    if scores is None or jax.process_index() != 0:
        return
    settings = model.config.evaluation
    results = scores.summary(settings.bootstraps, settings.seed)
    for suffix, text in (
        (".json", json.dumps(results, indent=2)),
        (".md", markdown_table(results)),
    ):
        with write_aside(folder / (name + suffix)) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
    write_image_scores(folder / f"{name}.csv", image_scores(scores))
    if scores.levels:
        curves = {ROWS[row]: reliability(levels) for row, levels in scores.levels.items()}
        save_figure(reliability_figure(curves), folder / f"{name}_reliability.png")
    of_what = f"{scores.settings['data']}, {scores.settings['split']} split"
    print(f"\n{of_what}\n\n{results_table(results)}\n")
    print(f"results: {folder / name}.json, .md (a table for documents), .npz and .csv (each image)")


def evaluate_model(
    model: hpunet_jax.Model, step: int | None, folder: AnyPath, other_data: str | None
) -> tuple[Scores | None, str]:
    """The scores of each image, which are also written to the folder, and their files' name.

    Processes but the first one need no scores, and may have none.

    Args:
      model: the model.
      step: what `checkpoint_step` said before the model was loaded.
      folder: where the scores go.
      other_data: what `data_flags.choose_data` gives.
    """
    from hpunet_jax.data import pipeline

    config, settings, numbers = model.config, model.config.evaluation, numbers_of_samples()
    builder = pipeline.open_data_set(config, data_flags.DATA_DIR.value)
    split = _SPLIT.value or settings.split
    if not (num_images := pipeline.num_examples(builder, split)):
        raise ValueError(f"there are no images to evaluate: the split {split!r} is empty.")
    of_what = origin_of(model, step, builder, split, numbers, other_data)
    ema = checkpoint_flags.WEIGHTS.value == "ema"
    name = result_name(
        split, _LIMIT.value, step, of_what["weights"], numbers, ema=ema, data=other_data
    )
    processes.check_same(
        json.dumps(of_what, sort_keys=True),
        "evaluates other weights, data or settings",
        "start all with the same flags, and with --step where the run still trains.",
    )
    file = folder / f"{name}.npz"
    scores = load_scores_of(file, of_what)
    if processes.of_first({"there": scores is not None})["there"]:  # all go on, or none
        return scores, name

    # Whole images are of any size, which batches are not.
    batch_size = 1 if config.data.get("whole_images", False) else settings.batch_size

    def batches(split: str, limit: int | None = None):
        return pipeline.eval_batches(builder, split=split, batch_size=batch_size, limit=limit)

    num_images = min(num_images, _LIMIT.value or num_images)

    def score(batches_of_part: Iterable[Examples]) -> Scores:
        return evaluate(
            model,
            config,
            batches_of_part,
            training_batches=(lambda: batches("train")) if "train" in builder.info.splits else None,
            num_images=-(-num_images // jax.process_count()),
            numbers=numbers,
        )

    parts = Parts(-(-num_images // batch_size), jax.process_count())
    scores = share(score, batches(split, _LIMIT.value), parts, file)
    scores.check_scored()
    scores = dataclasses.replace(scores, settings={**scores.settings, **of_what})
    if jax.process_index() == 0:
        scores.save(file)
    return scores, name


def origin_of(
    model: hpunet_jax.Model,
    step: int | None,
    builder: Any,
    split: str,
    numbers: Sequence[int],
    other_data: str | None,
) -> dict[str, Any]:
    """What the scores are computed from; warns if the data have changed since the training."""
    from hpunet_jax.data.fingerprint import data_set_name, fingerprint

    digest, trained_on = fingerprint(builder), digest_of_training(step)
    if other_data is None and trained_on not in (None, digest) and jax.process_index() == 0:
        program.warn(
            "the data set has changed since the training: images that are scored may have been "
            "trained on."
        )
    return origin(
        model.config,
        weights=model.digest(),
        step=step,
        data=data_set_name(builder),
        data_digest=digest,
        split=split,
        limit=_LIMIT.value,
        numbers=numbers,
        trained_on=trained_on,
    )


def digest_of_training(step: int | None) -> str | None:
    """The digest of the data that made a checkpoint, if it is known."""
    if step is None:
        return None
    with Checkpoints(place(_WORKDIR.value, "--workdir")) as checkpoints:
        return checkpoints.data_digest(step)


def share(
    score: Callable[[Iterable[Examples]], Scores],
    batches: Iterable[Examples],
    parts: Parts,
    file: AnyPath,
) -> Scores:
    """The scores of all images, of which each process computes those of its part.

    The parts are joined by files beside the results, which all processes see.
    """
    if parts.count == 1:
        return score(batches)
    files_of_parts = [file.with_name(f".{file.stem}.part{i}.npz") for i in range(parts.filled)]
    index = jax.process_index()
    with processes.failing_together():
        if index < parts.filled:
            score(parts.batches(batches, index)).save(files_of_parts[index])
    try:
        with processes.failing_together():
            return joined([load_scores(part) for part in files_of_parts])
    finally:  # all have read them, or none can
        if index < parts.filled:
            remove(files_of_parts[index])


def numbers_of_samples() -> list[int]:
    """What --num_samples asks for, ascending."""
    for text in _NUM_SAMPLES.value:
        if not text.isdecimal() or not 1 <= int(text) <= 65_536:
            raise ValueError(
                f"--num_samples={text} is no number of samples: give integers from 1 to 65,536, "
                "as 16,32,50,100."
            )
    return sorted({int(text) for text in _NUM_SAMPLES.value})


def results_folder() -> AnyPath:
    """Where the results go; raises a `ValueError` if that would hide the model, or is nowhere."""
    source = place(_WORKDIR.value, "--workdir")
    if _OUT.value is None and not is_folder(source):
        raise ValueError(
            f"--workdir={_WORKDIR.value} is no folder, so there is no place for the results: give "
            "a folder as --out, or the work directory of a training run."
        )
    folder = place(_OUT.value or source, "--out")
    if not is_folder(source) and folder.resolve() == source.resolve():
        raise ValueError(
            f"--out={_OUT.value} has the model's own name, under which the model would not be "
            "found any more: give another folder."
        )
    return program.folder(_OUT.value, "--out") if _OUT.value else folder


def check_writable(folder: AnyPath) -> None:
    """Raises a `ValueError` if nothing can be written to a folder; creates it if missing."""
    try:
        with write_aside(folder / ".writable") as aside:
            aside.touch()
        remove(folder / ".writable")
    except OSError as error:
        raise ValueError(
            f"nothing can be written to {folder} ({error}): give another folder as --out."
        ) from error


def checkpoint_step() -> int | None:
    """The step of the checkpoint that is evaluated; None for a model file."""
    workdir = place(_WORKDIR.value, "--workdir")
    if not is_folder(workdir):
        return None
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.step(checkpoint_flags.STEP.value)


if __name__ == "__main__":
    program.run(main)
