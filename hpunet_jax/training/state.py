"""All that changes during training, as one pytree."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from hpunet_jax.networks import Network
from hpunet_jax.objectives import Objective


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
    """

    step: jax.Array
    params: Trainable
    optimizer: Any
    objective: Any


def init_state(
    key: jax.Array,
    network: Network,
    objective: Objective,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """The state before the first step, with weights drawn from `key`."""
    network_params = jax.tree.map(jnp.asarray, network.init(key))
    return _first_state(network_params, objective, optimizer)


def state_shapes(
    network: Network, objective: Objective, optimizer: optax.GradientTransformation
) -> TrainState:
    """The shapes and dtypes of `init_state`, without drawing weights."""
    return jax.eval_shape(
        lambda params: _first_state(params, objective, optimizer), network.param_shapes()
    )


def _first_state(network_params, objective, optimizer) -> TrainState:
    objective_params, objective_state = objective.init()
    params = Trainable(network_params, objective_params)
    return TrainState(jnp.int32(0), params, optimizer.init(params), objective_state)
