"""Kullback-Leibler terms between posterior and prior (Appendix A)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def kl_divergence(
    posterior_mean: Float[Array | np.ndarray, "B h w d"],
    posterior_log_std: Float[Array | np.ndarray, "B h w d"],
    prior_mean: Float[Array | np.ndarray, "B h w d"],
    prior_log_std: Float[Array | np.ndarray, "B h w d"],
) -> Float[Array, "B h w"]:
    """D_KL(q || p) of two diagonal Gaussians, in nats, at every position of a latent grid.

    Args:
      posterior_mean: [B, h, w, d], of q.
      posterior_log_std: [B, h, w, d], of q.
      prior_mean: [B, h, w, d], of p.
      prior_log_std: [B, h, w, d], of p.

    Returns:
      [B, h, w], summed over the d latent dimensions.
    """
    log_ratio = posterior_log_std - prior_log_std
    distance = (posterior_mean - prior_mean) * jnp.exp(-prior_log_std)
    kl = 0.5 * (jnp.expm1(2.0 * log_ratio) + distance**2) - log_ratio
    return jnp.sum(kl, axis=-1)


def batch_kl(*gaussians: Float[Array | np.ndarray, "B h w d"]) -> Float[Array, ""]:
    """`kl_divergence` summed over the positions of each image, averaged over the batch."""
    return jnp.mean(jnp.sum(kl_divergence(*gaussians), axis=(1, 2)))
