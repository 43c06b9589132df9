"""The processing scales that encoders, latent hierarchy and decoder have in common (Fig. 1)."""

import dataclasses
from collections.abc import Collection

from hpunet_jax.networks.blocks import Features, concatenate, to_blocks
from hpunet_jax.networks.convolution import Constrain, down_sample, unconstrained, up_sample
from hpunet_jax.networks.residual import ResidualScale


@dataclasses.dataclass(frozen=True)
class Scales:
    """The processing scales, counted from the finest, 0, wherever the code counts them.

    Names of parameters, which checkpoints hold, count an encoder's scales like this, but those of
    the decoder and of the latents from the coarsest; `from_coarsest` turns one into the other.

    Attributes:
      channels: feature maps of each scale, fine to coarse.
      block_channels: feature maps inside the residual branches of each scale, fine to coarse.
      blocks_per_scale: residual blocks of each scale.
      convs_per_block: 3x3 convolutions of each residual block.
      remat: the scales whose blocks the backward pass computes again.
      columns: columns that lie in the channels at each of the finest scales (blocks.py); 1 at those
        that it does not name.
      constrain: how the features going into and out of each scale lie on devices.
    """

    channels: tuple[int, ...]
    block_channels: tuple[int, ...]
    blocks_per_scale: int = 3
    convs_per_block: int = 3
    remat: Collection[int] = ()
    columns: tuple[int, ...] = ()
    constrain: Constrain = unconstrained

    def __len__(self) -> int:
        return len(self.channels)

    def from_coarsest(self, scale: int) -> int:
        """The number of a scale when counted from the coarsest."""
        return len(self) - 1 - scale

    def encode(self, scale: int, finer: Features) -> Features:
        """One scale of an encoder, called inside the encoder's module.

        Args:
          scale: the scale.
          finer: the features of the scale above; at the finest scale the image.

        Returns:
          The scale's features.
        """
        features = to_blocks(down_sample(finer) if scale else finer, self._columns(scale))
        return self._blocks(scale, f"scale_{scale}")(features)

    def decode(self, scale: int, coarser: Features, skip: Features) -> Features:
        """One scale of the decoder, called inside the module of its part.

        Args:
          scale: the scale.
          coarser: the features of the scale below, with its latents if it has any.
          skip: the encoder's features of this scale.

        Returns:
          The scale's features.
        """
        features = concatenate([up_sample(coarser, self._columns(scale)), skip])
        return self._blocks(scale, f"scale_{self.from_coarsest(scale)}")(features)

    def _columns(self, scale: int) -> int:
        return self.columns[scale] if scale < len(self.columns) else 1

    def _blocks(self, scale: int, name: str) -> ResidualScale:
        return ResidualScale(
            self.blocks_per_scale,
            self.channels[scale],
            self.block_channels[scale],
            self.convs_per_block,
            self.constrain,
            scale in self.remat,
            name=name,
        )
