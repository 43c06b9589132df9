"""What training, inference and evaluation know of a network: a tuple of pure functions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class Gaussian(NamedTuple):
    """A Gaussian with diagonal covariance at every position of a latent grid (Eqs. 1 and 3).

    Attributes:
      mean: float32 [B, h, w, d].
      log_std: float32 [B, h, w, d], the logarithm of the standard deviation.
    """

    mean: jax.Array
    log_std: jax.Array


class Sample(NamedTuple):
    """One segmentation hypothesis Y' = S(X, z) for each image of a batch.

    Attributes:
      logits: [B, H, W, C], float32.
      priors: the prior of each latent scale, coarse to fine.
      latents: the latents z that were used, one [B, h, w, d] for each scale, coarse to fine.
    """

    logits: jax.Array
    priors: Sequence[Gaussian]
    latents: Sequence[jax.Array]


class TrainOutputs(NamedTuple):
    """What the objective needs of one pass with latents from the posterior (Fig. 1b).

    Attributes:
      logits: [B, H, W, C] reconstruction, float32.
      posteriors: q(z_i | z_<i, X, Y) of each latent scale, coarse to fine.
      priors: p(z_i | z_<i, X) of each latent scale, on the same z_<i.
      latents: the latents z ~ Q that were used, coarse to fine.
    """

    logits: jax.Array
    posteriors: Sequence[Gaussian]
    priors: Sequence[Gaussian]
    latents: Sequence[jax.Array]


class Network(NamedTuple):
    """A segmentation network with latent variables, as pure functions.

    Images are float32 [B, H, W, image_channels] in [0, 1], labels int32 [B, H, W]. `keys` is one
    random key for each image of the batch, so that an image's noise depends neither on its
    neighbours in the batch nor on how the batch is split over devices. `mean` fixes latent
    scales to their means: one bool for all of them, or one for each scale, coarse to fine.

    Attributes:
      param_shapes: () -> the parameters' shapes and dtypes, as a pytree like `params`.
      init: key -> params.
      encode: (params, image) -> features; deterministic, to be run once for an image.
      sample: (params, features, keys, mean=False, latents=None) -> `Sample`; latents come from
        the prior unless they are given.
      reconstruct: (params, image, label) -> logits [B, H, W, C] through the posterior means.
      train_outputs: (params, keys, image, label, mean=False, latents=None) -> `TrainOutputs`;
        latents come from the posterior unless they are given.
      num_classes: number of classes C.
      num_latent_scales: number of latent scales L.
      size_multiple: height and width of an image must be multiples of this.
      image_channels: number of channels an image must have.
    """

    param_shapes: Callable[[], Any]
    init: Callable[[jax.Array], Any]
    encode: Callable[..., Any]
    sample: Callable[..., Sample]
    reconstruct: Callable[..., jax.Array]
    train_outputs: Callable[..., TrainOutputs]
    num_classes: int
    num_latent_scales: int
    size_multiple: int
    image_channels: int


def check_image_shape(network: Network, shape: Sequence[int], what: str = "the image") -> None:
    """Raises a `ValueError` unless a network can take images of `shape` [..., H, W, channels].

    Args:
      network: the network.
      shape: shape of the images; only the last three entries are looked at.
      what: the name of the images in the message.
    """
    height, width, channels = shape[-3:]
    multiple = network.size_multiple
    if height % multiple or width % multiple or not height or not width:
        lower = [max(size // multiple, 1) * multiple for size in (height, width)]
        raise ValueError(
            f"{what} has {height}x{width} pixels, but this network halves it until one pixel "
            f"stands for {multiple}x{multiple}: height and width must be multiples of {multiple}. "
            f"Crop to {lower[0]}x{lower[1]}, pad, or configure fewer scales (model.num_scales)."
        )
    if channels != network.image_channels:
        raise ValueError(
            f"{what} has {channels} channels, but this network was configured for "
            f"model.image_channels={network.image_channels}."
        )


def check_unit_interval(images: np.ndarray) -> None:
    """Raises a `ValueError` if images given as floating point numbers leave [0, 1].

    Badly scaled images are the usual cause of a KL term that becomes NaN.

    Args:
      images: any shape; integer images are scaled by their type and always pass.
    """
    if not np.issubdtype(images.dtype, np.floating) or not images.size:
        return
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"the images' values lie in [{low:.4g}, {high:.4g}], but floating point images must "
            "lie in [0, 1]: rescale them, or give uint8 or uint16 images."
        )
