"""The deterministic feature extractor of prior and posterior (Section 2; left half of Fig. 1)."""

import haiku as hk
import numpy as np
from jaxtyping import Array, Float

from hpunet_jax.networks.blocks import Features
from hpunet_jax.networks.scales import Scales


class Encoder(hk.Module):
    """Stacks of residual blocks with average pooling between them."""

    def __init__(self, scales: Scales, name: str | None = None):
        super().__init__(name=name)
        self.scales = scales

    def __call__(self, image: Float[Array | np.ndarray, "B H W c"]) -> list[Features]:
        """Computes the features of every scale.

        Args:
          image: [B, H, W, c]; H and W multiples of 2 ** (number of scales - 1).

        Returns:
          Features of each scale, fine to coarse: [B, H / 2**scale, W / 2**scale, channels], in
          blocks of columns where the scales say so.
        """
        features, outputs = image, []
        for scale in range(len(self.scales)):
            features = self.scales.encode(scale, features)
            outputs.append(features)
        return outputs
