"""The loss of a batch: reconstruct it, balance the terms, add the weight decay (Fig. 1b, Eq. 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hpunet_jax.augmentation import Batch
from hpunet_jax.networks import Network
from hpunet_jax.objectives import (
    Objective,
    Reconstruction,
    batch_kl,
    cross_entropy,
    reconstruction,
    select_pixels,
)
from hpunet_jax.objectives import weight_decay as weight_decay_term
from hpunet_jax.training.state import Trainable

Metrics = Mapping[str, jax.Array]


def batch_loss(
    params: Trainable,
    objective_state: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    network: Network,
    objective: Objective,
    top_k: float,
    weight_decay: float,
    stochastic: bool = True,
) -> tuple[Float[Array, ""], tuple[Any, Metrics]]:
    """The loss of one batch, with latents from the posterior.

    Args:
      params: network and objective parameters.
      objective_state: the objective's state.
      batch: the training batch.
      key: randomness of latents and top-k selection.
      network: the network.
      objective: the objective.
      top_k: fraction of pixels the reconstruction term looks at; 1: all.
      weight_decay: weight of the weight-decay term.
      stochastic: False takes posterior means and the highest losses instead of sampling both.

    Returns:
      (loss, (next objective state, diagnostics)).
    """
    latent_key, top_k_key = jax.random.split(key)
    keys = jax.random.split(latent_key, batch.image.shape[0])
    losses, kls = batch_terms(params.network, batch, keys, network, mean=not stochastic)
    selected = select_pixels(losses, batch.mask, top_k, top_k_key if stochastic else None)
    term = reconstruction(losses, selected)
    return total_loss(params, objective_state, term, kls, objective, weight_decay)


def batch_terms(
    network_params: Any,
    batch: Batch,
    keys: Key[Array, " B"],
    network: Network,
    mean: bool = False,
) -> tuple[Float[Array, "B H W"], list[Float[Array, ""]]]:
    """What the network contributes to the loss of a batch.

    Args:
      network_params: the network's parameters.
      batch: the batch, or a part of one.
      keys: a random key for the latents of each image.
      network: the network.
      mean: whether to take the posterior's means instead of samples.

    Returns:
      The cross-entropy of each pixel, and each latent scale's KL, the mean over the images.
    """
    outputs = network.train_outputs(network_params, keys, batch.image, batch.label, mean=mean)
    losses = cross_entropy(outputs.logits.astype(jnp.float32), batch.label)
    kls = [batch_kl(*q, *p) for q, p in zip(outputs.posteriors, outputs.priors, strict=True)]
    return losses, kls


def total_loss(
    params: Trainable,
    objective_state: Any,
    term: Reconstruction,
    kls: Sequence[Float[Array, ""]],
    objective: Objective,
    weight_decay: float,
) -> tuple[Float[Array, ""], tuple[Any, Metrics]]:
    """The loss of a whole batch from its terms; arguments and results as of `batch_loss`."""
    value = objective.loss(params.objective, objective_state, term, kls)
    regularisation = weight_decay_term(params.network, weight_decay)
    diagnostics: dict[str, Any] = {
        "loss": value.loss + regularisation,
        "reconstruction_per_pixel": term.mean,
        "reconstruction_sum": term.sum,
        "weight_decay": regularisation,
        "kl_sum": sum(kls),
        **{f"kl_{scale}": kl for scale, kl in enumerate(kls)},
        **value.diagnostics,
    }
    return diagnostics["loss"], (value.state, diagnostics)
