"""Random colour augmentation of RGB images (Appendix D.3)."""

import jax
import jax.numpy as jnp
import numpy as np

# Luminance and two chrominance axes (the YIQ space of colour television).
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ).astype(np.float32)
_TO_YIQ = _TO_YIQ.astype(np.float32)


def random_colour(
    key: jax.Array,
    image: jax.Array,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
) -> jax.Array:
    """Changes brightness and contrast, and of RGB images also saturation and hue.

    Args:
      key: a random key.
      image: float32 [H, W, C] in [0, 1].
      brightness: greatest change of all values.
      contrast: greatest relative change of the distance from the image's mean.
      saturation: greatest relative change of the distance from grey.
      hue: greatest rotation of the colours, in degrees.

    Returns:
      float32 [H, W, C] in [0, 1].
    """
    ranges = jnp.array([brightness, contrast, saturation, np.deg2rad(hue)])
    light, gain, chroma, angle = ranges * jax.random.uniform(key, (4,), minval=-1, maxval=1)
    mean = jnp.mean(image)
    image = (image - mean) * (1 + gain) + mean + light
    if image.shape[-1] == 3:
        cos, sin = jnp.cos(angle) * (1 + chroma), jnp.sin(angle) * (1 + chroma)
        turn = jnp.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        image = image @ (_FROM_YIQ @ turn @ _TO_YIQ).T
    return jnp.clip(image, 0.0, 1.0)
