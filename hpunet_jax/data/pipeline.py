"""Feeding training and evaluation (App. D): prepared TFDS data sets as numpy batches.

The order of the training examples is a stateless function of (seed, step): each epoch is the
permutation drawn from (seed, epoch), and batch `s` holds positions `s * batch_size` onwards of
the endless sequence of epochs. Starting at a later step therefore costs nothing, and a resumed
run sees exactly what the uninterrupted one would have seen. So are the windows that are cut out of
images of any size (windows.py).
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import ml_collections
import numpy as np
from jaxtyping import Int64

from hpunet_jax.data.catalogue import find_builder, load_builder
from hpunet_jax.data.own import builder as own_data
from hpunet_jax.data.own.examples import fit
from hpunet_jax.data.reading import (
    check_count,
    decoder,
    encoded_dataset,
    num_threads,
    numeric_features,
    numpy_batches,
    random_examples,
)
from hpunet_jax.data.tensorflow import tf, tfds
from hpunet_jax.data.windows import MAPS, Windows
from hpunet_jax.io import Preparation
from hpunet_jax.labels import IGNORED

_PIECE = 1 << 15  # examples whose order is handed to TensorFlow at once


def open_data_set(
    config: ml_collections.ConfigDict, data_dir: str | os.PathLike[str] | None = None
) -> tfds.core.DatasetBuilder:
    """Opens the data set that a config names, and checks that the config fits it.

    Args:
      config: the whole config; used are `data` and `model`.
      data_dir: in place of `data.dir`: where data sets are built; for own data, its folder.

    Returns:
      The prepared builder. Own data is checked and built, unless that has been done before.

    Raises:
      ValueError: there is no data set of this name, the model or the crop does not fit it, or
        training could not use some own file.
      FileNotFoundError: the data set has not been built, or there is no folder of own data.
    """
    data, data_dir = config.data, data_dir or config.data.dir
    if data.name == "own_data":
        builder = own_data.load(
            data_dir,
            size=data.get("size"),
            bits=data.get("bits"),
            cache=data.get("cache_dir"),
            foreground=data.get("foreground"),
            preparation=Preparation.from_config(data),
        )
    else:
        builder = load_builder(data.name, data_dir)
    check_config(config, builder)
    return builder


def example_shapes(
    config: ml_collections.ConfigDict,
) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each feature of a training example, without text.

    Args:
      config: the whole config; used are `data` and `model`.

    Returns:
      Those that the data set declares, or of the windows that are cut out of its images.

    Raises:
      ValueError, FileNotFoundError: as `open_data_set`; but only own data must be there.
    """
    if config.data.name == "own_data":
        builder = open_data_set(config)
    else:
        builder = find_builder(config.data.name, config.data.dir)
        check_config(config, builder)
    windows = Windows.from_config(config)
    shapes = {}
    for name in numeric_features(builder):
        feature = builder.info.features[name]
        shape = feature.shape
        if windows is not None and name in MAPS:
            shape = (*windows.size, *shape[2:])
        shapes[name] = shape, np.dtype(feature.np_dtype)
    return shapes


def check_config(config: ml_collections.ConfigDict, builder: tfds.core.DatasetBuilder) -> None:
    """Refuses a config whose model or crop does not fit a data set; says what to set.

    Args:
      config: the whole config; used are `data.crop` and `model`.
      builder: the data set.

    Raises:
      ValueError: if the images have another number of channels or are smaller than the crop, or
        the masks have more classes than the model.
    """
    name = f"the data set {config.data.name!r}"
    *size, channels = builder.info.features["image"].shape
    images = "images"
    if config.data.get("extrapolation") is not None:  # see tasks/extrapolation.py
        channels += config.model.num_classes + 1
        images = "images with their visible segmentation"
    if channels != config.model.image_channels:
        raise ValueError(
            f"model.image_channels is {config.model.image_channels}, but the {images} of {name} "
            f"have {channels} channels: set --config.model.image_channels={channels}."
        )
    num_classes = getattr(builder.builder_config, "num_classes", 0)
    if num_classes > config.model.num_classes:
        raise ValueError(
            f"model.num_classes is {config.model.num_classes}, but the masks of {name} have the "
            f"classes 0 to {num_classes - 1}: set --config.model.num_classes={num_classes}."
        )
    if config.data.get("whole_images", False):
        return
    crop = tuple(config.data.crop)
    if None in size and config.data.name == "own_data":
        raise ValueError(
            f"the images of {name} have several sizes, but data.whole_images is off, so that all "
            "must have one: set --config.data.whole_images=True, or data.size to crop or pad them."
        )
    if None not in size and np.any(np.greater(crop, size)):
        raise ValueError(
            f"data.crop is {crop}, but the images of {name} are {size[0]}x{size[1]}: choose a "
            "smaller --config.data.crop, or larger images."
        )


def num_examples(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Number of examples in a split.

    Args:
      builder: a prepared builder.
      split: e.g. 'train', or a part of one, 'train[:100]'.

    Returns:
      The number of examples.

    Raises:
      ValueError: the data set has no such split.
    """
    try:
        return builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"The data set {builder.info.full_name} has no split {split!r}: "
            f"its splits are {', '.join(sorted(builder.info.splits))}."
        ) from error


def train_batches(
    builder: tfds.core.DatasetBuilder,
    *,
    split: str = "train",
    batch_size: int,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    windows: Windows | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless shuffled batches; every epoch holds each example once.

    Examples are read from the files as they are drawn (records.py), so that a split may be larger
    than memory. Whoever opens the stream closes it (`close`), as it never ends: TensorFlow's
    threads read ahead until then.

    Args:
      builder: a prepared builder.
      split: the split to draw from; it may be smaller than a batch.
      batch_size: examples in a batch over all processes, a multiple of `process_count`.
      seed: determines the order, together with the step; not negative.
      start_step: the iterator starts at this batch (counted from 0) of the endless sequence.
      process_index: which of the `process_count` equal parts of each batch to return.
      process_count: number of processes that share a batch.
      windows: what to cut out of images of any size; None: examples as they are.

    Returns:
      An iterator over dictionaries of arrays [batch_size / process_count, ...], one for each
      feature of the data set that is not text, in the types the data set declares.

    Raises:
      ValueError: an argument is out of range, the split is unknown or empty, or (while
        iterating) examples of different sizes meet in a batch; or the built data set is damaged.
    """
    if batch_size < 1 or process_count < 1 or batch_size % process_count:
        raise ValueError(
            f"batch_size is {batch_size} for {process_count} processes: expected a positive "
            "multiple of the number of processes."
        )
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index is {process_index}: expected 0 to {process_count - 1}, "
            f"since there are {process_count} processes."
        )
    for field, value in (("seed", seed), ("start_step", start_step)):
        if value < 0:
            raise ValueError(f"{field} is {value}: expected 0 or more.")
    size = num_examples(builder, split)
    if not size:
        raise ValueError(f"The split {split!r} of {builder.info.full_name} has no examples.")

    rows = batch_size // process_count
    in_batch = process_index * rows + np.arange(rows)
    encoded, decode = random_examples(builder, split), decoder(builder)

    def example(index: tf.Tensor) -> dict[str, tf.Tensor]:
        return decode(encoded(index))

    def read(first_step: int, num_steps: int) -> Iterator[dict[str, np.ndarray]]:
        steps = np.arange(first_step, first_step + num_steps, dtype=np.int64)
        order = example_order(size, seed, steps[:, None] * batch_size + in_batch).ravel()
        if windows is None:
            dataset = _map(tf.data.Dataset.from_tensor_slices(order), example)
        else:
            draws = windows.draws(seed, steps, batch_size)[:, in_batch].reshape(len(order), -1)
            dataset = tf.data.Dataset.from_tensor_slices((order, draws))
            dataset = _map(dataset, lambda index, draw: windows.cut(example(index), draw))
        return numpy_batches(dataset.batch(rows, drop_remainder=True), builder)

    # The order is handed to TensorFlow in pieces, and not by a Python generator that its threads
    # call: when Python exits before the stream ends (it never does), such a call hangs.
    num_steps = max(1, _PIECE // batch_size)
    pieces = (read(first, num_steps) for first in itertools.count(start_step, num_steps))
    return (batch for piece in pieces for batch in piece)


def _map(dataset: tf.data.Dataset, function: Callable[..., dict]) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=num_threads(), deterministic=True)


def example_order(
    size: int, seed: int, positions: Int64[np.ndarray, "*shape"]
) -> Int64[np.ndarray, "*shape"]:
    """Which examples stand at some positions of the endless sequence of epochs.

    Args:
      size: number of examples.
      seed: each epoch's permutation is drawn from (seed, epoch).
      positions: int64, of any shape, from 0.

    Returns:
      Numbers of examples, int64 of the same shape.
    """
    epochs, places = np.divmod(positions, size)
    order = np.empty_like(positions)
    for epoch in np.unique(epochs):
        permutation = np.random.default_rng([seed, epoch]).permutation(size)
        order[epochs == epoch] = permutation[places[epochs == epoch]]
    return order


def eval_batches(
    builder: tfds.core.DatasetBuilder, *, split: str, batch_size: int, limit: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """One pass over a split, always in the same order; the last batch may be smaller.

    Args:
      builder: a prepared builder.
      split: the split to read.
      batch_size: examples in a batch.
      limit: only this many examples from the start of the split; None means all.

    Returns:
      An iterator over dictionaries of arrays [B, ...], one for each feature that is not text.

    Raises:
      ValueError: an argument is out of range, the split is unknown, or (while iterating)
        examples of different sizes meet in a batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: expected 1 or more.")
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}: expected 0 or more, or None for the whole split.")
    count = num_examples(builder, split)
    count = count if limit is None else min(count, limit)
    dataset = encoded_dataset(builder, split).take(count)
    dataset = _map(dataset, decoder(builder)).batch(batch_size)
    return _all_of(numpy_batches(dataset, builder), builder, split, count)


def _all_of(
    batches: Iterator[dict[str, np.ndarray]],
    builder: tfds.core.DatasetBuilder,
    split: str,
    count: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Passes batches on, and raises a ValueError if there were not `count` examples in them."""
    found = 0
    for batch in batches:
        found += len(next(iter(batch.values())))
        yield batch
    check_count(builder, split, found, count)


def examples_at(
    builder: tfds.core.DatasetBuilder, split: str, numbers: Sequence[int]
) -> dict[str, np.ndarray]:
    """Some examples of a split by their numbers, e.g. to draw them.

    Args:
      builder: a prepared builder.
      split: the split.
      numbers: at least one number of an example, from 0, in the order of `eval_batches`.

    Returns:
      Arrays [len(numbers), ...], one for each feature that is not text. Maps of examples of
      several sizes are padded evenly to the largest: images with 0, masks with what is ignored.

    Raises:
      ValueError: there is no such split or no example of that number.
    """
    count = num_examples(builder, split)
    if wrong := [number for number in numbers if not 0 <= number < count]:
        raise ValueError(
            f"there is no example {wrong[0]} in the split {split!r} of {builder.info.full_name}: "
            f"its {count:,} examples are numbered from 0."
        )
    examples = [
        next(eval_batches(builder, split=f"{split}[{number}:{number + 1}]", batch_size=1))
        for number in numbers
    ]
    height, width = np.max([one["image"].shape[1:3] for one in examples], axis=0).tolist()

    def sized(name: str, values: np.ndarray) -> np.ndarray:
        if name not in MAPS:
            return values
        return fit(values[0], (height, width), IGNORED if name == "masks" else 0)[None]

    return {
        name: np.concatenate([sized(name, one[name]) for one in examples]) for name in examples[0]
    }
