"""How much of an image one pixel of the segmentation can depend on."""

from typing import Any

import numpy as np
from jaxtyping import Int64

from hpunet_jax.networks.config import NetworkConfig
from hpunet_jax.networks.unet import UNetConfig

# Of each position along an axis, the first and the last pixel of the image that it depends on.
_Reach = tuple[Int64[np.ndarray, " _n"], Int64[np.ndarray, " _n"]]


def receptive_field(config: NetworkConfig) -> int:
    """The side, in pixels, of the square that the logits of a pixel depend on, given the latents.

    What lies deepest in the U-Net reaches furthest. The reach of all its positions along one axis
    is followed through convolutions, pooling and up-sampling; the greatest counts.

    Args:
      config: the network's hyperparameters.

    Returns:
      The side; images may be smaller.
    """
    fields: Any = config
    if bilinear := isinstance(config, UNetConfig):
        convs = config.convs_per_scale
    else:
        convs = fields.blocks_per_scale * fields.convs_per_block
    length = (4 * convs + 8) * config.size_multiple  # the middle is far from the ends
    reach = (np.arange(length), np.arange(length))
    of_scales = []
    for scale in range(config.num_scales):
        if scale:
            reach = (reach[0][::2], reach[1][1::2])
        reach = _convolved(reach, convs)
        of_scales.append(reach)
    for skip in reversed(of_scales[:-1]):
        reach = _convolved(_joined(_up_sampled(reach, bilinear), skip), convs)
    first, last = reach
    middle = slice(length // 2, length // 2 + config.size_multiple)
    return int((last - first + 1)[middle].max())


def _convolved(reach: _Reach, times: int) -> _Reach:
    """After 3x3 convolutions; the reach ascends along the axis."""
    first, last = (np.pad(ends, times, mode="edge") for ends in reach)
    return first[: len(reach[0])], last[-len(reach[1]) :]


def _up_sampled(reach: _Reach, bilinear: bool) -> _Reach:
    first, last = (np.repeat(ends, 2) for ends in reach)
    if bilinear:  # every other position also takes the one before, the rest the one after
        before, after = np.arange(len(first)) // 2 - 1, (np.arange(len(first)) + 1) // 2
        before = np.where(np.arange(len(first)) % 2, before + 1, before).clip(0)
        return reach[0][before], reach[1][after.clip(max=len(reach[1]) - 1)]
    return first, last


def _joined(a: _Reach, b: _Reach) -> _Reach:
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])
