"""The training objectives of the paper: reconstruction with top-k, KL, GECO, ELBO, weight decay."""

from hpunet_jax.fields import Section
from hpunet_jax.objectives.cross_entropy import (
    Reconstruction,
    cross_entropy,
    reconstruction,
    reconstruction_loss,
    select_pixels,
)
from hpunet_jax.objectives.elbo import elbo
from hpunet_jax.objectives.geco import GecoParams, GecoState, geco, lagrange_multiplier
from hpunet_jax.objectives.kl import batch_kl, kl_divergence
from hpunet_jax.objectives.objective import Objective, ObjectiveValue
from hpunet_jax.objectives.top_k import top_k_mask
from hpunet_jax.objectives.weight_decay import sum_of_squares, weight_decay

__all__ = [
    "GecoParams",
    "GecoState",
    "Objective",
    "ObjectiveValue",
    "Reconstruction",
    "batch_kl",
    "build_objective",
    "cross_entropy",
    "elbo",
    "geco",
    "kl_divergence",
    "lagrange_multiplier",
    "reconstruction",
    "reconstruction_loss",
    "select_pixels",
    "sum_of_squares",
    "top_k_mask",
    "weight_decay",
]


def build_objective(objective: Section) -> Objective:
    """Builds the objective that the `objective` section of a config describes.

    Args:
      objective: `name` ("geco" or "elbo") with `kappa`, `decay`, `rate`, or `beta`.

    Returns:
      The objective.

    Raises:
      ValueError: for an unknown name.
    """
    name = objective["name"]
    if name == "geco":
        return geco(objective["kappa"], objective["decay"], objective["rate"])
    if name == "elbo":
        return elbo(objective["beta"])
    raise ValueError(f"objective.name must be 'geco' or 'elbo', not {name!r}.")
