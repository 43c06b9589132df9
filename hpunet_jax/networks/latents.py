"""The latent hierarchy interleaved with the U-Net's decoder (Section 2, Eqs. 1-4; Fig. 1)."""

from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hpunet_jax.networks.blocks import Features, concatenate, plain
from hpunet_jax.networks.convolution import Conv2D
from hpunet_jax.networks.network import Gaussian
from hpunet_jax.networks.scales import Scales

ChooseLatent = Callable[[int, Gaussian], jax.Array]


def sampled(
    keys: Key[Array, " B"] | None, mean: bool | Sequence[bool], num_scales: int
) -> ChooseLatent:
    """Latents drawn from each scale's Gaussian, or its mean where `mean` says so.

    Args:
      keys: random keys [B], one for each image; None where all scales take their means.
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


def given(
    latents: Sequence[Float[Array, "B _h _w _d"] | None], otherwise: ChooseLatent | None = None
) -> ChooseLatent:
    """Latents as handed in, one [B, h, w, d] for each scale, coarse to fine.

    Args:
      latents: the latents; None where a scale is not given.
      otherwise: how the latents of scales that are not given are chosen.

    Returns:
      A function (scale, Gaussian) -> latents.
    """

    def choose(scale: int, gaussian: Gaussian) -> jax.Array:
        latent = latents[scale]
        if latent is not None:
            return latent
        if otherwise is None:
            raise ValueError(f"the latents of scale {scale} are not given.")
        return otherwise(scale, gaussian)

    return choose


def scaled(noise: Sequence[Float[Array, "B _h _w _d"]]) -> ChooseLatent:
    """Each scale's mean plus its standard deviation times the noise handed in for it."""
    return lambda scale, gaussian: gaussian.mean + jnp.exp(gaussian.log_std) * noise[scale]


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
        scales: Scales,
        latent_dims: Sequence[int],
        log_std_bound: float,
        decode_last: bool = True,
        name: str | None = None,
    ):
        """Args:
        scales: the U-Net's processing scales.
        latent_dims: latents at each position, one entry for each scale up to the finest with
          latents, coarse to fine; 0 for a scale without.
        log_std_bound: log-standard-deviations are clipped to [-bound, bound].
        decode_last: whether the residual blocks above the finest latent scale exist. A posterior
            has no use for them.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.scales = scales
        self.latent_dims = latent_dims
        self.log_std_bound = log_std_bound
        self.decode_last = decode_last

    def __call__(
        self, encoder_features: Sequence[Features], choose: ChooseLatent
    ) -> tuple[Features, list[Gaussian], list[Float[Array, "B _h _w _d"]]]:
        """Runs the hierarchy from the coarsest latent scale to the finest.

        Args:
          encoder_features: what `Encoder` returns, fine to coarse.
          choose: decides which latents are used, for instance `sampled(...)` or `given(...)`.

        Returns:
          The decoder's features one scale above the finest latents [B, 2h, 2w, c] (those below
          them if `decode_last` is off), each latent scale's Gaussian, and the latents used.
        """
        features = encoder_features[-1]
        gaussians, latents = [], []
        for number, dim in enumerate(self.latent_dims):
            if dim:
                predict = Conv2D(2 * dim, 1, name=f"latent_{number}")
                parameters = plain(predict(features.astype(jnp.float32)))
                gaussian = split_gaussian(parameters, self.log_std_bound)
                z = choose(len(latents), gaussian)
                gaussians.append(gaussian)
                latents.append(z)
                features = concatenate([z.astype(features.dtype), features])
            if number + 1 < len(self.latent_dims) or self.decode_last:
                above = self.scales.from_coarsest(number) - 1
                features = self.scales.decode(above, features, encoder_features[above])
        return features, gaussians, latents


def split_gaussian(parameters: Float[Array, "B h w two_d"], log_std_bound: float) -> Gaussian:
    """Reads [B, h, w, 2d] as d means and d log-standard-deviations, these within the bound.

    Parameters are to be computed in float32 whatever the features' dtype, since the KL
    exponentiates them.
    """
    mean, log_std = jnp.split(parameters, 2, axis=-1)
    return Gaussian(mean, jnp.clip(log_std, -log_std_bound, log_std_bound))
