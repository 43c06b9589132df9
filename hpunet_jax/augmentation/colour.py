"""Image values: scaled to [0, 1], and random colour augmentation (Appendix D.3)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hpunet_jax.augmentation.ranges import Augmentation

# Luminance and two chrominance axes (the YIQ space of colour television).
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def random_colour(
    key: Key[Array, ""],
    image: Float[Array | np.ndarray, "H W C"],
    mean: Float[Array | np.ndarray, ""],
    augmentation: Augmentation,
) -> Float[Array | np.ndarray, "H W C"]:
    """Changes brightness and contrast, and of RGB images also saturation and hue.

    Args:
      key: a random key.
      image: float32 [H, W, C] in [0, 1].
      mean: [], the value that contrast leaves alone: the mean of the image before it was warped.
      augmentation: the ranges; if those of colour are all 0, the image is returned as it is.

    Returns:
      float32 [H, W, C] in [0, 1].
    """
    a = augmentation
    ranges = np.array([a.brightness, a.contrast, a.saturation, np.deg2rad(a.hue)], np.float32)
    if not ranges.any():
        return image
    light, gain, chroma, angle = ranges * jax.random.uniform(key, (4,), minval=-1, maxval=1)
    if a.brightness or a.contrast:
        image = (image - mean) * (1 + gain) + mean + light
    if (a.saturation or a.hue) and image.shape[-1] == 3:
        image = _turn_chroma(jnp.asarray(image), angle, 1 + chroma)
    return jnp.clip(image, 0.0, 1.0)


def _turn_chroma(image: jax.Array, angle: jax.Array, stretch: jax.Array) -> jax.Array:
    cos, sin = jnp.cos(angle) * stretch, jnp.sin(angle) * stretch
    turn = jnp.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    matrix = jnp.linalg.multi_dot([_FROM_YIQ, turn, _TO_YIQ], precision="highest")
    return jnp.matmul(image, matrix.T, precision="highest")
