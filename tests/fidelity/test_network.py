"""The network with recorded weights gives the official implementation's outputs and KL terms."""

import jax.numpy as jnp
import numpy as np

from hpunet_jax.networks.convolution import down_sample, up_sample
from hpunet_jax.objectives import kl_divergence

# The coarsest KL of lidc_thin is 1e-3 nats. The official code computes it in float32 as
# ratio - 1 - log(ratio) with a ratio near 1, so the recorded numbers are themselves rounded at
# 6e-8, the spacing of float32 near 1: more than 1e-5 of so small a KL. It has its own test below.
ROUNDED = {
    "lidc_thin": {
        **{
            f"{group}/{kl}_0": group
            for group in ("mean", "fixed", "stoch")
            for kl in ("kl", "kl_per_instance", "kl_per_pixel")
        },
        "elbo_mean_beta2/summary/kl_0": "mean",
        "geco_mean/summary/kl_0": "mean",
    }
}
KLS = ("KL of a scale", "KL of an image", "KL of a position", "terms of the losses")


def test_logits_of_samples_and_reconstructions_are_reproduced(assert_reproduced):
    assert_reproduced(
        "logits of sample(mean=True)",
        "logits of sample, given latents",
        "logits of reconstruct",
        "logits of training passes",
    )


def test_priors_and_posteriors_are_reproduced(assert_reproduced):
    assert_reproduced("prior means", "prior log-stds", "posterior means", "posterior log-stds")


def test_latents_that_were_used_are_reproduced(assert_reproduced):
    assert_reproduced("latents")


def test_encoder_features_are_reproduced_where_recorded(recorded_set, comparisons):
    if recorded_set != "lidc_thin":
        assert all(c.relative_error <= 1e-5 for c in comparisons("encoder features"))


def test_kl_terms_are_reproduced(recorded_set, assert_reproduced):
    assert_reproduced(*KLS, except_for=tuple(ROUNDED.get(recorded_set, ())))
    assert_reproduced("KL of all scales, as one vector")


def test_kls_too_small_to_be_recorded_exactly_agree_up_to_the_official_rounding(
    recorded_set, recording, comparisons
):
    rounded = ROUNDED.get(recorded_set, {})
    found = {c.key: c for c in comparisons(*KLS) if c.key in rounded}
    assert found.keys() == rounded.keys()
    for key, c in found.items():
        # On a grid of 1x1 positions each of these is a single term, rounded like 1.0.
        np.testing.assert_allclose(c.ours, c.recorded, rtol=0, atol=2.0**-23)
        # Ours is the KL of the recorded Gaussians, the recorded one is not.
        exact = exact_kl(recording, rounded[key])
        exact = exact if np.ndim(c.ours) == 3 else exact[:, 0, 0]
        exact = exact if np.ndim(c.ours) else exact.mean()
        np.testing.assert_allclose(c.ours, exact, rtol=1e-5)
        assert np.linalg.norm(c.recorded - exact) > 1e-5 * np.linalg.norm(exact)


def exact_kl(recording, group):
    """[B, 1, 1], the coarsest KL of the recorded Gaussians, in float64 by the textbook formula."""
    q_mean, q_std, p_mean, p_std = (
        np.float64(recording[f"{group}/{name}"])
        for name in ("q_0_mean", "q_0_std", "p_0_mean", "p_0_std")
    )
    ratio = (q_std / p_std) ** 2
    kl = 0.5 * (ratio - 1 - np.log(ratio)) + (q_mean - p_mean) ** 2 / (2 * p_std**2)
    return kl.sum(axis=-1)


def test_kl_of_equal_gaussians_is_zero_where_the_official_formula_would_round():
    std = jnp.log(jnp.full((1, 1, 1, 1), 0.95))
    assert kl_divergence(std, std, std, std) == 0


def test_resampling_is_reproduced(recording):
    for key in recording.numbers:
        if key.startswith("resize_up/in_"):
            out = recording[key.replace("in_", "out_")]
            np.testing.assert_array_equal(up_sample(recording[key]), out)
    # Odd numbers of pixels do not occur in a network; the recorded input is even.
    recorded = recording["resize_down/out"]
    np.testing.assert_allclose(down_sample(recording["resize_down/in"]), recorded, rtol=1e-6)
