"""From functions that use Haiku modules to a `Network` of pure functions."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from hpunet_jax.networks.initializers import draw_parameters
from hpunet_jax.networks.network import Network


def pure_network(
    config: Any, encode, sample, reconstruct, train_outputs, num_latent_scales: int
) -> Network:
    """Turns functions that use Haiku modules into a `Network` of pure functions.

    Args:
      config: the network's hyperparameters; used are `num_scales`, `image_channels`, `num_classes`.
      encode: image -> features.
      sample: (features, keys, mean, latents) -> `Sample`.
      reconstruct: (image, label) -> logits; uses every parameter of the network.
      train_outputs: (keys, image, label, mean, latents) -> `TrainOutputs`.
      num_latent_scales: number of latent scales.

    Returns:
      The network.
    """

    def param_shapes():
        size = 2 ** (config.num_scales - 1)
        image = jax.ShapeDtypeStruct((1, size, size, config.image_channels), jnp.float32)
        label = jax.ShapeDtypeStruct((1, size, size), jnp.int32)
        return jax.eval_shape(hk.transform(reconstruct).init, None, image, label)

    def apply(function):
        return hk.without_apply_rng(hk.transform(function)).apply

    return Network(
        param_shapes=param_shapes,
        init=lambda key: draw_parameters(key, param_shapes()),
        encode=apply(encode),
        sample=apply(sample),
        reconstruct=apply(reconstruct),
        train_outputs=apply(train_outputs),
        num_classes=config.num_classes,
        num_latent_scales=num_latent_scales,
        size_multiple=2 ** (config.num_scales - 1),
        image_channels=config.image_channels,
    )
