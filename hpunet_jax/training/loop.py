"""The training loop: steps, curves, checkpoints, resuming (Appendix D, "Training")."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import logging
from tqdm import tqdm

from hpunet_jax.buckets import AnyPath
from hpunet_jax.checkpoints import CheckpointError, Checkpoints
from hpunet_jax.config import differences
from hpunet_jax.folders import check_no_pattern, used_alone
from hpunet_jax.networks import check_unit_interval
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training import processes
from hpunet_jax.training.metrics_log import MetricsLog
from hpunet_jax.training.optimizer import build_schedule, changed_past
from hpunet_jax.training.preemption import Preemption
from hpunet_jax.training.setup import set_up
from hpunet_jax.training.state import TrainState

# A resumed run may be longer, report or evaluate differently, and run on other devices or with
# another use of their memory.
MAY_CHANGE = (
    "training.steps",
    "training.log_every",
    "training.checkpoint_every",
    "training.keep_checkpoints",
    "evaluation.",
    "mesh.",
    "model.remat",
    "data.dir",
    "optimizer.learning_rate.",  # as long as the rates of the steps that are done stay
)

_ADDED = ("learning_rate", "images_per_second")  # to the step's metrics

ExampleBatches = Iterator[Mapping[str, np.ndarray]]


def train(
    config: ml_collections.ConfigDict,
    workdir: str | AnyPath,
    batches_from: Callable[[int], ExampleBatches],
    devices: Sequence[jax.Device] | None = None,
) -> TrainState:
    """Trains until `training.steps`, resuming from the newest checkpoint in `workdir`.

    On SIGTERM it saves a checkpoint after the step under way, and returns. Of several processes
    (see `processes.join`) each calls it, with the same `workdir` on a shared file system; process
    0 writes the curves.

    Args:
      config: the experiment's config.
      workdir: folder for checkpoints, metrics.csv and TensorBoard files, also in a bucket.
      batches_from: start step -> endless iterator over batches of examples, the one that an
        uninterrupted run would see from that step on; of several processes, each has its part
        of the batches.
      devices: the devices to train on; None: all there are.

    Returns:
      The final state; its `step` is lower than `training.steps` after a SIGTERM.

    Raises:
      CheckpointError: if `workdir` holds a run with another config, or a damaged checkpoint.
      FloatingPointError: if the loss becomes NaN or infinite; earlier checkpoints stay.
      ValueError: for a config that does not fit itself, the data or the devices, or is not the
        same in all processes; for a `workdir` that another program uses, that cannot be written
        to, or that the processes do not share.
      ConnectionError: if another process is lost.
    """
    processes.check_same_config(config)
    setup = set_up(config, devices)
    check_no_pattern(workdir, "--workdir")
    first = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        with processes.failing_together():
            if first:
                stack.enter_context(used_alone(workdir))
        processes.check_shared(workdir)
        keep = config.training.keep_checkpoints
        checkpoints = stack.enter_context(Checkpoints(workdir, keep))
        newest = processes.agreed_step(checkpoints)
        state = setup.init_state(jax.random.key(config.training.seed))
        if newest is not None:
            state = resume(checkpoints, config, state, newest)
        start = int(state.step)
        log = stack.enter_context(MetricsLog(workdir, start)) if first else None
        run = _Run(config, setup.mesh, setup.step, checkpoints, log)
        with processes.naming_lost_processes():
            batches = batches_from(start)
            if isinstance(batches, Generator):
                stack.enter_context(contextlib.closing(batches))
            return run(state, start, batches)


def resume(
    checkpoints: Checkpoints, config: ml_collections.ConfigDict, state: TrainState, step: int
) -> TrainState:
    """The state of the checkpoint of `step`, laid out over devices like `state`.

    Raises:
      CheckpointError: if the checkpoint was made by another config, or cannot be read; if this
        config would have trained it with other learning rates.
    """
    made_by = checkpoints.config(step)
    changed = {
        name: values
        for name, values in differences(made_by, config).items()
        if not name.startswith(MAY_CHANGE)
    }
    if changed:
        name, (old, new) = next(iter(changed.items()))
        raise CheckpointError(
            f"{checkpoints.folder} holds a run of another config: {name} is {old!r} there and "
            f"{new!r} here ({len(changed)} such field(s): {', '.join(changed)}). Use another "
            "--workdir, or the config of that run."
        )
    if problem := changed_past(made_by, config, step):
        raise CheckpointError(f"{checkpoints.folder} holds a run of step {step:,}: {problem}")
    logging.info("Resuming from step %d of %s", step, checkpoints.folder)
    rest = checkpoints.training(_without_network(state), step)
    network_params = checkpoints.params(state.params.network, step)
    return rest._replace(params=rest.params._replace(network=network_params))


def save(
    checkpoints: Checkpoints, step: int, state: TrainState, config: ml_collections.ConfigDict
) -> None:
    """Writes `state` as the checkpoint of `step`."""
    checkpoints.save(step, state.params.network, _without_network(state), config)


def _without_network(state: TrainState) -> TrainState:
    return state._replace(params=state.params._replace(network=None))


class _Run:
    """The loop itself, with what it needs at every step."""

    def __init__(self, config, mesh, step_function, checkpoints, log):
        self.config = config
        self.mesh = mesh
        self.step_function = step_function
        self.checkpoints = checkpoints
        self.log = log
        self.schedule = build_schedule(config.optimizer.learning_rate, config.training.steps)

    def __call__(self, state: TrainState, start: int, batches: ExampleBatches) -> TrainState:
        training = self.config.training
        bar = tqdm(
            total=training.steps,
            initial=start,
            unit="step",
            desc="training",
            disable=self.log is None,
        )
        since, since_step = time.monotonic(), start
        with bar, Preemption() as preemption:
            for step in range(start + 1, training.steps + 1):
                examples = next(batches)
                if step == start + 1:
                    check_unit_interval(np.asarray(examples["image"]))
                state, metrics = self.step_function(state, meshes.to_devices(self.mesh, examples))
                if step == start + 1 and self.log is not None:
                    self.log.check_columns([*metrics, *_ADDED])
                preempted = preemption.noticed(step)
                due = step == training.steps or step % training.checkpoint_every == 0
                reporting, saving = due or step % training.log_every == 0, due or preempted
                if saving or reporting:
                    scalars = self._finite(step, metrics)
                if reporting and self.log is not None:
                    seconds = time.monotonic() - since
                    rate = (step - since_step) * training.batch_size / seconds
                    self._report(step, scalars, rate, bar)
                    since, since_step = time.monotonic(), step
                if saving:
                    if self.log is not None:
                        self.log.publish()
                    save(self.checkpoints, step, state, self.config)
                    since = time.monotonic()
                bar.update()
                if preempted:
                    logging.warning("SIGTERM: saved a checkpoint at step %d and stop here.", step)
                    break
        return state

    def _finite(self, step: int, metrics: Mapping[str, jax.Array]) -> dict[str, float]:
        scalars = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if bad := [name for name, value in scalars.items() if not np.isfinite(value)]:
            saved = self.checkpoints.steps()
            kept = f"the checkpoint of step {saved[-1]} is kept" if saved else "nothing was saved"
            raise FloatingPointError(
                f"at step {step} {', '.join(bad)} is not finite; {kept}. Lower "
                "optimizer.learning_rate.initial, set optimizer.clip_norm (for instance 1.0), or "
                "lower model.log_std_bound, and check that the images are scaled to [0, 1]."
            )
        return scalars

    def _report(self, step: int, scalars: dict[str, float], rate: float, bar: Any) -> None:
        # Steps count from 1 here: the schedule's value for the step just done is at step - 1.
        scheduled: Any = self.schedule(step - 1)
        learning_rate = float(scheduled)
        self.log.write(step, {**scalars, **dict(zip(_ADDED, (learning_rate, rate), strict=True))})
        shown = {"rec": scalars["reconstruction_per_pixel"], "kl": scalars["kl_sum"]}
        if "lagrange_multiplier" in scalars:
            shown["λ"] = scalars["lagrange_multiplier"]
        bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)
