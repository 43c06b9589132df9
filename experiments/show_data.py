"""Draws examples of a data set as they are stored: images beside all that is known of them.

    hpunet show_data --name=lidc_phantom --out=lidc_phantom.png
    hpunet show_data --name=own_data --data_dir=mydata --out=mydata.png
    hpunet show_data --images=ct.nii.gz --window=-1000,400 --out=ct.png

Of own data, --data_dir is its folder. --images shows slices of a volume or DICOM series, pictures,
or a folder of these, as a network would see them. --window, --percentiles, --spacing, --scale and
--hdf5 are the config's fields of these names. `hpunet show_batch` shows what a network is fed:
cropped, augmented, with targets drawn.
"""

import numpy as np
from absl import flags

from experiments import preparation_flags, program
from hpunet_jax.figures import annotations_figure, save_figure
from hpunet_jax.figures.catalogue import spread_over
from hpunet_jax.io import check_apart, find_images, read_slices

flags.adopt_module_key_flags(preparation_flags)
_NAME = flags.DEFINE_string("name", None, "The data set, e.g. lidc_phantom.")
_IMAGES = flags.DEFINE_string("images", None, "Instead: image, volume, DICOM series, or a folder.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "datasets", "Where data sets are built; own data's folder."
)
_OUT = flags.DEFINE_string("out", None, "The picture to write.")
_SPLIT = flags.DEFINE_string("split", "test", "The split to show.")
_COUNT = flags.DEFINE_integer("count", 8, "Examples, spread over the split.", lower_bound=1)
_FOREGROUND = flags.DEFINE_integer("foreground", None, "Of own data: data.foreground.")
_SIZE = flags.DEFINE_list("size", None, "Of own data: height,width, data.size.")
flags.mark_flag_as_required("out")

_LONGEST = 24  # letters of a file's name on its picture


def main(_) -> None:
    if bool(_NAME.value) == bool(_IMAGES.value):
        raise ValueError("give either --name, a data set, or --images, files.")
    examples = of_files() if _IMAGES.value else of_data_set()
    save_figure(annotations_figure(examples, 2 if _NAME.value else 4), _OUT.value)
    print(f"picture: {_OUT.value}")


def of_files() -> dict[str, np.ndarray]:
    """Slices of the files, without annotations."""
    check_apart(_OUT.value, _IMAGES.value)
    paths = find_images(_IMAGES.value).images
    shown = [paths[number] for number in spread_over(len(paths), _COUNT.value)]
    images, captions = [], []
    for place, path in enumerate(shown):
        slices = read_slices(path, preparation_flags.preparation()).array
        count = len(range(place, _COUNT.value, len(shown)))  # of each file as many as of others
        for number in spread_over(len(slices), count):
            images.append(slices[number])
            name = short(path.name)
            if len(slices) > 1:
                name = f"{name} slice {number}" if len(shown) > 1 else f"slice {number}"
            captions.append(name)
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"{_IMAGES.value} holds images of several sizes: show them one by one.")
    nobody = np.zeros((*np.shape(images)[:3], 0), np.uint8)
    return {"image": np.stack(images), "masks": nobody, "captions": np.array(captions)}


def short(name: str) -> str:
    """A name with room on a picture; of a long one its beginning and end."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"


def of_data_set() -> dict[str, np.ndarray]:
    """Examples of the data set with all that is known of them."""
    from hpunet_jax.data import catalogue, pipeline
    from hpunet_jax.data.own import builder as own_data

    check_apart(_OUT.value, _DATA_DIR.value)
    if _NAME.value == "own_data":
        size = program.parse_size("size", _SIZE.value)
        builder = own_data.load(
            _DATA_DIR.value,
            size,
            foreground=_FOREGROUND.value,
            preparation=preparation_flags.preparation(),
        )
    else:
        builder = catalogue.load_builder(_NAME.value, _DATA_DIR.value)
    numbers = spread_over(pipeline.num_examples(builder, _SPLIT.value), _COUNT.value)
    return pipeline.examples_at(builder, _SPLIT.value, numbers)


if __name__ == "__main__":
    program.run(main)
