"""Training states to checkpoints and back, and what a resumed run may change."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import ml_collections
from absl import logging

from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.config import NO_RESULTS, NO_WEIGHTS, differences, shown_differences
from hpunet_jax.training.optimizer import changed_past
from hpunet_jax.training.state import TrainState

# A resumed run may be longer, and learn at other rates in the steps to come.
MAY_CHANGE = (*NO_WEIGHTS, "training.steps", "optimizer.learning_rate.")


def resume(
    checkpoints: Checkpoints,
    config: ml_collections.ConfigDict,
    state: TrainState,
    step: int,
    data_digest: str | None = None,
) -> TrainState:
    """The state of the checkpoint of `step`, laid out over devices like `state`.

    Raises:
      CheckpointError: if the checkpoint was made by another config or of other data, or cannot be
        read; if this config would have trained it with other learning rates; if there is nothing
        left to train, and this config asks for something else than was trained.
    """
    made_by = checkpoints.config(step)
    if changed := differences(made_by, config, MAY_CHANGE):
        raise CheckpointError(
            f"{checkpoints.folder} holds a run of another config: {shown_differences(changed)}. "
            "Use another --workdir, with --init_from to start from these weights, or the config "
            "of that run."
        )
    changed = differences(made_by, config, NO_RESULTS)
    if step >= config.training.steps and changed:
        raise CheckpointError(
            f"{checkpoints.folder} holds a run of step {step:,}, after which nothing is left to "
            f"train, so that it keeps its config, but {shown_differences(changed)}. Give the "
            "config of that run, or none, or use another --workdir."
        )
    if problem := changed_past(made_by, config, step):
        raise CheckpointError(f"{checkpoints.folder} holds a run of step {step:,}: {problem}")
    made_of = checkpoints.data_digest(step)
    if None not in (made_of, data_digest) and made_of != data_digest:
        raise CheckpointError(
            f"{checkpoints.folder} holds a run of other data: the data set {config.data.name!r} "
            f"has changed since (its digest was {made_of} and is {data_digest} now). Restore the "
            "data, or use another --workdir, with --init_from to start from these weights."
        )
    logging.info("Resuming from step %d of %s", step, checkpoints.folder)
    rest = checkpoints.training(_without_network(state), step)
    params = state.params._replace(
        network=checkpoints.params(state.params.network, step), objective=rest.params.objective
    )
    ema = None if state.ema is None else checkpoints.ema(state.ema, step)
    return TrainState(rest.step, params, rest.optimizer, rest.objective, ema)


def save(
    checkpoints: Checkpoints,
    step: int,
    state: TrainState,
    config: ml_collections.ConfigDict,
    validation: Mapping[str, float] | None = None,
    data_digest: str | None = None,
) -> None:
    """Writes `state`, and the scores of a validation, as the checkpoint of `step`."""
    rest = _without_network(state)
    checkpoints.save(step, state.params.network, rest, config, state.ema, validation, data_digest)


class _WithoutNetwork(NamedTuple):
    """What a checkpoint holds of a `TrainState` beside the network's parameters."""

    step: jax.Array
    params: Any
    optimizer: Any
    objective: Any


def _without_network(state: TrainState) -> _WithoutNetwork:
    params = state.params._replace(network=None)
    return _WithoutNetwork(state.step, params, state.optimizer, state.objective)
