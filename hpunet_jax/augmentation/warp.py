"""Geometric augmentation as one coordinate map, sampled once (Appendix D.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Shaped

# 0, 90, 180, 270 degrees exactly; cos(pi / 2) is not 0 in floating point.
_QUARTER_TURNS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float32
)


def affine(
    turns: Int[Array, ""],
    mirror: Float[Array, "2"],
    angle: Float[Array, ""],
    shear: Float[Array, ""],
    scale: Float[Array, ""],
) -> Float[Array, "2 2"]:
    """Composes the linear part of the map from crop to source coordinates (y, x).

    Args:
      turns: int, number of quarter turns; they agree with `np.rot90`.
      mirror: float [2], -1 flips the axis (y, x), 1 does not.
      angle: rotation in radians.
      shear: displacement along x for each pixel along y.
      scale: magnification; 2 shows objects twice as large.

    Returns:
      float32 [2, 2].
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rotation = jnp.array([[cos, sin], [-sin, cos]])
    shearing = jnp.array([[1.0, 0.0], [shear, 1.0]])
    turn = jnp.asarray(_QUARTER_TURNS)[turns]
    product = jnp.linalg.multi_dot(
        [jnp.diag(mirror), turn, rotation, shearing], precision="highest"
    )
    return product / scale


def source_coordinates(
    matrix: Float[Array, "2 2"],
    shift: Float[Array, "2"],
    displacement: Float[Array, "2 h w"],
    source: Sequence[int],
) -> Float[Array, "2 h w"]:
    """Where each pixel of the crop looks in the source image.

    Args:
      matrix: [2, 2], the linear part, about the centre.
      shift: [2], translation in pixels (y, x).
      displacement: [2, h, w], elastic displacement in pixels.
      source: height and width of the source image.

    Returns:
      float32 [2, h, w], coordinates (y, x) in source pixels.
    """
    crop = displacement.shape[1:]
    half = [(size - 1) / 2 for size in crop]
    grid = jnp.stack(
        jnp.meshgrid(*(jnp.arange(n) - m for n, m in zip(crop, half, strict=True)), indexing="ij")
    )
    # The centre that a centre crop has, so that the identity map is one.
    centre = jnp.array([(s - n) // 2 + m for s, n, m in zip(source, crop, half, strict=True)])
    # Element by element: a matrix product may run in reduced precision on accelerators.
    y = matrix[0, 0] * grid[0] + matrix[0, 1] * grid[1]
    x = matrix[1, 0] * grid[0] + matrix[1, 1] * grid[1]
    return jnp.stack([y, x]) + (centre + shift)[:, None, None] + displacement


def inside(coordinates: Float[Array, "2 h w"], source: Sequence[int]) -> Bool[Array, "h w"]:
    """Which coordinates [2, h, w] fall on a pixel of the source image; bool [h, w]."""
    limit = jnp.array(source, jnp.float32)[:, None, None] - 0.5
    return jnp.all((coordinates >= -0.5) & (coordinates < limit), axis=0)


def sample_nearest(
    plane: Shaped[Array | np.ndarray, "H W"], coordinates: Float[Array, "2 h w"]
) -> Shaped[Array, "h w"]:
    """Values of the nearest pixels of `plane` [H, W] at `coordinates` [2, h, w]: [h, w]."""
    y, x = jnp.floor(coordinates + 0.5).astype(jnp.int32)
    return _pixels(plane, y, x)


def sample_bilinear(
    image: Shaped[Array | np.ndarray, "H W C"], coordinates: Float[Array, "2 h w"]
) -> Float32[Array, "h w C"]:
    """Bilinear interpolation of `image` [H, W, C] at `coordinates` [2, h, w]: float32 [h, w, C]."""
    low = jnp.floor(coordinates)
    y0, x0 = low.astype(jnp.int32)
    fy, fx = (coordinates - low)[..., None]

    def row(y):
        left, right = (_pixels(image, y, x).astype(jnp.float32) for x in (x0, x0 + 1))
        return left * (1 - fx) + right * fx

    return row(y0) * (1 - fy) + row(y0 + 1) * fy


def _pixels(image: jax.Array | np.ndarray, y: jax.Array, x: jax.Array) -> jax.Array:
    height, width = image.shape[:2]
    index = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
    pixels = jnp.reshape(image, (height * width, *image.shape[2:]))
    return pixels.at[index].get(mode="promise_in_bounds")
