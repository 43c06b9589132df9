"""Samples of volumes, and of images of any size: slice by slice, each hypothesis one through all.

The slices of a volume share their noise, scale by scale: sample i of every slice has the same noise
in prior standard deviations. Where neighbouring slices look alike, so do their priors, and so do
the samples: sample i is one hypothesis of the volume. (benchmarks/slices.py measures by how much.)
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Integer

from hpunet_jax.inference.model import Model
from hpunet_jax.inference.tiles import TILE
from hpunet_jax.inference.whole import Samples, sample_whole
from hpunet_jax.io import (
    Preparation,
    Slices,
    Volume,
    fit_channels,
    read_slices,
    resize_labels,
    resize_values,
)
from hpunet_jax.io.preparation import are_square


class VolumeSamples(NamedTuple):
    """Samples of a volume, on its own grid.

    Attributes:
      labels: uint8 (int32 for more than 256 classes) [N, D, H, W].
      mean: float32 [D, H, W, C], the samples' mean class probabilities.
      std: float32 [D, H, W, C], their standard deviation over the samples.
      volume: the volume; `write_volume(path, labels[0], like=volume)` writes a sample over it.
    """

    labels: Integer[np.ndarray, "N D H W"]
    mean: Float32[np.ndarray, "D H W C"]
    std: Float32[np.ndarray, "D H W C"]
    volume: Volume | None


def sample_volume(
    model: Model,
    path: str | os.PathLike[str],
    num_samples: int = 16,
    seed: int = 0,
    preparation: Preparation | None = None,
) -> VolumeSamples:
    """Samples a volume, all of it in memory; `hpunet sample` does so slice by slice, into files.

    Args:
      model: the model.
      path: what `read_slices` reads: a volume, a DICOM series, or a picture, which is one slice.
      num_samples: number of samples N.
      seed: seed of the samples.
      preparation: window and spacing; None: those of the model's config.

    Returns:
      The samples.

    Raises:
      ValueError: if the volume cannot be read, prepared or sampled; it names the file.
    """
    if preparation is None:
        preparation = Preparation.from_config(model.config.get("data"))
    slices = read_for(model, path, preparation)
    drawn = [
        sample_slice(model, slices, number, num_samples, seed)
        for number in range(len(slices.array))
    ]
    return VolumeSamples(
        np.stack([samples.labels for samples in drawn], axis=1),
        np.stack([samples.mean for samples in drawn]),
        np.stack([samples.std for samples in drawn]),
        slices.volume,
    )


def read_for(model: Model, path: str | os.PathLike[str], preparation: Preparation) -> Slices:
    """Reads an image or volume as a model takes it.

    Args:
      model: the model.
      path: as for `read_slices`.
      preparation: window and spacing.

    Returns:
      The slices, with the model's channels.

    Raises:
      ValueError: as `read_slices`; and for colours, where the model knows none, or pixels that are
        not square, unless they are resampled.
    """
    slices = read_slices(path, preparation)
    if slices.spacing and not preparation.spacing and not are_square(slices.spacing):
        down, across = slices.spacing
        raise ValueError(
            f"{slices.source} has pixels of {down:g}x{across:g} mm, which are not square: give the "
            f"spacing of the images that the model was trained on, as --spacing={down:g},{down:g} "
            f"(data.spacing of a config), or --spacing={down:g},{across:g} to keep them."
        )
    pixels = fit_channels(slices, model.network.image_channels)
    return dataclasses.replace(slices, array=pixels)


def sample_slice(
    model: Model,
    slices: Slices,
    number: int,
    num_samples: int,
    seed: int = 0,
    *,
    image_id: int = 0,
    tile: Sequence[int] = TILE,
) -> Samples:
    """Samples one slice, on the pixels of the file.

    Args:
      model: the model.
      slices: the slices, as of `read_for`.
      number: the slice's.
      num_samples: number of samples N.
      seed: seed of the samples.
      image_id: what the noise is told apart by: slices of equal ids share it.
      tile: greatest height and width that the network sees at once.

    Returns:
      The samples [N, H, W], their mean and standard deviation [H, W, C].
    """
    drawn = sample_whole(
        model, slices.array[number], num_samples, seed, image_id=image_id, tile=tile
    )
    if drawn.labels.shape[1:] == tuple(slices.size):
        return drawn
    mean, std = (resize_values(values[None], slices.size)[0] for values in drawn[1:])
    return Samples(resize_labels(drawn.labels, slices.size), mean, std)
