"""A step's gradients from micro-batches, so that a large batch needs the memory of a small one.

The worst pixels of Section 2 are those of the whole batch, so micro-batches are not steps of their
own: a first pass computes the losses of all pixels, from which the terms of the whole batch and
their derivatives follow; a second one pulls these back through the network, micro-batch by
micro-batch. Noise belongs to images and pixels, so the step is the same in any number of
micro-batches, but for rounding. It costs a forward pass more.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Shaped

from hpunet_jax.augmentation import Batch
from hpunet_jax.networks import Network
from hpunet_jax.objectives import Objective, reconstruction, select_pixels
from hpunet_jax.training.loss import Metrics, batch_terms, total_loss
from hpunet_jax.training.state import Trainable


def accumulated_gradients(
    params: Trainable,
    objective_state: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    network: Network,
    objective: Objective,
    top_k: float,
    weight_decay: float,
    parts: int,
    devices: int = 1,
    constrain: Callable[[Any], Any] = lambda part: part,
) -> tuple[Trainable, tuple[Any, Metrics]]:
    """The gradients of `batch_loss`, computed with the memory of a micro-batch.

    Args:
      params: network and objective parameters.
      objective_state: the objective's state.
      batch: the whole training batch.
      key: randomness of latents and top-k selection; as in `batch_loss`.
      network: the network.
      objective: the objective.
      top_k: fraction of the whole batch's pixels that the reconstruction term looks at.
      weight_decay: weight of the weight-decay term.
      parts: number of micro-batches; divides the batch on each device evenly.
      devices: the number of devices that the batch is split over: a micro-batch takes as many
        images of each.
      constrain: how a micro-batch lies on the devices.

    Returns:
      (gradients, (next objective state, diagnostics)), as `jax.grad(batch_loss, has_aux=True)`.
    """
    latent_key, top_k_key = jax.random.split(key)
    images = batch.image.shape[0]
    keys = jax.random.split(latent_key, images)

    def cut(x: Shaped[Array, "B ..."]) -> Shaped[Array, "parts b ..."]:
        rows = x.reshape(devices, parts, images // (devices * parts), *x.shape[1:])
        return rows.swapaxes(0, 1).reshape(parts, images // parts, *x.shape[1:])

    def joined(x: Shaped[Array, "parts b ..."]) -> Shaped[Array, "B ..."]:
        rows = x.reshape(parts, devices, images // (devices * parts), *x.shape[2:])
        return rows.swapaxes(0, 1).reshape(images, *x.shape[2:])

    def forward(network_params, part):
        keys, batch = part
        return batch_terms(network_params, constrain(batch), keys, network)

    cut_batch = (cut(keys), jax.tree.map(cut, batch))
    losses, kls = jax.lax.map(lambda part: forward(params.network, part), cut_batch)
    selected = select_pixels(joined(losses), batch.mask, top_k, top_k_key)

    def of_whole_batch(params, losses, kls):
        term = reconstruction(joined(losses), selected)
        means = [jnp.mean(kl) for kl in kls]
        return total_loss(params, objective_state, term, means, objective, weight_decay)

    (gradients, *pulled), aux = jax.grad(of_whole_batch, argnums=(0, 1, 2), has_aux=True)(
        params, losses, kls
    )

    def add(total, part):
        part, cotangents = part
        _, pull_back = jax.vjp(lambda network_params: forward(network_params, part), params.network)
        return jax.tree.map(jnp.add, total, *pull_back(cotangents)), None

    network, _ = jax.lax.scan(add, gradients.network, (cut_batch, tuple(pulled)))
    return gradients._replace(network=network), aux
