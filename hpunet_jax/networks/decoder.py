"""The decoder's scales above the latent hierarchy, and the logits (Section 2; Fig. 1)."""

from collections.abc import Sequence

import haiku as hk
import jax.numpy as jnp
from jaxtyping import Array, Float

from hpunet_jax.networks.blocks import Features, plain
from hpunet_jax.networks.convolution import Conv2D
from hpunet_jax.networks.scales import Scales


class OutputDecoder(hk.Module):
    """Completes the U-Net from the latent hierarchy's features to full resolution."""

    def __init__(self, scales: Scales, first_scale: int, num_classes: int, name: str | None = None):
        """Args:
        scales: the U-Net's processing scales.
        first_scale: the first, coarsest scale to add.
        num_classes: number of classes C.
        name: Haiku module name.
        """
        super().__init__(name=name)
        self.scales = scales
        self.first_scale = first_scale
        self.num_classes = num_classes

    def __call__(
        self,
        features: Features,
        encoder_features: Sequence[Features],
    ) -> Float[Array, "B H W C"]:
        """Decodes to logits.

        Args:
          features: [B, h, w, c], the features of the scale below `first_scale`.
          encoder_features: what `Encoder` returned for the image, fine to coarse.

        Returns:
          float32 logits [B, H, W, C] at full resolution.
        """
        for scale in reversed(range(self.first_scale + 1)):
            features = self.scales.decode(scale, features, encoder_features[scale])
        logits = Conv2D(self.num_classes, 1, name="logits")(features.astype(jnp.float32))
        return plain(logits)
