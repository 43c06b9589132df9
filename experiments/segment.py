"""Segments the instances in image files, with a confidence for each (Sections 3.3 and 3.4).

    hpunet segment --checkpoint=runs/neurites --images=slices/ --out=instances

takes a PNG, JPEG or TIFF file, or a folder of them, and a model that was trained on instances. For
each image it writes <out>/<name>_instances.png, a 16-bit map whose values are the instances'
numbers (0 is background), and <out>/<name>_overlay.png, the instances over the image. The table
<out>/instances.csv has a row for each instance: image, number, area and box in pixels;
`confidence`, the mean probability that its pixels are part of an instance (Appendix B.3); and
`agreement`, how far the samples agree that it is one.

Images may have any size; the network sees them whole, and the progress bar says how much memory it
takes. All files are read once before the first is segmented, so that a damaged one is told early.
"""

from absl import flags
from PIL import Image
from tqdm import tqdm

import hpunet_jax
from experiments import program
from hpunet_jax.buckets import place
from hpunet_jax.figures.overlay import overlay
from hpunet_jax.files import write_aside
from hpunet_jax.inference.segment import Segmenter, SegmentOptions
from hpunet_jax.inference.segment_files import write_table
from hpunet_jax.io import check_apart, find_images, fit_channels, read_image, write_labels

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Work directory of a run, or a model file.")
_STEP = flags.DEFINE_integer("step", None, "Which checkpoint; default: the newest.")
_IMAGES = flags.DEFINE_string("images", None, "Image file, or folder of image files.")
_OUT = flags.DEFINE_string("out", None, "Folder to write to.")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", None, "Default: the config's.", lower_bound=1)
_THRESHOLD = flags.DEFINE_integer(
    "threshold",
    None,
    "Greatest distance within an instance. Default: the config's, scaled with --num_samples.",
)
_SEED = flags.DEFINE_integer("seed", None, "Of samples and clustering. Default: the config's.")
_MAX_MEMORY = flags.DEFINE_float("max_memory_gb", 16.0, "Refuse images that need more to sample.")
flags.mark_flags_as_required(["checkpoint", "images", "out"])


def main(_) -> None:
    out = place(_OUT.value, "--out")
    check_apart(out, _IMAGES.value)
    listing = find_images(_IMAGES.value)
    if listing.skipped:
        print(listing.note())
    paths = listing.images
    model = hpunet_jax.load(_CHECKPOINT.value, _STEP.value)
    options = SegmentOptions.from_config(
        model.config,
        num_samples=_NUM_SAMPLES.value,
        threshold=_THRESHOLD.value,
        seed=_SEED.value,
    )
    print(f"{options.num_samples} samples, clustered at a distance of {options.threshold}")
    segmenter = Segmenter(model, options, max_memory=1e9 * _MAX_MEMORY.value)
    channels = model.network.image_channels
    for path in tqdm(paths, desc="check", unit="image"):
        fit_channels(read_image(path), channels)

    tables = {}
    with tqdm(paths, desc="segment", unit="image") as bar:
        for path in bar:
            image = fit_channels(read_image(path), channels)
            try:
                memory = segmenter.memory(image.shape[:2])
                bar.set_postfix_str(f"{path.name}, {memory / 1e6:,.0f} MB")
                result = segmenter(image)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            write_labels(out / f"{path.stem}_instances.png", result.instances)
            with write_aside(out / f"{path.stem}_overlay.png") as aside:
                Image.fromarray(overlay(image, result.instances)).save(aside)
            tables[path.name] = result.table
    write_table(out / "instances.csv", tables)
    count = sum(len(table.ids) for table in tables.values())
    print(f"{count:,} instances in {len(paths):,} images; table: {out / 'instances.csv'}")


if __name__ == "__main__":
    program.run(main)
