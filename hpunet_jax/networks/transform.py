"""From functions that use Haiku modules to a `Network` of pure functions."""

import contextlib
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.convolution import Constrain
from hpunet_jax.networks.initializers import Params, draw_parameters
from hpunet_jax.networks.network import Network


def pure_network(
    config: NetworkConfig,
    constrain: Constrain,
    *,
    encode: Callable[..., Any],
    sample: Callable[..., Any],
    reconstruct: Callable[..., Any],
    train_outputs: Callable[..., Any],
    num_latent_scales: int,
) -> Network:
    """Turns functions that use Haiku modules into a `Network` of pure functions.

    Args:
      config: the network's hyperparameters, which the functions follow.
      constrain: how the features of each scale lie on devices, which they follow too.
      encode: like `Network.encode`, but without its first argument, the parameters.
      sample: like `Network.sample`, without parameters.
      reconstruct: like `Network.reconstruct`, without parameters; uses every parameter there is.
      train_outputs: like `Network.train_outputs`, without parameters.
      num_latent_scales: number of latent scales.

    Returns:
      The network.
    """

    def param_shapes():
        size = config.size_multiple
        image = jax.ShapeDtypeStruct((1, size, size, config.image_channels), jnp.float32)
        label = jax.ShapeDtypeStruct((1, size, size), jnp.int32)
        return jax.eval_shape(hk.transform(reconstruct).init, None, image, label)

    def init(key):
        return draw_parameters(key, param_shapes(), config.init_gain)

    def pure(function):
        apply = hk.without_apply_rng(hk.transform(function)).apply

        def run(params: Params, *args, **kwargs):
            with _precision(config.precision):
                return apply(params, *args, **kwargs)

        return run

    return Network(
        config,
        constrain,
        param_shapes,
        init,
        pure(encode),
        pure(sample),
        pure(reconstruct),
        pure(train_outputs),
        num_latent_scales,
    )


def _precision(name: str) -> contextlib.AbstractContextManager:
    """Within it, products have this precision in all that is traced; also in its gradients."""
    if name == "default":
        return contextlib.nullcontext()
    return jax.default_matmul_precision(name)
