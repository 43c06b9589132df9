"""Builds one of the data sets for tf.data; what is built already is left alone.

    python -m experiments.build_data --name=lidc_phantom --data_dir=datasets

Data sets made from files that you have take their folder with --source.
"""

from absl import flags

from experiments import program

_NAME = flags.DEFINE_string("name", None, "The data set, e.g. lidc_phantom.")
_DATA_DIR = flags.DEFINE_string("data_dir", "datasets", "Where data sets are built.")
_SOURCE = flags.DEFINE_string("source", None, "Folder of the files to build from, if any.")
flags.mark_flag_as_required("name")


def main(_) -> None:
    import tensorflow_datasets as tfds

    from hpunet_jax.data import catalogue

    tfds.disable_progress_bar()  # our generators show how far they are
    builder = catalogue.find_builder(_NAME.value, _DATA_DIR.value)
    config = tfds.download.DownloadConfig(manual_dir=_SOURCE.value)
    builder.download_and_prepare(download_config=config)
    counts = {split: info.num_examples for split, info in builder.info.splits.items()}
    shown = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    print(f"{builder.info.full_name}: {sum(counts.values()):,} examples ({shown})")
    print(f"in {builder.data_path}, {builder.info.dataset_size}")


if __name__ == "__main__":
    program.run(main)
