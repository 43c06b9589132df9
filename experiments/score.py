"""Scores label maps of any tool against graders: one or several samples of each image, any files.

    hpunet score --truth=mydata/test/gt --samples=predictions --out=scores
    hpunet score --truth=labels --samples=instances --instances --out=scores
    hpunet score --truth=ct_truth --samples=ct_predicted --images=ct --out=scores

Both folders hold label maps: PNG, TIFF, BMP, WebP, NIfTI, NRRD, MetaImage, DICOM SEG or HDF5, of
pictures or volumes. They are called <name>, or <name>_0, <name>_1 ... (graders also <name>_l0 ...),
or lie in a folder for each sample, each grader or each image; the names of the truth are those of
the samples. What was understood is printed; --truth_form and --samples_form say otherwise.

Prints the table that `evaluate` prints, of the same functions, and writes to --out: scores.json,
scores.md (a table for documents), scores.csv (each image), of classes also scores.npz, and
report.html, a page that needs nothing else, with the worst and the best images beside their scores.
--images adds the images themselves to it. All files are read once before the first is scored.
"""

from absl import flags

from experiments import program
from hpunet_jax.evaluation.report import results_table
from hpunet_jax.scoring.files import ScoreOptions, score_files
from hpunet_jax.scoring.pairing import FORMS

_TRUTH = flags.DEFINE_string("truth", None, "Folder of gradings, or one file.")
_SAMPLES = flags.DEFINE_string("samples", None, "Folder of samples, or one file.")
_OUT = flags.DEFINE_string("out", None, "Folder to write to.")
_IMAGES = flags.DEFINE_string("images", None, "Folder of the images, to be shown below the maps.")
_INSTANCES = flags.DEFINE_bool("instances", False, "The maps are of instances, not of classes.")
_FORM = f"({', '.join(FORMS)}); default: what fits."
_TRUTH_FORM = flags.DEFINE_enum("truth_form", None, FORMS, f"How graders are told apart {_FORM}")
_SAMPLES_FORM = flags.DEFINE_enum("samples_form", None, FORMS, f"How samples are {_FORM}")
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", None, "Number of classes; default: of those that occur.", 2, 255
)
_FOREGROUND = flags.DEFINE_enum(
    "foreground",
    None,
    ["255", "1"],
    "Of maps of 0 and 255: 255 if that is the foreground, 1 if it means that a pixel is ignored.",
)
_ABSENT = flags.DEFINE_enum(
    "absent",
    None,
    ["one", "nan"],
    "What a class counts as that two maps lack; default: evaluate's.",
)
_MIN_REGION = flags.DEFINE_integer("min_region", 1, "Pixels of an object that counts (AP).", 1)
_BOOTSTRAPS = flags.DEFINE_integer("bootstraps", 1000, "Bootstraps with replacement.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the bootstraps.", 0)
_SHOWN = flags.DEFINE_integer("shown", 6, "Worst and best images in the report.", 0)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace earlier scores in --out.")
flags.mark_flags_as_required(["truth", "samples", "out"])


def main(_) -> None:
    program.heed_sigterm()
    options = ScoreOptions(
        truth=_TRUTH.value,
        samples=_SAMPLES.value,
        out=_OUT.value,
        images=_IMAGES.value,
        instances=_INSTANCES.value,
        truth_form=_TRUTH_FORM.value,
        samples_form=_SAMPLES_FORM.value,
        num_classes=_NUM_CLASSES.value,
        foreground=int(_FOREGROUND.value) if _FOREGROUND.value else None,
        absent=_ABSENT.value,
        min_region=_MIN_REGION.value,
        bootstraps=_BOOTSTRAPS.value,
        seed=_SEED.value,
        shown=_SHOWN.value,
        overwrite=_OVERWRITE.value,
    )
    results = score_files(options, print)
    print(f"\n{results_table(results)}\n")
    print(f"report: {options.out}/report.html; scores.json, .md and .csv (each image) beside it")


if __name__ == "__main__":
    program.run(main)
