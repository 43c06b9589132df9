"""One training step: draw a batch, the gradients of its loss, update (Fig. 1b, Appendix D)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax.sharding import Mesh

from hpunet_jax.augmentation import Batch
from hpunet_jax.config import value_of
from hpunet_jax.networks import Network
from hpunet_jax.objectives import Objective, sum_of_squares
from hpunet_jax.training.accumulation import accumulated_gradients
from hpunet_jax.training.freezing import without_frozen
from hpunet_jax.training.loss import Metrics, batch_loss
from hpunet_jax.training.mesh import by_image, by_image_and_row, replicated
from hpunet_jax.training.state import TrainState

Examples = Mapping[str, jax.Array]


def build_train_step(
    config: ml_collections.ConfigDict,
    network: Network,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    draw_batch: Callable[[jax.Array, Examples], Batch],
    mesh: Mesh,
    layout: TrainState,
    frozen: Collection[str] = (),
) -> Callable[[TrainState, Examples], tuple[TrainState, Metrics]]:
    """Builds the jitted training step; the same one serves one device and many.

    The step's randomness depends on `training.seed` and the step's number alone, so a resumed
    run continues as if it had never stopped. The state is donated.

    Args:
      config: the whole config; used are `objective.top_k`, `optimizer.weight_decay`, and of
        `training` `seed`, `accumulate` and `ema_decay`.
      network: the network.
      objective: the objective.
      optimizer: the optimizer.
      draw_batch: (key, examples) -> `Batch`: draws targets and augments.
      mesh: the device mesh.
      layout: how the state lies on it, from `state_layout`.
      frozen: the modules of the network whose parameters stay as they are.

    Returns:
      (state, examples) -> (next state, metrics as float32 scalars).
    """
    loss_arguments: dict[str, Any] = {
        "network": network,
        "objective": objective,
        "top_k": config.objective.top_k,
        "weight_decay": config.optimizer.weight_decay,
    }
    parts, decay = (value_of(config, f"training.{name}") for name in ("accumulate", "ema_decay"))

    def by_row(batch):
        return jax.lax.with_sharding_constraint(batch, by_image_and_row(mesh))

    def gradients_of(*arguments):
        if parts == 1:
            return jax.grad(batch_loss, has_aux=True)(*arguments, **loss_arguments)
        return accumulated_gradients(
            *arguments, **loss_arguments, parts=parts, devices=mesh.size, constrain=by_row
        )

    def step(state: TrainState, examples: Examples) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.training.seed), state.step)
        batch_key, loss_key = jax.random.split(key)
        batch = draw_batch(batch_key, examples)
        batch = jax.lax.with_sharding_constraint(batch, by_image(mesh))  # augmented so
        batch = by_row(batch) if parts == 1 else batch
        gradients, (objective_state, metrics) = gradients_of(
            state.params, state.objective, batch, loss_key
        )
        gradients = without_frozen(gradients, frozen)
        # With a split optimizer, the compiler would carry its split into the backward pass.
        gradients = jax.lax.with_sharding_constraint(gradients, replicated(mesh))
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        metrics = {**metrics, "gradient_norm": jnp.sqrt(sum_of_squares(gradients.network))}
        ema = optax.incremental_update(params.network, state.ema, 1 - decay) if decay else None
        next_state = TrainState(state.step + 1, params, optimizer_state, objective_state, ema)
        return next_state, jax.tree.map(jnp.float32, metrics)

    return jax.jit(step, donate_argnums=0, out_shardings=(layout, replicated(mesh)))
