"""Samples segmentations from a trained network and draws them (Figs. 2 to 6, 9 to 15).

    hpunet sample --workdir=runs/demo
    hpunet sample --workdir=runs/demo --images=scans/ --num_samples=32
    hpunet sample --checkpoint=pretrained/neurites_phantom --config.data.name=vnc --out=samples

--checkpoint is another name for --workdir.

Without --images, a few examples of the config's data set, or of that of --config.data.name, are
shown beside their annotations: samples.png (image, graders, reconstructions, samples), or of data
sets with instances instances.png (image, labels, reconstruction, clustered instances, samples); and
scales.png (all latent scales, only the coarsest, only the finest). A model that extrapolates is
shown in extrapolation.png alone.

With --images, an image file, a volume, the folder of a DICOM series, or a folder of these
(docs/data.md and docs/volumes.md say which), each gets its samples as label maps in <out>/<name>:
sample_00.png and so on, the pixel's value being the class; of a volume as a volume in its own
format and geometry, with the same noise in all slices, so that a sample is one hypothesis of the
volume. Beside them lie the mean probability of each class and its standard deviation. Images may
have any size; what does not fit into memory is sampled in tiles. A program that was stopped goes on
where it was. experiments.segment makes instances of them.
"""

import pathlib

import numpy as np
from absl import flags
from tqdm import tqdm

import hpunet_jax
from experiments import checkpoint_flags, data_flags, preparation_flags, program
from hpunet_jax.buckets import AnyPath, is_bucket, place
from hpunet_jax.figures import save_figure
from hpunet_jax.figures.catalogue import spread_over
from hpunet_jax.figures.model import model_figures, scale_choices
from hpunet_jax.figures.scales import scales_figure
from hpunet_jax.folders import check_out
from hpunet_jax.inference.inputs import check_takes_images_alone
from hpunet_jax.inference.outputs import check_results, settings_of
from hpunet_jax.inference.sample_files import finished_samples, write_samples
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.inference.volumes import read_for
from hpunet_jax.inference.whole import sample_whole
from hpunet_jax.io import Slices, check_apart, find_images, name_of

flags.adopt_module_key_flags(checkpoint_flags)
flags.adopt_module_key_flags(data_flags)
flags.adopt_module_key_flags(preparation_flags)
_WORKDIR = flags.DEFINE_string("workdir", None, "Work directory of a training run.")
flags.DEFINE_alias("checkpoint", "workdir")
_OUT = flags.DEFINE_string("out", None, "Folder to write to; default: <workdir>/samples.")
_IMAGES = flags.DEFINE_string(
    "images", None, "Image, volume, DICOM series, or a folder; default: the data set's examples."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace samples of other settings.")
_SPLIT = flags.DEFINE_string("split", None, "Default: the config's evaluation.split.")
_EXAMPLES = flags.DEFINE_list(
    "examples", None, "Numbers of the examples to show; default: four, spread over the split."
)
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", None, "Samples of each image; default: as in the evaluation.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples, and of labels for instances.")
_HIDDEN = flags.DEFINE_float(
    "hidden", 0.5, "Hidden fraction, from the top, where the model extrapolates.", 0.0, 1.0
)
flags.mark_flag_as_required("workdir")


def main(_) -> None:
    program.heed_sigterm()
    if _OUT.value:
        check_out(_OUT.value, "--out")
    model = checkpoint_flags.load(_WORKDIR.value)
    data_flags.choose_data(model)
    workdir = place(_WORKDIR.value, "--workdir")
    if not (_OUT.value or is_bucket(workdir) or workdir.is_dir()):
        raise ValueError(f"--workdir={workdir} is no folder to write to: say where with --out.")
    out = place(_OUT.value or workdir / "samples", "--out")
    if _IMAGES.value:
        sample_files(model, pathlib.Path(_IMAGES.value), out)
    else:
        sample_data_set(model, out)


def sample_data_set(model: hpunet_jax.Model, out: AnyPath) -> None:
    """Draws examples of the model's data set with samples and reconstructions."""
    examples = read_examples(model.config)
    figures = model_figures(model, examples, num_samples(model), _SEED.value, _HIDDEN.value)
    for name, figure in figures.items():
        save_figure(figure, out / name)
        print(f"picture: {out / name}")


def sample_files(model: hpunet_jax.Model, source: pathlib.Path, out: AnyPath) -> None:
    """Writes the samples of files as label maps and maps of numbers, with a picture of each."""
    check_takes_images_alone(model.extrapolates)
    check_apart(out, source)
    listing = find_images(source)
    if listing.skipped:
        print(listing.note())
    tile = model.config.get("evaluation", {}).get("tile", TILE)
    options = {"num_samples": num_samples(model), "seed": _SEED.value, "tile": tuple(tile)}
    preparation = preparation_flags.preparation(model.config.get("data"))
    digest = model.digest()

    def read(path: pathlib.Path) -> tuple[Slices, dict]:
        slices = read_for(model, path, preparation)
        return slices, settings_of("sample", digest, slices, preparation, **options)

    missing, slices_missing = [], 0
    for path in tqdm(listing.images, desc="check", unit="file"):
        slices, settings = read(path)
        if not finished_samples(out / name_of(path), settings, _OVERWRITE.value):
            check_results(slices)
            missing.append(path)
            slices_missing += len(slices.array)
    if done := len(listing.images) - len(missing):
        print(f"{done:,} of {len(listing.images):,} were sampled before")
    with tqdm(total=slices_missing, desc="sample", unit="slice") as bar:
        for path in missing:
            bar.set_postfix_str(path.name)
            slices, settings = read(path)
            program.warn(model.warning(path.name, slices.array))
            write_samples(
                model,
                slices,
                out / name_of(path),
                settings,
                **options,
                draw=lambda image, file: draw_scales(model, image, file),
                on_slice=bar.update,
            )
    print(f"label maps and pictures: {out}")


def draw_scales(model: hpunet_jax.Model, image: np.ndarray, file: pathlib.Path) -> None:
    """Draws the picture like Fig. 3 of an image [H, W, channels]."""
    tile = model.config.get("evaluation", {}).get("tile", TILE)
    rows = {
        name: sample_whole(
            model, image, num_samples(model), _SEED.value, scales=scales, tile=tile
        ).labels[:, None]
        for name, scales in scale_choices(model).items()
    }
    save_figure(scales_figure(image[None], rows), file)


def num_samples(model: hpunet_jax.Model) -> int:
    """As many samples as asked for, or as the evaluation takes."""
    return _NUM_SAMPLES.value or model.config.evaluation.num_samples


def read_examples(config) -> dict[str, np.ndarray]:
    """Image and annotations [B, H, W, ...] of the examples to show."""
    from hpunet_jax.data import pipeline

    builder = pipeline.open_data_set(config, data_flags.DATA_DIR.value)
    split = _SPLIT.value or config.evaluation.split
    numbers = spread_over(pipeline.num_examples(builder, split), 4)
    if _EXAMPLES.value:
        numbers = [int(number) for number in _EXAMPLES.value]
    return pipeline.examples_at(builder, split, numbers)


if __name__ == "__main__":
    program.run(main)
