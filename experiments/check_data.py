"""Checks own data before training on it.

    hpunet check_data --dir=mydata

Reads every image, volume and mask in train, val and test, prints sizes, kinds of pixels, spacings,
values, graders, classes and empty masks or instances, names every file that training could not use,
and tells what is suspicious. The exit code is 1 if there is such a file, or nothing to train on.
docs/own_data.md describes the layout. --window, --percentiles, --spacing, --scale and --hdf5 are
the config's fields of these names: give --window=-1000,400 of CT, for instance.
"""

import pathlib
import sys

from absl import flags

from experiments import preparation_flags, program
from hpunet_jax.files import write_aside
from hpunet_jax.io import check_apart

flags.adopt_module_key_flags(preparation_flags)
_DIR = flags.DEFINE_string("dir", None, "Folder with train, val and test.")
_SIZE = flags.DEFINE_list("size", None, "Height,width that images are cropped or padded to.")
_BITS = flags.DEFINE_integer("bits", None, "Bits that all images must have, 8 or 16.")
_CLASSES = flags.DEFINE_integer("num_classes", None, "Masks must have smaller classes than this.")
_FOREGROUND = flags.DEFINE_integer(
    "foreground", None, "255: in masks of 0 and 255, that is class 1. 1: 255 means ignore."
)
_CROP = flags.DEFINE_list("crop", None, "Height,width of the centre crop that is evaluated.")
_JSON = flags.DEFINE_string("json", None, "Also write the report to this file.")
flags.mark_flag_as_required("dir")


def main(_) -> None:
    from hpunet_jax.data.own.check import check
    from hpunet_jax.data.own.folder import find_parts

    if _JSON.value:
        folder = pathlib.Path(_DIR.value)
        check_apart(_JSON.value, folder / "dataset.json")
        for name, part in find_parts(folder).items():
            for place in (folder / name, *sorted({path.parent for path in part.files.values()})):
                check_apart(_JSON.value, place)
    report = check(
        _DIR.value,
        size=program.parse_size("size", _SIZE.value),
        bits=_BITS.value,
        num_classes=_CLASSES.value,
        foreground=_FOREGROUND.value,
        crop=program.parse_size("crop", _CROP.value),
        preparation=preparation_flags.preparation(),
    )
    print(report.to_text(), end="")
    if _JSON.value:
        with write_aside(pathlib.Path(_JSON.value)) as path:
            path.write_text(report.to_json(), encoding="utf-8")
    if not report.ready:
        sys.exit(1)


if __name__ == "__main__":
    program.run(main)
