"""All that changes during training, as one pytree."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from hpunet_jax.networks import Network
from hpunet_jax.objectives import Objective
from hpunet_jax.training import mesh as meshes


class Trainable(NamedTuple):
    """What the optimizer updates.

    Attributes:
      network: the network's parameters.
      objective: the objective's parameters (GECO: the raw Lagrange multiplier).
    """

    network: Any
    objective: Any


class TrainState(NamedTuple):
    """The training state.

    Attributes:
      step: int32 scalar, number of steps done.
      params: what is trained.
      optimizer: the optax state.
      objective: the objective's state (GECO: the moving average).
      ema: the exponential moving average of the network's parameters; None: there is none.
    """

    step: jax.Array
    params: Trainable
    optimizer: Any
    objective: Any
    ema: Any = None


def init_state(
    key: jax.Array,
    network: Network,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    ema: bool = False,
) -> TrainState:
    """The state before the first step, with weights drawn from `key`.

    Args:
      key: a random key.
      network: the network.
      objective: the objective.
      optimizer: the optimizer.
      ema: whether there is a moving average of the weights; it starts as these.
    """
    network_params = jax.tree.map(jnp.asarray, network.init(key))
    return _first_state(network_params, objective, optimizer, ema)


def state_shapes(
    network: Network,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    ema: bool = False,
) -> TrainState:
    """The shapes and dtypes of `init_state`, without drawing weights."""
    return jax.eval_shape(
        lambda params: _first_state(params, objective, optimizer, ema), network.param_shapes()
    )


def state_layout(shapes: TrainState, mesh: Mesh, shard_optimizer: bool) -> TrainState:
    """How the training state lies on the devices: whole on each of them.

    Args:
      shapes: shapes of the state, from `state_shapes`.
      mesh: the device mesh.
      shard_optimizer: whether the optimizer's arrays are split over "data" instead.

    Returns:
      The sharding of each array.
    """
    layout = jax.tree.map(lambda _: meshes.replicated(mesh), shapes)
    if not shard_optimizer:
        return layout
    split = jax.tree.map(lambda x: meshes.over_data(mesh, x.shape), shapes.optimizer)
    return layout._replace(optimizer=split)


def _first_state(network_params, objective, optimizer, ema) -> TrainState:
    objective_params, objective_state = objective.init()
    params = Trainable(network_params, objective_params)
    average = jax.tree.map(jnp.copy, network_params) if ema else None  # both are donated
    return TrainState(jnp.int32(0), params, optimizer.init(params), objective_state, average)
