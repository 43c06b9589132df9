"""One training step: draw a batch, reconstruct it, balance the terms, update (Fig. 1b, Eq. 6)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax.sharding import Mesh

from hpunet_jax.augmentation import Batch
from hpunet_jax.networks import Network
from hpunet_jax.objectives import Objective, batch_kl, reconstruction_loss, sum_of_squares
from hpunet_jax.objectives import weight_decay as weight_decay_term
from hpunet_jax.training.mesh import by_image, by_image_and_row, replicated
from hpunet_jax.training.state import Trainable, TrainState

Examples = Mapping[str, jax.Array]
Metrics = Mapping[str, jax.Array]


def batch_loss(
    params: Trainable,
    objective_state: Any,
    batch: Batch,
    key: jax.Array,
    *,
    network: Network,
    objective: Objective,
    top_k: float,
    weight_decay: float,
    stochastic: bool = True,
) -> tuple[jax.Array, tuple[Any, Metrics]]:
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
    outputs = network.train_outputs(
        params.network,
        jax.random.split(latent_key, batch.image.shape[0]),
        batch.image,
        batch.label,
        mean=not stochastic,
    )
    reconstruction = reconstruction_loss(
        outputs.logits,
        batch.label,
        batch.mask,
        top_k=top_k,
        key=top_k_key if stochastic else None,
    )
    kls = [batch_kl(*q, *p) for q, p in zip(outputs.posteriors, outputs.priors, strict=True)]
    value = objective.loss(params.objective, objective_state, reconstruction, kls)
    regularisation = weight_decay_term(params.network, weight_decay)
    diagnostics: dict[str, Any] = {
        "loss": value.loss + regularisation,
        "reconstruction_per_pixel": reconstruction.mean,
        "reconstruction_sum": reconstruction.sum,
        "weight_decay": regularisation,
        "kl_sum": sum(kls),
        **{f"kl_{scale}": kl for scale, kl in enumerate(kls)},
        **value.diagnostics,
    }
    return diagnostics["loss"], (value.state, diagnostics)


def build_train_step(
    config: ml_collections.ConfigDict,
    network: Network,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    draw_batch: Callable[[jax.Array, Examples], Batch],
    mesh: Mesh,
    layout: TrainState,
) -> Callable[[TrainState, Examples], tuple[TrainState, Metrics]]:
    """Builds the jitted training step; the same one serves one device and many.

    The step's randomness depends on `training.seed` and the step's number alone, so a resumed
    run continues as if it had never stopped. The state is donated.

    Args:
      config: the whole config; used are `objective.top_k`, `optimizer.weight_decay` and
        `training.seed`.
      network: the network.
      objective: the objective.
      optimizer: the optimizer.
      draw_batch: (key, examples) -> `Batch`: draws targets and augments.
      mesh: the device mesh.
      layout: how the state lies on it, from `state_layout`.

    Returns:
      (state, examples) -> (next state, metrics as float32 scalars).
    """
    loss_arguments = {
        "network": network,
        "objective": objective,
        "top_k": config.objective.top_k,
        "weight_decay": config.optimizer.weight_decay,
    }

    def step(state: TrainState, examples: Examples) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.training.seed), state.step)
        batch_key, loss_key = jax.random.split(key)
        batch = draw_batch(batch_key, examples)
        batch = jax.lax.with_sharding_constraint(batch, by_image(mesh))  # augmented so
        batch = jax.lax.with_sharding_constraint(batch, by_image_and_row(mesh))
        gradients, (objective_state, metrics) = jax.grad(batch_loss, has_aux=True)(
            state.params, state.objective, batch, loss_key, **loss_arguments
        )
        # With a split optimizer, the compiler would carry its split into the backward pass.
        gradients = jax.lax.with_sharding_constraint(gradients, replicated(mesh))
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        metrics = {**metrics, "gradient_norm": jnp.sqrt(sum_of_squares(gradients.network))}
        next_state = TrainState(state.step + 1, params, optimizer_state, objective_state)
        return next_state, jax.tree.map(jnp.float32, metrics)

    return jax.jit(step, donate_argnums=0, out_shardings=(layout, replicated(mesh)))
