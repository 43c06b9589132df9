"""Reading built TFDS data sets: encoded examples, decoding, batches as NumPy arrays."""

import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np

from hpunet_jax.data import records
from hpunet_jax.data.tensorflow import tf, tfds

# What TensorFlow raises for records that are damaged, cut short or gone.
_DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.FailedPreconditionError,
)
_REFUSED = (tf.errors.InvalidArgumentError,)


def random_examples(
    builder: tfds.core.DatasetBuilder, split: str
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Opens a split for reading its examples in any order, without holding it in memory.

    Args:
      builder: a prepared builder.
      split: the split.

    Returns:
      A TensorFlow function from the number of an example in the split, int64 [], to its encoded
      features that are not text, e.g. PNG files as strings.

    Raises:
      ValueError: the built data set is damaged, or not stored as TFRecord files.
    """
    try:
        places = records.index(builder, split)
    except FileNotFoundError as error:
        raise ValueError(_damaged(builder, str(error))) from error
    check_count(builder, split, len(places.offset), builder.info.splits[split].num_examples)
    read, names, encoded = (
        records.reader(places),
        numeric_features(builder),
        _skip_decoding(builder),
    )

    def example(number: tf.Tensor) -> dict[str, tf.Tensor]:
        stored = builder.info.features.deserialize_example(read(number), decoders=encoded)
        return {name: stored[name] for name in names}

    return example


def encoded_dataset(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """A split as it is stored, example by example in a fixed order, without text."""
    names = numeric_features(builder)
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, decoders=_skip_decoding(builder), read_config=_in_order()
    )
    return dataset.map(lambda example: {name: example[name] for name in names})


def numeric_features(builder: tfds.core.DatasetBuilder) -> list[str]:
    """Names of the features that are not text."""
    return [
        name
        for name, feature in builder.info.features.items()
        if not isinstance(feature, tfds.features.Text)
    ]


def decoder(
    builder: tfds.core.DatasetBuilder,
) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """What turns an encoded example into arrays of the types that the data set declares."""
    features = builder.info.features
    return lambda encoded: {
        name: features[name].decode_example(value) for name, value in encoded.items()
    }


def num_threads() -> int:
    """The accelerator's host has other work to do: decoding leaves it some of its cores."""
    return min(8, os.cpu_count() or 1)


def numpy_batches(
    dataset: tf.data.Dataset, builder: tfds.core.DatasetBuilder
) -> Iterator[dict[str, np.ndarray]]:
    """Iterates over a data set of batches; examples are read ahead by TensorFlow's threads.

    Args:
      dataset: the batches.
      builder: whose data set it is, for the words of errors.

    Yields:
      The batches.

    Raises:
      ValueError: examples of different sizes meet in a batch, or the data set is damaged.
    """
    options = tf.data.Options()
    options.threading.private_threadpool_size = num_threads()
    options.autotune.enabled = False  # its thread holds up the end of a pass for many seconds
    options.threading.max_intra_op_parallelism = 1
    with _named(builder):
        yield from dataset.prefetch(2).with_options(options).as_numpy_iterator()


def check_count(builder: tfds.core.DatasetBuilder, split: str, found: int, expected: int) -> None:
    """Raises a ValueError if a split gave another number of examples than were built."""
    if found != expected:
        raise ValueError(_damaged(builder, f"{split} has {found} of {expected} examples"))


class _named(contextlib.AbstractContextManager):
    """Gives TensorFlow's errors words that name the data set.

    A class and not a generator: at Python's exit, when a stream that was left is closed, this
    module's names may be gone already, and nothing here looks one up then.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder) -> None:
        self._builder = builder

    def __exit__(self, kind, error, _) -> None:
        if kind is None or kind is GeneratorExit:
            return
        if issubclass(kind, _DAMAGE):
            raise ValueError(_damaged(self._builder, error.message)) from error
        if issubclass(kind, _REFUSED):
            raise ValueError(
                f"A batch of {self._builder.info.full_name} could not be read: its examples must "
                f"all have one size and be undamaged. TensorFlow says: {error.message}"
            ) from error


def _damaged(builder: tfds.core.DatasetBuilder, what: str) -> str:
    return (
        f"The data set {builder.info.full_name} in {builder.data_path} is damaged: {what}. Delete "
        "this folder and build the data set again."
    )


def _skip_decoding(builder: tfds.core.DatasetBuilder) -> dict[str, tfds.decode.Decoder]:
    return {name: tfds.decode.SkipDecoding() for name in builder.info.features}


def _in_order() -> tfds.ReadConfig:
    return tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
