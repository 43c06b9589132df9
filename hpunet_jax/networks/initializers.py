"""Initial weights: orthogonal kernels, small random biases (Appendix D, "Architecture")."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

BIAS_STDDEV = 0.001

# By modules' names, then "w" and "b"; arrays, or their shapes and dtypes.
Params = Mapping[str, Mapping[str, Any]]


def draw_parameters(
    key: Key[Array, ""], shapes: Params, gain: float = 1.0
) -> dict[str, dict[str, np.ndarray]]:
    """Draws the initial value of every parameter of a network.

    Kernels ("w") are orthogonal times `gain`, biases ("b") come from a normal distribution with
    standard deviation 0.001, truncated at two standard deviations.

    The randomness is two flat draws from `key`; the QR decompositions run on the host. Letting
    XLA compile Haiku's own `init` of the full network instead takes minutes, since each of its
    hundreds of kernels brings a QR of its own.

    Args:
      key: a JAX random key.
      shapes: the parameters' structure as given by `jax.eval_shape` of Haiku's init: a mapping
        from module name to {"w": ..., "b": ...}.
      gain: the paper's is 1.

    Returns:
      The same structure holding float32 NumPy arrays.
    """
    kernel_key, bias_key = jax.random.split(key)
    kernels = {m: p["w"].shape for m, p in sorted(shapes.items())}
    biases = {m: p["b"].shape for m, p in sorted(shapes.items())}
    normals = _flat_draw(jax.random.normal, kernel_key, kernels)
    truncated = _flat_draw(
        lambda k, shape: jax.random.truncated_normal(k, -2.0, 2.0, shape), bias_key, biases
    )
    return {
        module: {
            "w": np.float32(gain) * orthogonal(normals[module]),
            "b": BIAS_STDDEV * truncated[module],
        }
        for module in shapes
    }


def orthogonal(normal: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Turns independent normal numbers into an orthogonal kernel of the same shape.

    Args:
      normal: float32 [..., c_out] standard normal numbers.

    Returns:
      float32 of the same shape; as a matrix [prod(...), c_out] its columns are orthonormal (or
      its rows, where there are fewer of them).
    """
    matrix = normal.reshape(-1, normal.shape[-1])
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1, 1).astype(q.dtype)  # makes the distribution uniform
    return np.ascontiguousarray(q if tall is matrix else q.T).reshape(normal.shape)


def _flat_draw(
    draw: Callable[..., jax.Array], key: Key[Array, ""], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    sizes = [math.prod(shape) for shape in shapes.values()]
    flat = np.asarray(draw(key, (sum(sizes),)))
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }
