"""GECO: a reconstruction constraint with a Lagrange multiplier (Eq. 6; Rezende & Viola, 2018).

    L_GECO = λ · (L_rec - κ) + Σ KL

κ is the desired reconstruction loss per pixel. The constraint uses an exponential moving average
of L_rec. The multiplier is λ = softplus(w)², and w is trained by the same optimizer as the
network, with its gradient reversed: λ rises while the constraint is violated and falls after.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hpunet_jax.objectives.objective import Objective, ObjectiveValue

INITIAL_RAW_MULTIPLIER = math.log(math.e - 1.0)  # softplus of it is 1


class GecoParams(NamedTuple):
    """`raw_multiplier`: float32 scalar w with λ = softplus(w)²."""

    raw_multiplier: Float[Array, ""]


class GecoState(NamedTuple):
    """The moving average of the reconstruction term (summed over pixels).

    Attributes:
      moving_average: float32 scalar.
      initialized: bool scalar; before the first batch there is no average yet.
    """

    moving_average: Float[Array, ""]
    initialized: Bool[Array, ""]


def geco(kappa: float, decay: float = 0.99, rate: float = 0.01) -> Objective:
    """The GECO objective, Eq. 6, parameterised as in the official implementation.

    Args:
      kappa: desired reconstruction loss per selected pixel.
      decay: decay of the moving average, whose first value is the first batch's; there is no
        debiasing. The gradient passes through the average with factor 1.
      rate: factor on the reversed gradient of λ. Under Adam it matters only through epsilon.

    Returns:
      The objective, with `GecoParams` and `GecoState`.
    """

    def init():
        params = GecoParams(jnp.float32(INITIAL_RAW_MULTIPLIER))
        return params, GecoState(jnp.float32(0.0), jnp.bool_(False))

    def loss(params, state, reconstruction, kls):
        average = update_moving_average(state, reconstruction.sum, decay)
        straight_through = reconstruction.sum + jax.lax.stop_gradient(average - reconstruction.sum)
        constraint = straight_through - kappa * reconstruction.num_selected
        multiplier = lagrange_multiplier(params.raw_multiplier)
        value = _scale_gradient(multiplier, -rate) * constraint + sum(kls)
        diagnostics = {
            "lagrange_multiplier": multiplier,
            "moving_average": average,
            "moving_average_per_pixel": average / jnp.maximum(reconstruction.num_selected, 1e-6),
            "constraint": constraint,
        }
        return ObjectiveValue(value, GecoState(average, jnp.bool_(True)), diagnostics)

    return Objective(init, loss)


def lagrange_multiplier(raw_multiplier: Float[Array, ""]) -> Float[Array, ""]:
    """λ = softplus(w)²."""
    return jax.nn.softplus(raw_multiplier) ** 2


def update_moving_average(
    state: GecoState, value: Float[Array, ""], decay: float
) -> Float[Array, ""]:
    """ma - (1 - decay)·(ma - x), or x itself for the first value; no gradient."""
    value = jax.lax.stop_gradient(value)
    average = state.moving_average - (1.0 - decay) * (state.moving_average - value)
    return jnp.where(state.initialized, average, value)


def _scale_gradient(x: Float[Array, ""], factor: float) -> Float[Array, ""]:
    """The value of x, with its gradient multiplied by `factor`."""
    return jax.lax.stop_gradient(x) + factor * (x - jax.lax.stop_gradient(x))
