"""The decoder's scales above the latent hierarchy, and the logits (Section 2; Fig. 1)."""

from collections.abc import Collection, Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from hpunet_jax.networks.convolution import Constrain, Conv2D, unconstrained, up_sample
from hpunet_jax.networks.residual import ResidualScale


class OutputDecoder(hk.Module):
    """Completes the U-Net from the latent hierarchy's features to full resolution."""

    def __init__(
        self,
        num_classes: int,
        first_scale: int,
        channels: Sequence[int],
        block_channels: Sequence[int],
        blocks_per_scale: int,
        convs_per_block: int,
        constrain: Constrain = unconstrained,
        remat: Collection[int] = (),
        name: str | None = None,
    ):
        """Args:
        num_classes: number of classes C.
        first_scale: the first scale to add, counted from the coarsest, 0.
        channels: feature maps of each processing scale of the U-Net, fine to coarse.
        block_channels: feature maps inside the residual branches, fine to coarse.
        blocks_per_scale: residual blocks of each scale.
        convs_per_block: 3x3 convolutions of each residual block.
        constrain: as for `ResidualScale`.
        remat: the scales, 0 the finest, whose blocks the backward pass computes again.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.num_classes = num_classes
        self.first_scale = first_scale
        self.channels = channels[::-1]
        self.block_channels = block_channels[::-1]
        self.blocks_per_scale = blocks_per_scale
        self.convs_per_block = convs_per_block
        self.constrain = constrain
        self.remat = remat

    def __call__(self, features: jax.Array, encoder_features: Sequence[jax.Array]) -> jax.Array:
        """Decodes to logits.

        Args:
          features: [B, h, w, c], the features of scale `first_scale - 1`.
          encoder_features: what `Encoder` returned for the image, fine to coarse.

        Returns:
          float32 logits [B, H, W, C] at full resolution.
        """
        skips = encoder_features[::-1]
        for scale in range(self.first_scale, len(self.channels)):
            features = jnp.concatenate([up_sample(features), skips[scale]], axis=-1)
            features = ResidualScale(
                self.blocks_per_scale,
                self.channels[scale],
                self.block_channels[scale],
                self.convs_per_block,
                self.constrain,
                len(self.channels) - 1 - scale in self.remat,
                name=f"scale_{scale}",
            )(features)
        return Conv2D(self.num_classes, 1, name="logits")(features).astype(jnp.float32)
