"""The plain U-Net (Ronneberger et al., 2015): the body of the sPU-Net, and a baseline by itself.

As a network of its own it has no latents: it predicts each pixel's classes, and all samples of an
image are the same. Its convolutions and changes of resolution are those of the original sPU-Net
(Kohl et al., 2018), with which the paper compares: stacks of 3x3 convolutions with relu, average
pooling, bilinear up-sampling.
"""

import dataclasses
from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.convolution import (
    Constrain,
    Conv2D,
    down_sample,
    unconstrained,
    up_sample_bilinear,
)
from hpunet_jax.networks.network import Network, Sample, TrainOutputs
from hpunet_jax.networks.transform import pure_network


@dataclasses.dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """The hyperparameters of a U-Net; the defaults are the sPU-Net's for LIDC-IDRI.

    Attributes:
      base_channels: feature maps at full resolution (Kohl et al., 2018: 32).
      convs_per_scale: 3x3 convolutions of each encoder and decoder scale.
    """

    convs_per_scale: int = 3


class ConvScale(hk.Module):
    """The 3x3 convolutions of one processing scale, each followed by relu."""

    def __init__(
        self,
        num_convs: int,
        channels: int,
        constrain: Constrain = unconstrained,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.num_convs = num_convs
        self.channels = channels
        self.constrain = constrain

    def __call__(self, features: Float[Array, "B h w c"]) -> Float[Array, "B h w d"]:
        """Maps [B, h, w, c] to [B, h, w, channels]."""
        features = self.constrain(features)
        for i in range(self.num_convs):
            features = jax.nn.relu(Conv2D(self.channels, 3, name=f"conv_{i}")(features))
        return self.constrain(features)


class ConvEncoder(hk.Module):
    """Scales of convolutions with average pooling between them."""

    def __init__(
        self,
        channels: Sequence[int],
        convs_per_scale: int,
        constrain: Constrain = unconstrained,
        name: str | None = None,
    ):
        """Args:
        channels: feature maps of each scale, fine to coarse.
        convs_per_scale: 3x3 convolutions of each scale.
        constrain: how the features going into and out of each scale lie on devices.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.channels = channels
        self.convs_per_scale = convs_per_scale
        self.constrain = constrain

    def __call__(self, image: Float[Array, "B H W c"]) -> list[Float[Array, "B _h _w _c"]]:
        """Computes the features of every scale.

        Args:
          image: [B, H, W, c]; H and W multiples of 2 ** (number of scales - 1).

        Returns:
          Features of each scale, fine to coarse: [B, H / 2**i, W / 2**i, channels[i]].
        """
        features, outputs = image, []
        for scale, channels in enumerate(self.channels):
            if scale:
                features = down_sample(features)
            features = ConvScale(
                self.convs_per_scale, channels, self.constrain, name=f"scale_{scale}"
            )(features)
            outputs.append(features)
        return outputs


class UNet(hk.Module):
    """Encoder and decoder with skip connections, up to the features of full resolution."""

    def __init__(
        self,
        channels: Sequence[int],
        convs_per_scale: int,
        constrain: Constrain = unconstrained,
        name: str | None = None,
    ):
        """Args: see `ConvEncoder`."""
        super().__init__(name=name)
        self.channels = channels
        self.convs_per_scale = convs_per_scale
        self.constrain = constrain

    def __call__(self, image: Float[Array, "B H W c"]) -> Float[Array, "B H W d"]:
        """Maps [B, H, W, c] to features [B, H, W, channels[0]]."""
        encoder = ConvEncoder(self.channels, self.convs_per_scale, self.constrain, name="encoder")
        *skips, features = encoder(image)
        for scale in reversed(range(len(skips))):
            features = jnp.concatenate([up_sample_bilinear(features), skips[scale]], axis=-1)
            features = ConvScale(
                self.convs_per_scale, self.channels[scale], self.constrain, name=f"scale_{scale}"
            )(features)
        return features


def unet(config: UNetConfig, constrain: Constrain = unconstrained) -> Network:
    """Builds the pure functions of a pixel-wise U-Net, trained by cross-entropy.

    Args:
      config: its hyperparameters.
      constrain: how the features of each scale lie on devices.

    Returns:
      A `Network` without latent scales. Its `encode` does all the work; `sample` returns the same
      logits whatever the keys, and so does `reconstruct` whatever the segmentation.
    """

    def encode(image):
        body = UNet(config.doubled_channels, config.convs_per_scale, constrain, name="unet")
        features = body(image.astype(config.dtype))
        return Conv2D(config.num_classes, 1, name="logits")(features.astype(jnp.float32))

    def sample(features, keys, mean=False, latents=None, noise=None):
        del keys, mean, latents, noise
        return Sample(features, [], [])

    def train_outputs(keys, image, label, mean=False, latents=None):
        del keys, label, mean, latents
        return TrainOutputs(encode(image), [], [], [])

    def reconstruct(image, label):
        del label
        return encode(image)

    return pure_network(
        config,
        constrain,
        encode=encode,
        sample=sample,
        reconstruct=reconstruct,
        train_outputs=train_outputs,
        num_latent_scales=0,
    )
