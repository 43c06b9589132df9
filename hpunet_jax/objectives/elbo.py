"""The evidence lower bound with weighted KL terms (Eq. 5)."""

from hpunet_jax.objectives.objective import Objective, ObjectiveValue


def elbo(beta: float = 1.0) -> Objective:
    """L_ELBO = L_rec + beta * (sum of the KL terms), Eq. 5. It has no parameters and no state.

    Args:
      beta: weight of the KL terms.

    Returns:
      The objective.
    """

    def init():
        return (), ()

    def loss(params, state, reconstruction, kls):
        return ObjectiveValue(reconstruction.sum + beta * sum(kls), state, {})

    return Objective(init, loss)
