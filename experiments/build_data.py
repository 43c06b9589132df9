"""Builds one of the data sets for tf.data; what is built already is left alone.

    hpunet build_data --name=lidc_phantom --data_dir=datasets

Data sets made from files that you have take their folder with --source. What has been built from
other files is replaced only with --rebuild.
"""

from absl import flags

from experiments import program

_NAME = flags.DEFINE_string("name", None, "The data set, e.g. lidc_phantom.")
_DATA_DIR = flags.DEFINE_string("data_dir", "datasets", "Where data sets are built.")
_SOURCE = flags.DEFINE_string("source", None, "Folder of the files to build from, if any.")
_REBUILD = flags.DEFINE_bool("rebuild", False, "Replace what has been built before.")
flags.mark_flag_as_required("name")


def main(_) -> None:
    from hpunet_jax.data.building import build
    from hpunet_jax.data.tensorflow import tfds

    tfds.disable_progress_bar()  # our generators show how far they are
    builder = build(_NAME.value, _DATA_DIR.value, _SOURCE.value, _REBUILD.value)
    counts = {split: info.num_examples for split, info in builder.info.splits.items()}
    shown = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    print(f"{builder.info.full_name}: {sum(counts.values()):,} examples ({shown})")
    print(f"in {builder.data_path}, {builder.info.dataset_size}")


if __name__ == "__main__":
    program.run(main)
