"""Choosing the k worst pixels of a batch without sorting it (Section 2, "Training", last part)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32


def top_k_mask(
    scores: Float[Array | np.ndarray, "*shape"],
    valid: Bool[Array | np.ndarray, "*shape"],
    k: int | Int[Array, ""],
) -> Bool[Array, "*shape"]:
    """Marks the k valid pixels with the highest scores.

    Selects exactly what `jax.lax.top_k` would, equal scores going to the lowest index, but by
    bisection: the threshold's bits are found one after the other, each by counting the scores
    above a candidate, then equal scores are cut at an index found in the same way. That is a
    fixed number of passes, each ending in one number, so a batch that is split over devices is
    neither gathered nor sorted.

    Args:
      scores: float32, any shape, not NaN; -inf is allowed.
      valid: bool, same shape; other pixels are never chosen.
      k: how many to choose; with fewer valid pixels, all of these.

    Returns:
      bool, same shape.
    """
    keys = jnp.where(valid, _ordered_bits(scores), jnp.uint32(0))

    def count(pixels: Bool[Array, "*shape"]) -> Int[Array, ""]:
        return jnp.sum(pixels, dtype=jnp.int32)

    # The highest threshold that at least k scores reach.
    threshold = _greatest(lambda t: count(keys >= t) >= k, bits=32)
    above = keys > threshold
    equal = valid & (keys == threshold)
    # The greatest index bound below which the equal scores still fit.
    vacant = k - count(above)
    index = _flat_index(scores.shape)
    bound = _greatest(
        lambda i: count(equal & (index < i)) <= vacant, bits=max(scores.size, 1).bit_length()
    )
    return above | (equal & (index < bound))


def _greatest(
    holds: Callable[[UInt32[Array, ""]], Bool[Array, ""]], bits: int
) -> UInt32[Array, ""]:
    """The greatest uint32 of `bits` bits for which the monotone predicate `holds` is true."""

    def try_bit(i, value):
        candidate = value | (jnp.uint32(1) << jnp.uint32(bits - 1 - i))
        return jnp.where(holds(candidate), candidate, value)

    return jax.lax.fori_loop(0, bits, try_bit, jnp.uint32(0))


def _ordered_bits(x: Float[Array | np.ndarray, "*shape"]) -> UInt32[Array, "*shape"]:
    """Maps float32 to uint32 such that the order is kept; 0 stays below every number."""
    x = jnp.where(x == 0, 0.0, x)  # -0.0 equals 0.0, but has other bits
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    negative = (bits >> 31) == 1
    return jnp.where(negative, ~bits, bits | jnp.uint32(1 << 31))


def _flat_index(shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    index = jnp.zeros(shape, jnp.uint32)
    for axis, size in enumerate(shape):
        index = index * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    return index
