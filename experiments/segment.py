"""Segments the instances in image files, with a confidence for each (Sections 3.3 and 3.4).

    hpunet segment --checkpoint=runs/neurites --images=slices/ --out=instances

takes an image file, a volume, the folder of a DICOM series, or a folder of these (docs/data.md and
docs/volumes.md say which), and a model that was trained on instances. For each it writes
<out>/<name>_instances, a 16-bit PNG or a volume in the source's format and geometry, whose values
are the instances' numbers (0 is background; in a volume each slice has its own), and
<out>/<name>_overlay, the instances over the image. The table <out>/instances.csv has a row for each
instance of all images that were segmented into the folder, also by earlier calls: image, slice,
number, area and box in pixels; `confidence`, the mean probability that its pixels are part of an
instance (Appendix B.3), less for images unlike those of training; and `agreement`, how far the
samples agree that it is one.

Images may have any size; the network sees them whole, and the progress bar says how much memory it
takes. All files are read once before the first is segmented, so that a damaged one is told early. A
program that was stopped goes on where it was.
"""

import dataclasses
import pathlib

from absl import flags
from tqdm import tqdm

from experiments import checkpoint_flags, preparation_flags, program
from hpunet_jax.folders import check_out
from hpunet_jax.inference.outputs import check_results, settings_of
from hpunet_jax.inference.segment import Segmenter, SegmentOptions
from hpunet_jax.inference.segment_files import (
    check_table,
    finished_instances,
    image_name,
    write_instances,
    write_table,
)
from hpunet_jax.inference.volumes import read_for
from hpunet_jax.io import Slices, check_apart, find_images, name_of

flags.adopt_module_key_flags(checkpoint_flags)
flags.adopt_module_key_flags(preparation_flags)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Work directory of a run, or a model file.")
_IMAGES = flags.DEFINE_string("images", None, "Image, volume, DICOM series, or a folder.")
_OUT = flags.DEFINE_string("out", None, "Folder to write to.")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", None, "Default: the config's.", lower_bound=1)
_THRESHOLD = flags.DEFINE_integer(
    "threshold",
    None,
    "Greatest Hamming distance within an instance (α). Default: the config's, scaled with "
    "--num_samples.",
)
_SEED = flags.DEFINE_integer("seed", None, "Of samples and clustering. Default: the config's.")
_MAX_MEMORY = flags.DEFINE_float("max_memory_gb", 16.0, "Refuse images that need more to sample.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace instances of other settings.")
flags.mark_flags_as_required(["checkpoint", "images", "out"])


def main(_) -> None:
    program.heed_sigterm()
    out = check_out(_OUT.value, "--out")
    check_apart(out, _IMAGES.value)
    check_table(out)
    listing = find_images(_IMAGES.value)
    if listing.skipped:
        print(listing.note())
    paths = listing.images
    model = checkpoint_flags.load(_CHECKPOINT.value)
    options = SegmentOptions.from_config(
        model.config,
        num_samples=_NUM_SAMPLES.value,
        threshold=_THRESHOLD.value,
        seed=_SEED.value,
    )
    print(f"{options.num_samples} samples, clustered at a distance of {options.threshold}")
    segmenter = Segmenter(model, options, max_memory=1e9 * _MAX_MEMORY.value)
    preparation = preparation_flags.preparation(model.config.get("data"))
    digest = model.digest()

    def read(path: pathlib.Path) -> tuple[Slices, dict]:
        slices = read_for(model, path, preparation)
        settings = dataclasses.asdict(options)
        if model.calibration is not None:  # which the confidences depend on
            settings["calibration"] = model.calibration.digest()
        return slices, settings_of("segment", digest, slices, preparation, **settings)

    rows: dict[pathlib.Path, list | None] = {}
    num_slices = 0
    for path in tqdm(paths, desc="check", unit="file"):
        slices, settings = read(path)
        rows[path] = finished_instances(out, name_of(path), settings, _OVERWRITE.value)
        if rows[path] is None:
            check_results(slices)
            num_slices += len(slices.array)
    if done := sum(found is not None for found in rows.values()):
        print(f"{done:,} of {len(paths):,} were segmented before")
    with tqdm(total=num_slices, desc="segment", unit="slice") as bar:
        for path in paths:
            if rows[path] is None:
                slices, settings = read(path)
                program.warn(model.warning(image_name(path), slices.array))
                try:
                    memory = segmenter.memory(slices.array.shape[1:3])
                except ValueError as error:
                    raise ValueError(f"{path}: {error}") from error
                bar.set_postfix_str(f"{image_name(path)}, {memory / 1e6:,.0f} MB")
                rows[path] = write_instances(
                    segmenter, slices, out, name_of(path), settings, on_slice=bar.update
                )
    table = write_table(out)
    count = sum(map(len, rows.values()))
    print(f"{count:,} instances in {len(paths):,} images; table: {table}")


if __name__ == "__main__":
    program.run(main)
