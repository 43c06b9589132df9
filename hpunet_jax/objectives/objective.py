"""What an objective is: pure `init` and `loss` functions over its own parameters and state."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from hpunet_jax.objectives.cross_entropy import Reconstruction


class ObjectiveValue(NamedTuple):
    """The value of an objective for one batch.

    Attributes:
      loss: float32 scalar to minimise.
      state: the objective's next state.
      diagnostics: named scalars worth plotting.
    """

    loss: Float[Array, ""]
    state: Any
    diagnostics: Mapping[str, Float[Array, ""]]


class Objective(NamedTuple):
    """How reconstruction and KL terms become one loss.

    Attributes:
      init: () -> (params, state). `params` are trained together with the network by the same
        optimizer; `state` is carried from step to step.
      loss: (params, state, reconstruction, kls) -> `ObjectiveValue`; `kls` holds one scalar for
        each latent scale, coarse to fine.
    """

    init: Callable[[], tuple[Any, Any]]
    loss: Callable[[Any, Any, Reconstruction, Sequence[Float[Array, ""]]], ObjectiveValue]
