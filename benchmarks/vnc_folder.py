"""A folder of own instances from published electron micrographs, to train and score on.

    python -m benchmarks.vnc_folder --source=downloads/vnc --out=vnc --scale=2
    hpunet check_data --dir=vnc
    hpunet train --config=configs/own_instances.py:small --config.data.dir=vnc --workdir=runs/vnc
    hpunet evaluate --workdir=runs/vnc

The data are 20 sections of neural tissue (Gerhard, Funke, Martel, Cardona, Fetter: Segmented
anisotropic ssTEM dataset of neural tissue, doi 10.6084/m9.figshare.856713, CC BY-NC-SA 3.0), as
`images/00.png` and `labels/00.png`, in which values up to 128 are membranes. What they enclose,
pixels that touch by a side, is an instance. Sections 0 to 14 are for training, 15 and 16 for
validation, 17 to 19 for testing.
"""

import pathlib

import numpy as np
import skimage.measure
import skimage.transform
import tifffile
from absl import app, flags
from tqdm import tqdm

from hpunet_jax.io import check_apart, read_image, read_labels

_SOURCE = flags.DEFINE_string("source", None, "Folder with images and labels.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_SCALE = flags.DEFINE_integer("scale", 2, "Squares of so many pixels become one.", 1, 16)
flags.mark_flags_as_required(["source", "out"])

_MEMBRANE = 128  # and below


def main(_) -> None:
    source, out = pathlib.Path(_SOURCE.value), pathlib.Path(_OUT.value)
    check_apart(out, source)
    images = sorted((source / "images").glob("*.png"))
    for number, path in enumerate(tqdm(images, unit="section")):
        part = "train" if number < 15 else "val" if number < 17 else "test"
        labels = read_labels(source / "labels" / path.name).array
        instances = skimage.measure.label(labels > _MEMBRANE, connectivity=1)
        image = read_image(path).array[..., 0]
        half = _SCALE.value // 2
        small = skimage.transform.downscale_local_mean(image, (_SCALE.value, _SCALE.value))
        ids = instances[half :: _SCALE.value, half :: _SCALE.value]
        write(out / part / "images" / f"{path.stem}.tif", np.rint(small).astype(np.uint8))
        write(out / part / "instances" / f"{path.stem}.tif", ids.astype(np.uint16))
    print(f"{len(images)} sections: {out}")


def write(path: pathlib.Path, pixels: np.ndarray) -> None:
    """Writes a compressed TIFF file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, compression="deflate", photometric="minisblack")


if __name__ == "__main__":
    app.run(main)
