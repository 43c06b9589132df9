"""The weight-decay term of all training objectives (Appendix D, "Training")."""

import collections
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
    return weight * sum_of_squares(params)


def sum_of_squares(tree: PyTree) -> Float[Array, ""]:
    """Σ x² over all arrays of a tree, in float32.

    Arrays of one shape are added before they are summed: a network has hundreds of arrays, but few
    shapes, and devices take longer to start a sum than to sum a kernel.
    """
    by_shape: dict[tuple[int, ...], list[Any]] = collections.defaultdict(list)
    for leaf in jax.tree.leaves(tree):
        by_shape[leaf.shape].append(jnp.square(leaf.astype(jnp.float32)))
    total: Any = sum(jnp.sum(sum(squares)) for squares in by_shape.values())
    return total
