"""Convolutions and changes of resolution shared by all networks (Appendix D, "Architecture")."""

import functools
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hpunet_jax.networks.blocks import (
    Blocked,
    Features,
    bias_of_blocks,
    kernel_of_blocks,
    plain,
    up_sample_to_blocks,
)

# Says how features [B, h, w, c] lie on devices, and returns them unchanged.
Constrain = Callable[[Float[Array, "B h w c"]], Float[Array, "B h w c"]]


def unconstrained(features: Float[Array, "B h w c"]) -> Float[Array, "B h w c"]:
    """Leaves it to the compiler how features lie on devices."""
    return features


class Conv2D(hk.Module):
    """A 2-D convolution with SAME zero padding, stride 1 and bias.

    Parameters stay float32; the computation runs in the dtype of the input, so a network fed
    bfloat16 computes in bfloat16 with float32 weights. What predicts Gaussians and logits is fed
    float32, or their values would be rounded to bfloat16. The initial values are drawn by
    `initializers.draw_parameters`, not here: see there why.
    """

    def __init__(self, channels: int, kernel_size: int, name: str | None = None):
        super().__init__(name=name)
        self.channels = channels
        self.kernel_size = kernel_size

    def __call__(self, features: Features) -> Features:
        """Convolves `features` [B, h, w, c] to [B, h, w, channels]; in blocks if they are."""
        shape = (self.kernel_size, self.kernel_size, features.shape[-1], self.channels)
        w = hk.get_parameter("w", shape, jnp.float32, init=jnp.zeros)
        b = hk.get_parameter("b", (self.channels,), jnp.float32, init=jnp.zeros)
        if not isinstance(features, Blocked):
            return _convolve(features, w, b)
        width = features.width
        inputs = jnp.concatenate(features.parts, axis=-1)
        out = _convolve(inputs, kernel_of_blocks(w, features), bias_of_blocks(b, width))
        return Blocked((out,), (width,), width)


def _convolve(
    features: Float[Array | np.ndarray, "B h w c"],
    w: Float[Array | np.ndarray, "rows columns c d"],
    b: Float[Array | np.ndarray, " d"],
) -> Float[Array, "B h w d"]:
    out = jax.lax.conv_general_dilated(
        jnp.asarray(features),
        jnp.asarray(w, features.dtype),
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    # Added in float32: the gradient of b sums over all positions, and CPUs sum bfloat16 in
    # bfloat16, which stops growing after a few hundred terms.
    return (out.astype(jnp.float32) + b).astype(features.dtype)


def down_sample(features: Features) -> Features:
    """Halves height and width of [B, h, w, c] by averaging blocks of 2x2 pixels."""
    if isinstance(features, Blocked):
        return features.down_sampled()
    b, h, w, c = features.shape
    return features.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def up_sample(features: Features, columns: int = 1) -> Features:
    """Doubles height and width of [B, h, w, c] by nearest-neighbour interpolation.

    The result lies in blocks of so many columns.
    """
    if columns > 1:
        return up_sample_to_blocks(features, columns)
    return jnp.repeat(jnp.repeat(plain(features), 2, axis=1), 2, axis=2)


def up_sample_bilinear(
    features: Float[Array | np.ndarray, "B h w c"],
) -> Float[Array, "B _h _w c"]:
    """Doubles height and width of [B, h, w, c] by bilinear interpolation, edges repeated.

    Pixels are squares, as in `jax.image.resize`: a new pixel's centre lies a quarter of an old
    pixel from the nearest old centre, so it takes 3/4 of that one and 1/4 of the next.
    """

    def double(x: Float[Array | np.ndarray, "B _h _w c"], axis: int) -> Float[Array, "B _h _w c"]:
        size = x.shape[axis]
        rows = functools.partial(jax.lax.slice_in_dim, x, axis=axis)
        before = jnp.concatenate([rows(0, 1), rows(0, size - 1)], axis)
        after = jnp.concatenate([rows(1, size), rows(size - 1, size)], axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        return pair.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])

    return double(double(features, 1), 2)
