"""Choosing the k worst pixels of a batch without sorting it (Section 2, "Training", last part)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

_BITS = 4  # of a threshold, found in one pass


def top_k_mask(
    scores: Float[Array | np.ndarray, "*shape"],
    valid: Bool[Array | np.ndarray, "*shape"],
    k: int | Int[Array, ""],
) -> Bool[Array, "*shape"]:
    """Marks the k valid pixels with the highest scores.

    Selects exactly what `jax.lax.top_k` would, equal scores going to the lowest index, but without
    sorting: the threshold's bits are found four at a time, by counting the scores above each of the
    15 candidates, then equal scores are cut at an index found in the same way. That is a fixed
    number of passes, each ending in 15 numbers, so a batch that is split over devices is neither
    gathered nor sorted, and its devices wait for each other once a pass.

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
    """The greatest uint32 for which the monotone predicate `holds` is true.

    It is sought among those of `bits` bits, or of the next multiple of `_BITS`.
    """
    digits = jnp.arange(1, 2**_BITS, dtype=jnp.uint32)
    rounds = -(-bits // _BITS)

    def find_digit(i: Int[Array, ""], value: UInt32[Array, ""]) -> UInt32[Array, ""]:
        unit = jnp.uint32(1) << (_BITS * (rounds - 1 - i)).astype(jnp.uint32)
        # It holds up to a digit and for none after it: as often as the digit says.
        digit = jnp.sum(jax.vmap(holds)(value + digits * unit), dtype=jnp.uint32)
        return value + digit * unit

    return jax.lax.fori_loop(0, rounds, find_digit, jnp.uint32(0))


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
