"""Draws examples of a data set as they are stored: images beside all that is known of them.

    hpunet show_data --name=lidc_phantom --out=lidc_phantom.png
    hpunet show_data --name=own_data --data_dir=mydata --out=mydata.png

Of own data, --data_dir is its folder, and --window, --percentiles, --spacing and --hdf5 are the
config's fields of these names. `hpunet show_batch` shows what a network is fed:
cropped, augmented, with targets drawn.
"""

from absl import flags

from experiments import preparation_flags, program
from hpunet_jax.io import check_apart

_NAME = flags.DEFINE_string("name", None, "The data set, e.g. lidc_phantom.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "datasets", "Where data sets are built; own data's folder."
)
_OUT = flags.DEFINE_string("out", None, "The picture to write.")
_SPLIT = flags.DEFINE_string("split", "test", "The split to show.")
_COUNT = flags.DEFINE_integer("count", 8, "Examples, spread over the split.", lower_bound=1)
_FOREGROUND = flags.DEFINE_integer("foreground", None, "Of own data: data.foreground.")
_SIZE = flags.DEFINE_list("size", None, "Of own data: height,width, data.size.")
flags.mark_flags_as_required(["name", "out"])


def main(_) -> None:
    from hpunet_jax.data import catalogue, pipeline
    from hpunet_jax.data.own import builder as own_data
    from hpunet_jax.figures import annotations_figure, save_figure
    from hpunet_jax.figures.catalogue import spread_over

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
    save_figure(
        annotations_figure(pipeline.examples_at(builder, _SPLIT.value, numbers)), _OUT.value
    )
    print(f"picture: {_OUT.value}")


if __name__ == "__main__":
    program.run(main)
