"""The training loop: steps, curves, validation, checkpoints (Appendix D, "Training")."""

import contextlib
import functools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import logging
from tqdm import tqdm

from hpunet_jax.buckets import AnyPath
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.compilation.cache import compile_or_load
from hpunet_jax.compilation.memory_check import bytes_of, check_fits, least_bytes
from hpunet_jax.config import value_of
from hpunet_jax.folders import check_no_pattern, used_alone
from hpunet_jax.networks import check_unit_interval
from hpunet_jax.training import mesh as meshes
from hpunet_jax.training import processes
from hpunet_jax.training.initial import initialize
from hpunet_jax.training.metrics_log import VALIDATION, MetricsLog
from hpunet_jax.training.optimizer import build_schedule
from hpunet_jax.training.preemption import Preemption
from hpunet_jax.training.resuming import resume, save
from hpunet_jax.training.setup import Setup, set_up
from hpunet_jax.training.state import TrainState
from hpunet_jax.training.summary import network_summary, step_summary
from hpunet_jax.training.validation import Validated, Validation

_ADDED = ("learning_rate", "images_per_second")  # to the step's metrics

Examples = Mapping[str, np.ndarray]
ExampleBatches = Iterator[Examples]


def train(
    config: ml_collections.ConfigDict,
    workdir: str | AnyPath,
    batches_from: Callable[[int], ExampleBatches],
    devices: Sequence[jax.Device] | None = None,
    *,
    validation_batches: Callable[[], Iterable[Examples]] | None = None,
    say: Callable[[str], object] = logging.info,
    compiled: Callable[[int], object] = lambda steps_left: None,
    data_digest: Callable[[], str | None] = lambda: None,
) -> TrainState:
    """Trains until `training.steps`, resuming from the newest checkpoint in `workdir`.

    On SIGTERM it saves a checkpoint after the step under way, and returns; before the first step
    is done, it ends the process at once (`Preemption`). Of several processes (see
    `processes.join`) each calls it, with the same `workdir` on a shared file system; process 0
    writes the curves.

    Args:
      config: the experiment's config.
      workdir: folder for checkpoints, metrics.csv and TensorBoard files, also in a bucket.
      batches_from: start step -> endless iterator over batches of examples, the one that an
        uninterrupted run would see from that step on; of several processes, each has its part
        of the batches.
      devices: the devices to train on; None: all there are.
      validation_batches: the examples to validate on, of which the first
        `training.validation_images` are kept; only for `training.validate_every`.
      say: what to do with the sentences about network, step and start that a person wants to see.
      compiled: called with the number of steps ahead if the step had to be compiled and the next
        start will load it (`use_cache`). What it raises ends the run before its first step.
      data_digest: gives the `fingerprint` of the data set, which checkpoints keep and the processes
        of a run compare, so that no run goes on with other data; None: it is not known.

    Returns:
      The final state; its `step` is lower than `training.steps` after a SIGTERM.

    Raises:
      CheckpointError: if `workdir` holds a run of another config or of other data, or a damaged
        checkpoint.
      FloatingPointError: if the loss becomes NaN or infinite; earlier checkpoints stay.
      ValueError: for a config that does not fit itself, the data or the devices; if config or data
        are not the same in all processes; for a `workdir` that another program uses, that cannot
        be written to, or that the processes do not share.
      OSError: if the disk is full; earlier checkpoints and curves stay.
      ConnectionError: if another process is lost.
    """
    processes.check_same_config(config)
    setup = set_up(config, devices)
    check_no_pattern(workdir, "--workdir")
    with processes.failing_together():
        digest = data_digest()  # after all that needs no data, since it reads them all
    processes.check_same_data(digest)
    first = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        preemption = stack.enter_context(Preemption())
        with processes.failing_together():
            if first:
                stack.enter_context(used_alone(workdir))
        processes.check_shared(workdir)
        number = config.training.keep_checkpoints
        checkpoints = stack.enter_context(Checkpoints(workdir, number))
        newest = processes.agreed_step(checkpoints)
        state = setup.init_state(jax.random.key(config.training.seed))
        say(network_summary(setup.network, config))
        if newest is not None:
            state = resume(checkpoints, config, state, newest, digest)
            say(f"going on from step {newest:,} of {checkpoints.folder.parent}")
        elif value_of(config, "training.init_from"):
            state, what = initialize(state, setup, config)
            say(what)
        start = int(state.step)
        log = stack.enter_context(MetricsLog(workdir, start)) if first else None
        validation = _validation(config, setup, validation_batches)
        keep = functools.partial(save, checkpoints, config=config, data_digest=digest)
        run = _Run(config, setup, checkpoints, keep, log, validation, preemption, say, compiled)
        with processes.naming_lost_processes():
            batches = batches_from(start)
            if isinstance(batches, Generator):
                stack.enter_context(contextlib.closing(batches))
            return run(state, start, batches)


def _validation(config, setup: Setup, batches) -> Validation | None:
    if not value_of(config, "training.validate_every"):
        return None
    if batches is None:
        raise ValueError(
            "training.validate_every is set, but there are no validation_batches to validate on."
        )
    return Validation(config, setup.objective, batches())


class _Run:
    """The loop itself, with what it needs at every step."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        setup: Setup,
        checkpoints: Checkpoints,
        keep: Callable[..., None],
        log: MetricsLog | None,
        validation: Validation | None,
        preemption: Preemption,
        say: Callable[[str], object],
        compiled: Callable[[int], object],
    ):
        self.config = config
        self.setup = setup
        self.checkpoints = checkpoints
        self.keep = keep
        self.log = log
        self.validation = validation
        self.preemption = preemption
        self.say = say
        self.compiled = compiled
        self.schedule = build_schedule(config.optimizer.learning_rate, config.training.steps)
        self.validate_every = value_of(config, "training.validate_every")
        self.keep_best_by = value_of(config, "training.keep_best_by")

    def __call__(self, state: TrainState, start: int, batches: ExampleBatches) -> TrainState:
        training = self.config.training
        if start >= training.steps:
            return state
        examples = next(batches)
        check_unit_interval(np.asarray(examples["image"]))
        take_step = self._compiled(state, examples)
        bar = tqdm(
            total=training.steps,
            initial=start,
            unit="step",
            desc="training",
            disable=self.log is None,
        )
        since, since_step = time.monotonic(), start
        with bar:
            for step in range(start + 1, training.steps + 1):
                examples = examples if step == start + 1 else next(batches)
                state, metrics = take_step(state, meshes.to_devices(self.setup.mesh, examples))
                if step == start + 1 and self.log is not None:
                    self.log.check_columns([*metrics, *_ADDED])
                preempted = self.preemption.noticed(step)
                due = step == training.steps or step % training.checkpoint_every == 0
                reporting = due or step % training.log_every == 0
                validated = self._validate(step, state)
                if validated or reporting or preempted:
                    scalars = self._finite(step, metrics)
                if validated or reporting:
                    seconds = time.monotonic() - since
                    rate = (step - since_step) * training.batch_size / seconds
                    self._report(step, scalars, rate, validated, bar)
                    since, since_step = time.monotonic(), step
                if due or preempted or self._is_best(validated):
                    if self.log is not None:
                        self.log.publish()
                    scores = validated.scores if validated else None
                    self.keep(step, state, validation=scores)
                    since = time.monotonic()
                bar.update()
                if preempted:
                    logging.warning("SIGTERM: saved a checkpoint at step %d and stop here.", step)
                    break
        return state

    def _compiled(self, state: TrainState, examples: Examples) -> Callable[..., Any]:
        """The step, compiled for these examples; for others it is compiled when they come."""
        step: Any = self.setup.step
        begin = time.monotonic()
        arrays = meshes.to_devices(self.setup.mesh, examples)
        self.say("compiling the training step ...")
        traced = step.trace(state, arrays)
        mesh, batch_size = self.setup.mesh, self.config.training.batch_size
        check_fits(least_bytes(traced) // mesh.size, mesh, batch_size)
        compiled, anew = compile_or_load(traced.lower())
        check_fits(bytes_of(compiled), mesh, batch_size)
        self.say(f"... ready after {time.monotonic() - begin:.1f} s")
        if anew:
            self.compiled(self.config.training.steps - int(state.step))
        self.say(step_summary(compiled, self.config))
        shapes = jax.tree.map(jax.typeof, arrays)

        def take_step(state: TrainState, arrays: Mapping[str, jax.Array]):
            same = jax.tree.map(jax.typeof, arrays) == shapes
            return (compiled if same else step)(state, arrays)

        return take_step

    def _validate(self, step: int, state: TrainState) -> Validated | None:
        last = step == self.config.training.steps
        if self.validation is None or not (last or step % self.validate_every == 0):
            return None
        validated = self.validation(state, with_pictures=self.log is not None)
        return validated._replace(scores=processes.of_first(validated.scores))

    def _is_best(self, validated: Validated | None) -> bool:
        """Whether no checkpoint is as good."""
        if validated is None or not self.keep_best_by:
            return False
        return self.checkpoints.is_better(self.keep_best_by, validated.scores)

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

    def _report(
        self,
        step: int,
        scalars: dict[str, float],
        rate: float,
        validated: Validated | None,
        bar: Any,
    ) -> None:
        if self.log is None:
            return
        # Steps count from 1 here: the schedule's value for the step just done is at step - 1.
        scheduled: Any = self.schedule(step - 1)
        added = dict(zip(_ADDED, (float(scheduled), rate), strict=True))
        scores = validated.scores.items() if validated else ()
        found = {f"{VALIDATION}{name}": value for name, value in scores}
        pictures = validated.pictures if validated else {}
        self.log.write(step, {**scalars, **added, **found}, pictures)
        shown = {"rec": scalars["reconstruction_per_pixel"], "kl": scalars["kl_sum"]}
        if "lagrange_multiplier" in scalars:
            shown["λ"] = scalars["lagrange_multiplier"]
        bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)
