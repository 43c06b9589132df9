"""The weight-decay term of all training objectives (Appendix D, "Training")."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def weight_decay(params: PyTree, weight: float = 1e-5) -> Float[Array, ""]:
    """weight · Σ w² over every kernel and bias, without a factor 1/2.

    Args:
      params: the network's parameters, any pytree; the Lagrange multiplier is not among them.
      weight: the paper's 1e-5.

    Returns:
      float32 scalar to add to the loss.
    """
    squares = [jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(params)]
    total: Any = sum(squares)
    return weight * total
