"""The latent hierarchy interleaved with the U-Net's decoder (Section 2, Eqs. 1-4; Fig. 1)."""

from collections.abc import Callable, Collection, Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from hpunet_jax.networks.convolution import Constrain, Conv2D, unconstrained, up_sample
from hpunet_jax.networks.network import Gaussian
from hpunet_jax.networks.residual import ResidualScale

ChooseLatent = Callable[[int, Gaussian], jax.Array]


def sampled(keys: jax.Array, mean: bool | Sequence[bool], num_scales: int) -> ChooseLatent:
    """Latents drawn from each scale's Gaussian, or its mean where `mean` says so.

    Args:
      keys: random keys [B], one for each image.
      mean: for each scale, coarse to fine, whether to take the mean; or one bool for all.
      num_scales: number of latent scales.

    Returns:
      A function (scale, Gaussian) -> latents.

    Raises:
      ValueError: if `mean` is a sequence that does not have one entry for each scale.
    """
    flags = [mean] * num_scales if isinstance(mean, bool) else list(mean)
    if len(flags) != num_scales:
        raise ValueError(
            f"mean has {len(flags)} entries, but there are {num_scales} latent scales."
        )

    def choose(scale: int, gaussian: Gaussian) -> jax.Array:
        if flags[scale]:
            return gaussian.mean
        shape = gaussian.mean.shape[1:]
        noise = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, scale), shape))(keys)
        return gaussian.mean + jnp.exp(gaussian.log_std) * noise

    return choose


def given(latents: Sequence[jax.Array]) -> ChooseLatent:
    """Latents as handed in, one [B, h, w, d] for each scale, coarse to fine."""
    return lambda scale, gaussian: latents[scale]


class LatentHierarchy(hk.Module):
    """The part of the U-Net's decoder that carries the latent scales.

    At each latent scale a 1x1 convolution predicts mean and log-standard-deviation of a Gaussian
    at every position; latents are chosen, concatenated with the features, up-sampled together,
    concatenated with the encoder's features of the scale above, and processed by its residual
    blocks. So the latents of a scale depend on the image and on all coarser latents.

    A scale without latents (dimension 0) only decodes. It is none of the latent scales that are
    numbered and returned.
    """

    def __init__(
        self,
        latent_dims: Sequence[int],
        channels: Sequence[int],
        block_channels: Sequence[int],
        blocks_per_scale: int,
        convs_per_block: int,
        log_std_bound: float,
        decode_last: bool = True,
        constrain: Constrain = unconstrained,
        remat: Collection[int] = (),
        name: str | None = None,
    ):
        """Args:
        latent_dims: latents at each position, one entry for each scale up to the finest with
          latents, coarse to fine; 0 for a scale without.
        channels: feature maps of each processing scale of the U-Net, fine to coarse.
        block_channels: feature maps inside the residual branches, fine to coarse.
        blocks_per_scale: residual blocks of each scale.
        convs_per_block: 3x3 convolutions of each residual block.
        log_std_bound: log-standard-deviations are clipped to [-bound, bound].
        decode_last: whether the residual blocks above the finest latent scale exist. A posterior
            has no use for them.
        constrain: as for `ResidualScale`.
        remat: the scales, 0 the finest, whose blocks the backward pass computes again.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.latent_dims = latent_dims
        self.channels = channels[::-1]
        self.block_channels = block_channels[::-1]
        self.blocks_per_scale = blocks_per_scale
        self.convs_per_block = convs_per_block
        self.constrain = constrain
        self.remat = remat
        self.log_std_bound = log_std_bound
        self.decode_last = decode_last

    def __call__(
        self, encoder_features: Sequence[jax.Array], choose: ChooseLatent
    ) -> tuple[jax.Array, list[Gaussian], list[jax.Array]]:
        """Runs the hierarchy from the coarsest latent scale to the finest.

        Args:
          encoder_features: what `Encoder` returns, fine to coarse.
          choose: decides which latents are used, for instance `sampled(...)` or `given(...)`.

        Returns:
          The decoder's features one scale above the finest latents [B, 2h, 2w, c] (those below
          them if `decode_last` is off), each latent scale's Gaussian, and the latents used.
        """
        skips = encoder_features[::-1]
        features = skips[0]
        gaussians, latents = [], []
        for scale, dim in enumerate(self.latent_dims):
            if dim:
                parameters = Conv2D(2 * dim, 1, name=f"latent_{scale}")(features)
                gaussian = split_gaussian(parameters, self.log_std_bound)
                z = choose(len(latents), gaussian)
                gaussians.append(gaussian)
                latents.append(z)
                features = jnp.concatenate([z.astype(features.dtype), features], axis=-1)
            if scale == len(self.latent_dims) - 1 and not self.decode_last:
                break
            features = jnp.concatenate([up_sample(features), skips[scale + 1]], axis=-1)
            features = ResidualScale(
                self.blocks_per_scale,
                self.channels[scale + 1],
                self.block_channels[scale + 1],
                self.convs_per_block,
                self.constrain,
                len(self.channels) - 2 - scale in self.remat,
                name=f"scale_{scale + 1}",
            )(features)
        return features, gaussians, latents


def split_gaussian(parameters: jax.Array, log_std_bound: float) -> Gaussian:
    """Reads [B, h, w, 2d] as d means and d log-standard-deviations, these within the bound.

    The Gaussian is float32 whatever the features' dtype, since the KL exponentiates it.
    """
    mean, log_std = jnp.split(parameters.astype(jnp.float32), 2, axis=-1)
    return Gaussian(mean, jnp.clip(log_std, -log_std_bound, log_std_bound))
