"""The deterministic feature extractor of prior and posterior (Section 2; left half of Fig. 1)."""

from collections.abc import Collection, Sequence

import haiku as hk
import jax

from hpunet_jax.networks.convolution import Constrain, down_sample, unconstrained
from hpunet_jax.networks.residual import ResidualScale


class Encoder(hk.Module):
    """Stacks of residual blocks with average pooling between them."""

    def __init__(
        self,
        channels: Sequence[int],
        block_channels: Sequence[int],
        blocks_per_scale: int,
        convs_per_block: int,
        constrain: Constrain = unconstrained,
        remat: Collection[int] = (),
        name: str | None = None,
    ):
        """Args:
        channels: feature maps of each processing scale, fine to coarse.
        block_channels: feature maps inside the residual branches of each scale, fine to coarse.
        blocks_per_scale: residual blocks of each scale.
        convs_per_block: 3x3 convolutions of each residual block.
        constrain: as for `ResidualScale`.
        remat: the scales, 0 the finest, whose blocks the backward pass computes again.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.channels = channels
        self.block_channels = block_channels
        self.blocks_per_scale = blocks_per_scale
        self.convs_per_block = convs_per_block
        self.constrain = constrain
        self.remat = remat

    def __call__(self, image: jax.Array) -> list[jax.Array]:
        """Computes the features of every scale.

        Args:
          image: [B, H, W, c]; H and W multiples of 2 ** (number of scales - 1).

        Returns:
          Features of each scale, fine to coarse: [B, H / 2**i, W / 2**i, channels[i]].
        """
        features, outputs = image, []
        for scale, widths in enumerate(zip(self.channels, self.block_channels, strict=True)):
            if scale:
                features = down_sample(features)
            features = ResidualScale(
                self.blocks_per_scale,
                *widths,
                self.convs_per_block,
                self.constrain,
                scale in self.remat,
                name=f"scale_{scale}",
            )(features)
            outputs.append(features)
        return outputs
