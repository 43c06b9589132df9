"""Cross-entropy, top-k, weight decay, ELBO and GECO give the recorded numbers."""

import numpy as np


def test_cross_entropy_is_reproduced_with_and_without_mask_and_top_k(assert_reproduced):
    assert_reproduced("cross-entropy")


def test_exactly_the_recorded_pixels_are_selected(comparisons):
    found = comparisons("selected pixels")
    assert {c.key for c in found} == {
        f"ce/{masking}_{selection}/mask"
        for masking in ("mask", "nomask")
        for selection in ("full", "top002", "top010", "gumbel010")
    }
    for c in found:
        np.testing.assert_array_equal(c.ours, c.recorded, err_msg=c.key)


def test_weight_decay_counts_kernels_and_biases_without_a_half(assert_reproduced):
    assert_reproduced("weight decay")


def test_elbo_and_geco_losses_are_reproduced(assert_reproduced):
    assert_reproduced("ELBO loss", "GECO loss")


def test_geco_sequences_are_reproduced(comparisons, assert_reproduced):
    assert_reproduced("GECO sequences")
    numbers = {c.key.split("/")[-1] for c in comparisons("GECO sequences")}
    assert numbers >= {"ma", "constraint", "lagmul", "loss", "grad_raw", "grad_wrt_rec_sum"}
