"""The Hierarchical Probabilistic U-Net (Section 2, Fig. 1, Appendix D)."""

import dataclasses

import jax
import jax.numpy as jnp

from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.convolution import Constrain, unconstrained
from hpunet_jax.networks.decoder import OutputDecoder
from hpunet_jax.networks.encoder import Encoder
from hpunet_jax.networks.latents import LatentHierarchy, given, sampled, scaled
from hpunet_jax.networks.network import Network, Sample, TrainOutputs
from hpunet_jax.networks.scales import Scales
from hpunet_jax.networks.transform import pure_network


@dataclasses.dataclass(frozen=True)
class HPUNetConfig(NetworkConfig):
    """The hyperparameters of an HPU-Net; the defaults are the paper's for LIDC-IDRI.

    Attributes:
      num_scales: processing scales of the U-Net (the paper: 8 for LIDC, so that 128x128 pixels
        end in one).
      base_channels: feature maps at full resolution.
      channels: feature maps of each scale, fine to coarse; () takes the rule of doubling.
      block_channels: feature maps inside the residual branches; () takes half of `channels`.
      latent_dims: latents at each position of each scale, coarse to fine, up to the finest scale
        with latents; 0 for a scale without (the ablations of Appendix F).
      blocks_per_scale: residual blocks of each encoder and decoder scale.
      convs_per_block: 3x3 convolutions of each residual block.
      log_std_bound: predicted log-standard-deviations are clipped to [-bound, bound]. Far outside
        the ordinary range, it keeps the KL finite on badly scaled images.
      posterior_tail: whether the posterior has the blocks behind its last latents, as in the
        official code. Nothing is computed with them; they only count in the weight decay.
      remat: the scales, 0 the finest, whose residual blocks the backward pass computes again
        instead of keeping what is inside of them.
      blocks: for each of the finest scales, finest first, how many neighbouring columns lie in the
        channels (blocks.py): powers of two, 1 for none. It changes how fast a TPU computes,
        neither parameters nor results. () leaves it to the platform: none but on TPUs, where
        (1,) is none.
    """

    num_scales: int = 8
    base_channels: int = 24
    channels: tuple[int, ...] = ()
    block_channels: tuple[int, ...] = ()
    latent_dims: tuple[int, ...] = (1, 1, 1, 1)
    blocks_per_scale: int = 3
    convs_per_block: int = 3
    log_std_bound: float = 10.0
    posterior_tail: bool = False
    remat: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= len(self.latent_dims) < self.num_scales:
            raise ValueError(
                f"model.latent_dims has {len(self.latent_dims)} latent scales; with "
                f"model.num_scales={self.num_scales} there can be 1 to {self.num_scales - 1}."
            )
        if min(self.latent_dims) < 0 or not self.latent_dims[-1]:
            raise ValueError(
                f"model.latent_dims={tuple(self.latent_dims)} must end with the finest scale that "
                "carries latents, and have 0 or more latents at each scale before it."
            )
        for name in ("channels", "block_channels"):
            widths = getattr(self, name)
            if widths and len(widths) != self.num_scales:
                raise ValueError(
                    f"model.{name} has {len(widths)} entries, but model.num_scales is "
                    f"{self.num_scales}: give one for each scale, or () for the default rule."
                )
        if wrong := set(self.remat) - set(range(self.num_scales)):
            raise ValueError(
                f"model.remat names the scale {max(wrong)}, but there are the scales 0 (finest) to "
                f"{self.num_scales - 1}."
            )

        self._check_blocks()

    def _check_blocks(self):
        """Any width that the scales divide must divide into blocks, so that any image does."""
        for scale, columns in enumerate(self.blocks):
            most = 2 ** (self.num_scales - 1 - scale) if scale < self.num_scales else 0
            if columns < 1 or columns & (columns - 1) or columns > most:
                raise ValueError(
                    f"model.blocks={self.blocks} puts {columns} columns of scale {scale} into a "
                    f"block, but with model.num_scales={self.num_scales} only powers of two up to "
                    f"{most} divide every width there; () has no blocks."
                )

    def on(self, platform: str) -> "HPUNetConfig":
        """The same network; on TPUs in blocks where they fill the matrix units, unless it says how.

        Blocks of 2 columns are not worth their larger kernels: docs/tpu.md.
        """
        if platform != "tpu" or self.blocks:
            return self
        blocks = []
        for scale, channels in enumerate(self.scales().block_channels):
            most = min(128 // channels, 2 ** (self.num_scales - 1 - scale))
            if most < 4:
                break
            blocks.append(1 << (most.bit_length() - 1))
        return dataclasses.replace(self, blocks=tuple(blocks))

    def scales(self, constrain: Constrain = unconstrained) -> Scales:
        """The processing scales, with their features lying on devices as `constrain` says."""
        channels = self.channels or self.doubled_channels
        return Scales(
            channels,
            self.block_channels or tuple(c // 2 for c in channels),
            self.blocks_per_scale,
            self.convs_per_block,
            self.remat,
            self.blocks,
            constrain,
        )


def hpunet(config: HPUNetConfig, constrain: Constrain = unconstrained) -> Network:
    """Builds the pure functions of an HPU-Net.

    Args:
      config: its hyperparameters.
      constrain: how the features of each scale lie on devices.

    Returns:
      A `Network`. Its `encode` gives the features of each processing scale, fine to coarse.
    """
    scales = config.scales(constrain)
    num_latent_scales = sum(dim > 0 for dim in config.latent_dims)

    def hierarchy(name, decode_last=True):
        return LatentHierarchy(scales, config.latent_dims, config.log_std_bound, decode_last, name)

    def encode(image):
        return Encoder(scales, name="prior_encoder")(image.astype(config.dtype))

    def decode(features, choose):
        decoded, priors, latents = hierarchy("prior")(features, choose)
        finest_latents = scales.from_coarsest(len(config.latent_dims) - 1)
        decoder = OutputDecoder(
            scales, finest_latents - 2, config.num_classes, name="output_decoder"
        )
        return Sample(decoder(decoded, features), priors, latents)

    def posterior(image, label, choose):
        segmentation = jax.nn.one_hot(label, config.num_classes, dtype=config.dtype)
        inputs = jnp.concatenate([segmentation, image.astype(config.dtype)], axis=-1)
        features = Encoder(scales, name="posterior_encoder")(inputs)
        _, posteriors, latents = hierarchy("posterior", config.posterior_tail)(features, choose)
        return posteriors, latents

    def choice(keys, mean, latents, noise=None):
        drawn = sampled(keys, mean, num_latent_scales) if noise is None else scaled(noise)
        return drawn if latents is None else given(latents, drawn)

    def sample(features, keys, mean=False, latents=None, noise=None):
        return decode(features, choice(keys, mean, latents, noise))

    def train_outputs(keys, image, label, mean=False, latents=None):
        posteriors, used = posterior(image, label, choice(keys, mean, latents))
        prediction = decode(encode(image), given(used))
        return TrainOutputs(prediction.logits, posteriors, prediction.priors, used)

    def reconstruct(image, label):
        return train_outputs(None, image, label, mean=True).logits

    return pure_network(
        config,
        constrain,
        encode=encode,
        sample=sample,
        reconstruct=reconstruct,
        train_outputs=train_outputs,
        num_latent_scales=num_latent_scales,
    )
