"""The pre-activated residual block (Appendix D, "Architecture"; grey blocks of Fig. 1)."""

import haiku as hk
import jax

from hpunet_jax.networks.blocks import Features, add
from hpunet_jax.networks.convolution import Constrain, Conv2D, unconstrained


class ResidualBlock(hk.Module):
    """relu, 3x3 convolutions at reduced width, a 1x1 projection back, and the skip.

    The residual branch activates its input ("pre-activated") and every convolution's output but
    the last; a final un-activated 1x1 convolution projects to `channels`, unless the branch has
    that width already. The skip carries the un-activated input, projected by a 1x1 convolution
    only where the number of channels changes.
    """

    def __init__(
        self,
        channels: int,
        block_channels: int,
        convs_per_block: int = 3,
        name: str | None = None,
    ):
        """Args:
        channels: number of feature maps going out.
        block_channels: number of feature maps inside the residual branch (the paper: half).
        convs_per_block: number of 3x3 convolutions.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.channels = channels
        self.block_channels = block_channels
        self.convs_per_block = convs_per_block

    def __call__(self, features: Features) -> Features:
        """Maps [B, h, w, c] to [B, h, w, channels]."""
        residual = features
        for i in range(self.convs_per_block):
            residual = jax.tree.map(jax.nn.relu, residual)
            residual = Conv2D(self.block_channels, 3, name=f"conv_{i}")(residual)
        if features.shape[-1] != self.channels:
            features = Conv2D(self.channels, 1, name="skip")(features)
        if self.block_channels != self.channels:
            residual = Conv2D(self.channels, 1, name="projection")(residual)
        return add(features, residual)


class ResidualScale(hk.Module):
    """The stack of residual blocks of one processing scale."""

    def __init__(
        self,
        num_blocks: int,
        channels: int,
        block_channels: int,
        convs_per_block: int = 3,
        constrain: Constrain = unconstrained,
        remat: bool = False,
        name: str | None = None,
    ):
        """Args:
        num_blocks: number of blocks.
        channels: number of feature maps going out.
        block_channels: number of feature maps inside the residual branches.
        convs_per_block: number of 3x3 convolutions of each block.
        constrain: how the features going in and out lie on devices.
        remat: whether the backward pass computes each block again instead of keeping what is
          inside of it, which saves memory for a second forward pass.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.num_blocks = num_blocks
        self.block = (channels, block_channels, convs_per_block)
        self.constrain = constrain
        self.remat = remat

    def __call__(self, features: Features) -> Features:
        """Maps [B, h, w, c] to [B, h, w, channels]."""
        features = jax.tree.map(self.constrain, features)
        for i in range(self.num_blocks):
            block = ResidualBlock(*self.block, name=f"block_{i}")
            features = (hk.remat(block) if self.remat else block)(features)
        return jax.tree.map(self.constrain, features)
