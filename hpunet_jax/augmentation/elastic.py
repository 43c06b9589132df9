"""Random elastic deformation: a coarse grid of displacements, smoothly interpolated (D.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Key


def cubic_bspline_matrix(size: int, points: int) -> Float32[np.ndarray, "size points"]:
    """Weights of uniform cubic B-splines at the pixels of one axis.

    Args:
      size: number of pixels; the first lies at the start of the first segment, the last at the
        end of the last.
      points: number of control points, at least 4.

    Returns:
      float32 [size, points]; each row holds four weights that sum to 1.
    """
    segments = points - 3
    position = np.linspace(0.0, segments, size)
    first = np.minimum(position.astype(int), segments - 1)
    t = position - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    matrix = np.zeros((size, points))
    np.put_along_axis(matrix, first[:, None] + np.arange(4), weights / 6, axis=1)
    return matrix.astype(np.float32)


def elastic_displacement(
    key: Key[Array, ""],
    crop: tuple[int, int],
    points: tuple[int, int],
    magnitude: float | int,
) -> Float[Array, "2 height width"]:
    """A smooth random displacement of every pixel.

    Args:
      key: a random key.
      crop: height and width.
      points: number of control points along y and x.
      magnitude: standard deviation of the control points' displacements, in pixels.

    Returns:
      float32 [2, height, width], along (y, x).
    """
    control = magnitude * jax.random.normal(key, (2, *points))
    rows, columns = map(cubic_bspline_matrix, crop, points)
    # Columns last: the pixels of a row are neighbours in memory, as all that follows wants them.
    control = jnp.einsum("hp,cpq->chq", rows, control, precision="highest")
    return jnp.einsum("chq,wq->chw", control, columns, precision="highest")
