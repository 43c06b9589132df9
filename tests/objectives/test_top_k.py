"""Counting against sorting, ties and infinities included."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hpunet_jax.objectives import top_k_mask

SCORES = st.one_of(
    st.floats(width=32, allow_nan=False, allow_subnormal=False),  # XLA takes those for 0
    st.sampled_from([0.0, -0.0, 1.0, -1.0, float("-inf"), float("inf")]),
)

mask_of_top_k = jax.jit(top_k_mask)


def literal_top_k(scores, valid, k):
    """Sorts; equal scores go to the lowest index."""
    order = sorted(np.flatnonzero(valid), key=lambda i: (-scores[i], i))[:k]
    mask = np.zeros(len(scores), bool)
    mask[order] = True
    return mask


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=12, max_size=12), st.integers(0, 12))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_counting_selects_what_sorting_selects(pixels, k):
    scores = np.array([score for score, _ in pixels], np.float32)
    valid = np.array([ok for _, ok in pixels])
    np.testing.assert_array_equal(mask_of_top_k(scores, valid, k), literal_top_k(scores, valid, k))


def test_counting_agrees_with_lax_top_k_on_a_batch():
    scores = jnp.round(jax.random.normal(jax.random.key(0), (4, 64, 64)), 2)  # with many ties
    k = 327
    _, chosen = jax.lax.top_k(scores.ravel(), k)
    expected = np.zeros(scores.size, bool)
    expected[np.asarray(chosen)] = True
    valid = jnp.ones(scores.shape, bool)
    np.testing.assert_array_equal(mask_of_top_k(scores, valid, k).ravel(), expected)


def test_masked_pixels_never_enter_the_top_k():
    scores = jnp.array([5.0, 4.0, -jnp.inf, 1.0])
    valid = jnp.array([False, False, True, True])
    np.testing.assert_array_equal(mask_of_top_k(scores, valid, 3), valid)
    assert not mask_of_top_k(scores, jnp.zeros(4, bool), 3).any()


def test_devices_wait_for_each_other_once_for_four_bits():
    """32 bits of the threshold and 20 of 2 ** 19 pixels' index: 8 and 5 passes."""
    scores = jax.ShapeDtypeStruct((32, 128, 128), jnp.float32)
    jaxpr = jax.make_jaxpr(top_k_mask, static_argnums=2)(scores, scores.update(dtype=bool), 327)
    loops = [equation.params["length"] for equation in jaxpr.eqns if "length" in equation.params]
    assert loops == [8, 5]
