"""The Standard Probabilistic U-Net as the paper re-implements it (Appendices D.1 and D.2).

A U-Net, beside it a prior net and a posterior net that mirror its encoder, and one vector of
image-global latents, which 1x1 convolutions combine with the U-Net's features of every pixel (Kohl
et al., 2018). The paper leaves open, and is taken from Kohl et al. here: bilinear up-sampling, 32
feature maps at full resolution and at most 192, Gaussians from a 1x1 convolution of the globally
averaged features, relu between the final 1x1 convolutions, the last of which gives the logits.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hpunet_jax.networks.convolution import Constrain, Conv2D, unconstrained
from hpunet_jax.networks.latents import given, sampled, scaled, split_gaussian
from hpunet_jax.networks.network import Gaussian, Network, Sample, TrainOutputs
from hpunet_jax.networks.transform import pure_network
from hpunet_jax.networks.unet import ConvEncoder, UNet, UNetConfig


@dataclasses.dataclass(frozen=True)
class SPUNetConfig(UNetConfig):
    """The hyperparameters of an sPU-Net; the defaults are the paper's for LIDC-IDRI.

    Attributes:
      latent_dim: number of global latents.
      final_convs: final 1x1 convolutions, the logits' included.
      log_std_bound: predicted log-standard-deviations are clipped to [-bound, bound].
    """

    latent_dim: int = 6
    final_convs: int = 3
    log_std_bound: float = 10.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("latent_dim", "final_convs"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name} must be 1 or more, not {getattr(self, name)}.")


class Features(NamedTuple):
    """What `encode` computes once for an image.

    Attributes:
      unet: [B, H, W, c], the U-Net's features at full resolution.
      prior: the Gaussian of the latents, [B, 1, 1, latent_dim].
    """

    unet: Float[Array, "B H W c"]
    prior: Gaussian


def spunet(config: SPUNetConfig, constrain: Constrain = unconstrained) -> Network:
    """Builds the pure functions of an sPU-Net.

    Args:
      config: its hyperparameters.
      constrain: how the features of each scale lie on devices.

    Returns:
      A `Network` with one latent scale, the global one. A further sample of the same image runs
      the final 1x1 convolutions alone.
    """
    shared = {
        "channels": config.doubled_channels,
        "convs_per_scale": config.convs_per_scale,
        "constrain": constrain,
    }

    def gaussian(inputs, name):
        features = ConvEncoder(**shared, name=f"{name}_encoder")(inputs)[-1]
        average = jnp.mean(features.astype(jnp.float32), axis=(1, 2), keepdims=True)
        parameters = Conv2D(2 * config.latent_dim, 1, name=f"{name}_latents")(average)
        return split_gaussian(parameters, config.log_std_bound)

    def encode(image):
        image = image.astype(config.dtype)
        return Features(UNet(**shared, name="unet")(image), gaussian(image, "prior"))

    def posterior(image, label):
        segmentation = jax.nn.one_hot(label, config.num_classes, dtype=config.dtype)
        inputs = jnp.concatenate([segmentation, image.astype(config.dtype)], axis=-1)
        return gaussian(inputs, "posterior")

    def combine(features, z):
        """Logits [B, H, W, C] of features [B, H, W, c] and latents [B, 1, 1, latent_dim]."""
        everywhere = (*features.shape[:3], config.latent_dim)
        z = jnp.broadcast_to(z, everywhere).astype(features.dtype)  # summed over in float32
        features = jnp.concatenate([features, z], axis=-1)
        for i in range(config.final_convs - 1):
            conv = Conv2D(config.base_channels, 1, name=f"combine_{i}")
            features = jax.nn.relu(conv(features))
        return Conv2D(config.num_classes, 1, name="logits")(features.astype(jnp.float32))

    def choice(keys, mean, latents, noise=None):
        drawn = sampled(keys, mean, 1) if noise is None else scaled(noise)
        return drawn if latents is None else given(latents, drawn)

    def sample(features, keys, mean=False, latents=None, noise=None):
        z = choice(keys, mean, latents, noise)(0, features.prior)
        return Sample(combine(features.unet, z), [features.prior], [z])

    def train_outputs(keys, image, label, mean=False, latents=None):
        q = posterior(image, label)
        z = choice(keys, mean, latents)(0, q)
        prediction = sample(encode(image), None, latents=[z])
        return TrainOutputs(prediction.logits, [q], prediction.priors, [z])

    def reconstruct(image, label):
        return train_outputs(None, image, label, mean=True).logits

    return pure_network(
        config,
        constrain,
        encode=encode,
        sample=sample,
        reconstruct=reconstruct,
        train_outputs=train_outputs,
        num_latent_scales=1,
    )
