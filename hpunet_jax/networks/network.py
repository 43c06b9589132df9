"""What training, inference and evaluation know of a network: its pure functions."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.convolution import Constrain
from hpunet_jax.networks.initializers import Params

Features = PyTree  # what `encode` gives to `sample`; each network has its own


class Gaussian(NamedTuple):
    """A Gaussian with diagonal covariance at every position of a latent grid (Eqs. 1 and 3).

    Attributes:
      mean: float32 [B, h, w, d].
      log_std: float32 [B, h, w, d], the logarithm of the standard deviation.
    """

    mean: Float[Array, "B h w d"]
    log_std: Float[Array, "B h w d"]


class Sample(NamedTuple):
    """One segmentation hypothesis Y' = S(X, z) for each image of a batch.

    Attributes:
      logits: [B, H, W, C], float32.
      priors: the prior of each latent scale, coarse to fine.
      latents: the latents z that were used, one [B, h, w, d] for each scale, coarse to fine.
    """

    logits: Float[Array, "B H W C"]
    priors: Sequence[Gaussian]
    latents: Sequence[Float[Array, "B _h _w _d"]]


class TrainOutputs(NamedTuple):
    """What the objective needs of one pass with latents from the posterior (Fig. 1b).

    Attributes:
      logits: [B, H, W, C] reconstruction, float32.
      posteriors: q(z_i | z_<i, X, Y) of each latent scale, coarse to fine.
      priors: p(z_i | z_<i, X) of each latent scale, on the same z_<i.
      latents: the latents z ~ Q that were used, coarse to fine.
    """

    logits: Float[Array, "B H W C"]
    posteriors: Sequence[Gaussian]
    priors: Sequence[Gaussian]
    latents: Sequence[Float[Array, "B _h _w _d"]]


@runtime_checkable
class Encode(Protocol):
    """(params, image) -> features; deterministic, to be run once for an image."""

    def __call__(self, params: Params, image: Float[Array, "B H W c"]) -> Features: ...


@runtime_checkable
class Draw(Protocol):
    """(params, features, keys) -> `Sample`; latents come from the prior unless they are given.

    With `noise`, they are each prior's mean plus its standard deviation times the scale's noise.
    """

    def __call__(
        self,
        params: Params,
        features: Features,
        keys: Key[Array, " B"] | None,
        mean: bool | Sequence[bool] = False,
        latents: Sequence[Float[Array, "B _h _w _d"] | None] | None = None,
        noise: Sequence[Float[Array, "B _h _w _d"]] | None = None,
    ) -> Sample: ...


@runtime_checkable
class Reconstruct(Protocol):
    """(params, image, label) -> logits through the posterior means."""

    def __call__(
        self, params: Params, image: Float[Array, "B H W c"], label: Int[Array, "B H W"]
    ) -> Float[Array, "B H W C"]: ...


@runtime_checkable
class TrainPass(Protocol):
    """(params, keys, image, label) -> `TrainOutputs`; latents of the posterior unless given."""

    def __call__(
        self,
        params: Params,
        keys: Key[Array, " B"] | None,
        image: Float[Array, "B H W c"],
        label: Int[Array, "B H W"],
        mean: bool | Sequence[bool] = False,
        latents: Sequence[Float[Array, "B _h _w _d"] | None] | None = None,
    ) -> TrainOutputs: ...


@dataclasses.dataclass(frozen=True)
class Network:
    """A segmentation network with latent variables, as pure functions.

    Images are float32 [B, H, W, image_channels] in [0, 1], labels int32 [B, H, W]. `keys` is one
    random key for each image of the batch, so that an image's noise depends neither on its
    neighbours in the batch nor on how the batch is split over devices. `mean` fixes latent
    scales to their means: one bool for all of them, or one for each scale, coarse to fine. Of
    `latents`, entries that are None are chosen as all are without. Keys may be None where no latent
    is drawn.

    The functions follow from `config` and `constrain`, so these alone are compared and hashed: for
    `jax.jit`, networks built twice of one config are the same static argument, compiled once.

    Attributes:
      config: the hyperparameters.
      constrain: how the features of each scale lie on devices.
      param_shapes: () -> the parameters' shapes and dtypes.
      init: key -> params.
      encode: see `Encode`.
      sample: see `Draw`.
      reconstruct: see `Reconstruct`.
      train_outputs: see `TrainPass`.
      num_latent_scales: number of latent scales L.
    """

    config: NetworkConfig
    constrain: Constrain
    param_shapes: Callable[[], Params] = dataclasses.field(compare=False)
    init: Callable[[Key[Array, ""]], Params] = dataclasses.field(compare=False)
    encode: Encode = dataclasses.field(compare=False)
    sample: Draw = dataclasses.field(compare=False)
    reconstruct: Reconstruct = dataclasses.field(compare=False)
    train_outputs: TrainPass = dataclasses.field(compare=False)
    num_latent_scales: int = dataclasses.field(compare=False)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.config.num_classes

    @property
    def size_multiple(self) -> int:
        """Height and width of an image must be multiples of this."""
        return self.config.size_multiple

    @property
    def image_channels(self) -> int:
        """Number of channels an image must have."""
        return self.config.image_channels


def check_image_shape(network: Network, shape: Sequence[int], what: str = "the image") -> None:
    """Raises a `ValueError` unless a network can take images of `shape` [..., H, W, channels].

    Args:
      network: the network.
      shape: shape of the images; only the last three entries are looked at.
      what: the name of the images in the message.
    """
    height, width, channels = shape[-3:]
    if channels != network.image_channels:
        raise ValueError(
            f"{what} has {channels} channels (the last axis of {tuple(shape[-3:])}), but this "
            f"network was configured for model.image_channels={network.image_channels}."
        )
    multiple = network.size_multiple
    if height % multiple or width % multiple or not height or not width:
        lower = [max(size // multiple, 1) * multiple for size in (height, width)]
        raise ValueError(
            f"{what} has {height}x{width} pixels, but this network halves it until one pixel "
            f"stands for {multiple}x{multiple}: height and width must be multiples of {multiple}. "
            f"Crop to {lower[0]}x{lower[1]}, pad, or configure fewer scales (model.num_scales)."
        )


def check_unit_interval(images: np.ndarray) -> None:
    """Raises a `ValueError` if images given as floating point numbers leave [0, 1] or hold NaN.

    Badly scaled images are the usual cause of a KL term that becomes NaN.

    Args:
      images: any shape; integer images are scaled by their type and always pass.
    """
    if not np.issubdtype(images.dtype, np.floating) or not images.size:
        return
    low, high = images.min(), images.max()
    if np.isnan(low):
        raise ValueError("the images hold NaN, but must lie in [0, 1]: replace it.")
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"the images' values lie in [{low}, {high}], but floating point images must lie in "
            "[0, 1]: rescale them (np.clip takes off what rounding adds), or give uint8 or uint16 "
            "images."
        )
