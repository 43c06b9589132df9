"""Checkpoint directories: parameters, training state and the config that made them, by Orbax.

<workdir>/checkpoints/<step>/params      the network's parameters, all that sampling needs
<workdir>/checkpoints/<step>/training    optimizer, objective and step, to resume training
<workdir>/checkpoints/<step>/config      the config as JSON
<workdir>/checkpoints/<step>/ema         the moving average of the parameters, where there is one
<workdir>/checkpoints/<step>/validation  the scores of the validation at this step, as JSON
<workdir>/checkpoints/<step>/digests.json    the digests of all files, written last
<workdir>/checkpoints/sealed.txt         says that a checkpoint counts only with its digests

In a bucket the same files are objects, see stage.py.

Folders without sealed.txt were begun before there were digests; their checkpoints count without.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import jax
import ml_collections
import numpy as np
from absl import logging
from etils import epy
from jax.experimental import multihost_utils

from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints.digests import DamageError, is_sealed, seal, verify
from hpunet_jax.checkpoints.stage import Stage
from hpunet_jax.config import check_config, from_json, to_json
from hpunet_jax.files import cannot_write, write_aside
from hpunet_jax.folders import check_no_pattern

with epy.lazy_imports():  # a model file needs none of it
    import orbax.checkpoint as ocp

FOLDER = "checkpoints"
_SEALED = "sealed.txt"
_ITEMS = ("params", "training", "config", "ema", "validation")

Step = int | Literal["best"] | None
"""Which checkpoint: of this step, the best by `training.keep_best_by`, or (None) the newest."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not the expected one; the message says which."""


def read_config(text: str, where: AnyPath) -> ml_collections.ConfigDict:
    """The config of a model, as `to_json` wrote it to `where`.

    Raises:
      CheckpointError: if it is no config, or describes no network.
    """
    try:
        config = from_json(text)
        check_config(config, sections=("model",))
    except ValueError as error:
        raise CheckpointError(f"{where} does not hold the config of a model: {error}") from error
    return config


class Checkpoints:
    """The checkpoints of one work directory. A context manager: leaving it ends all writing."""

    def __init__(self, workdir: str | AnyPath, keep: int | None = None):
        """Args:
          workdir: the folder given as --workdir; it need not exist before the first `save`.
          keep: how many of the newest checkpoints stay; None or 0 keeps all.

        Raises:
          ValueError: for a negative `keep`, or an address of no bucket.
        """
        if keep is not None and keep < 0:
            raise ValueError(
                f"training.keep_checkpoints is {keep}: expected 1 or more, or 0 for all."
            )
        workdir = place(workdir, "the work directory")
        self.folder: AnyPath
        self._stage: Stage | None = None
        if isinstance(workdir, pathlib.Path):
            self.folder = self._local = workdir.resolve() / FOLDER
        else:
            self.folder = workdir / FOLDER
            self._stage = Stage(self.folder)
            self._local = self._stage.folder
        self._keep = keep
        self._open: ocp.CheckpointManager | None = None
        self._validations: dict[int, dict[str, float]] = {}

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
        if self._stage is not None:
            self._stage.close()

    def step(self, step: Step = None) -> int:
        """The number of a checkpoint; raises a `CheckpointError` if there is none such."""
        return self._step(step)

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        if self._stage is not None:
            return self._stage.steps()
        if not self._local.is_dir():
            return []
        steps = sorted(self._manager.all_steps())
        if (self._local / _SEALED).exists():
            return [step for step in steps if is_sealed(self._place(step))]
        return steps

    def save(
        self,
        step: int,
        params: Any,
        training: Any,
        config: ml_collections.ConfigDict,
        ema: Any = None,
        validation: Mapping[str, float] | None = None,
    ) -> None:
        """Writes a checkpoint aside, renames it, and adds its digests.

        It counts from then on; only then older ones beyond `keep` are removed, but for the best.

        Args:
          step: number of steps done.
          params: the network's parameters.
          training: what else training goes on from.
          config: the config that made them.
          ema: the moving average of `params`; None: there is none.
          validation: scores at this step; None: there was no validation.

        Raises:
          ValueError: if the path of the work directory cannot be written to (`check_no_pattern`).
          OSError: if the disk is full; the checkpoints before stay.
        """
        check_no_pattern(self.folder.parent, "--workdir")
        first = jax.process_index() == 0
        steps = self.steps()
        if not steps and first:
            with write_aside(self.folder / _SEALED) as aside:
                aside.write_text("A checkpoint of this folder counts with its digests.json only.\n")
        if self._stage is not None:
            params, training, ema = whole_on_host((params, training, ema))
        for incomplete in set(self._manager.all_steps()) - set(steps):
            self._manager.delete(incomplete)  # its writer was killed
        if self._stage is not None and not first:
            self._wait_for_upload(step)
            return
        items: dict[str, Any] = {
            "params": ocp.args.StandardSave(params),
            "training": ocp.args.StandardSave(training),
            "config": ocp.args.JsonSave({"json": to_json(config)}),
        }
        if ema is not None:
            items["ema"] = ocp.args.StandardSave(ema)
        if validation is not None:
            items["validation"] = ocp.args.JsonSave(dict(validation))
        later = self._stage is not None and step <= max(steps, default=-1)
        if later or not self._save(step, items):
            raise ValueError(
                f"{self.folder} holds a checkpoint of a later step than {step}: nothing was saved. "
                "Use another --workdir."
            )
        self._validations[step] = dict(validation or {})
        if first:
            self._seal(step)
            if self._stage is not None:
                self._stage.publish(step)
        all_steps = sorted(self._manager.all_steps()) if self._stage is None else self.steps()
        old = all_steps[: -self._keep] if self._keep else []
        if old and config.get("training", {}).get("keep_best_by", ""):
            best, _ = self.best(config.training.keep_best_by) or (None, None)
            old = [other for other in old if other != best]
        for other in old:
            self._delete(other)
        self._wait_for_upload(step)

    def _save(self, step: int, items: Mapping[str, Any]) -> bool:
        try:
            return self._manager.save(step, args=ocp.args.Composite(**items))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) or "os_error_code" in str(error):
                raise cannot_write(self.folder / str(step), error) from error
            raise

    def _seal(self, step: int) -> None:
        try:
            seal(self._local / str(step), step)
        except OSError as error:
            raise cannot_write(self.folder / str(step), error) from error

    def best(self, score: str) -> tuple[int, float] | None:
        """The checkpoint with the best validation, the earliest of equal ones.

        Args:
          score: by which of its scores.

        Returns:
          Its step and the score; None if no checkpoint has this score.
        """
        found = {}
        for step in self.steps():
            try:
                value = self.validation(step).get(score, math.nan)
            except CheckpointError as error:
                logging.warning("It cannot be the best checkpoint: %s", error)
                continue
            if not math.isnan(value):
                found[step] = value
        if not found:
            return None
        step = min(found, key=lambda step: (_rank(score, found[step]), step))
        return step, found[step]

    def is_better(self, score: str, scores: Mapping[str, float]) -> bool:
        """Whether no checkpoint's validation is as good as these scores, by one of them."""
        value, best = scores.get(score, math.nan), self.best(score)
        if math.isnan(value):
            return False
        return best is None or _rank(score, value) < _rank(score, best[1])

    def validation(self, step: int) -> dict[str, float]:
        """The scores of the validation at the step of a checkpoint; {} if there was none."""
        if step not in self._validations:  # what was read or saved does not change
            there = (self._place(self._step(step)) / "validation").is_dir()
            found = self._restore(step, validation=ocp.args.JsonRestore()) if there else {}
            self._validations[step] = found
        return self._validations[step]

    def config(self, step: Step = None) -> ml_collections.ConfigDict:
        """The config that made the checkpoint of `step` (default: the newest)."""
        step = self._step(step)
        text = self._restore(step, config=ocp.args.JsonRestore())["json"]
        return read_config(text, self.folder / str(step))

    def params(self, like: Any, step: Step = None) -> Any:
        """The parameters of a checkpoint.

        Args:
          like: a pytree of arrays or `jax.ShapeDtypeStruct` (with a sharding where it matters)
            that the parameters must match.
          step: which checkpoint; default: the newest.
        """
        return self._restore_like(like, step, "params")

    def ema(self, like: Any, step: Step = None) -> Any:
        """The moving average of the parameters of a checkpoint, matching `like` as in `params`.

        Raises:
          CheckpointError: if it was trained without one.
        """
        step = self._step(step)
        if not self.config(step).get("training", {}).get("ema_decay", 0):
            raise CheckpointError(
                f"the checkpoint {self.folder / str(step)} has no moving average of the weights: "
                "it was trained with training.ema_decay=0. Load its own weights, or train with a "
                "decay."
            )
        return self._restore_like(like, step, "ema")

    def training(self, like: Any, step: Step = None) -> Any:
        """The training state of a checkpoint, matching `like` as in `params`."""
        return self._restore_like(like, step, "training")

    def raw_multiplier(self, step: Step = None) -> np.ndarray | None:
        """GECO's parameter at the step of a checkpoint; None if it was not trained by GECO."""
        found = self._restore(self._step(step), training=ocp.args.StandardRestore())
        raw = (found["params"].get("objective") or {}).get("raw_multiplier")
        return None if raw is None else np.asarray(raw)

    @property
    def _manager(self) -> "ocp.CheckpointManager":
        if self._open is None:
            options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
            if self._stage is not None:  # each process has a folder of its own
                options.create = False
                options.multiprocessing_options = ocp.options.MultiprocessingOptions(
                    primary_host=jax.process_index(),
                    active_processes={jax.process_index()},
                    barrier_sync_key_prefix=f"stage{jax.process_index()}",
                )
            self._open = ocp.CheckpointManager(self._local, item_names=_ITEMS, options=options)
        return self._open

    def _step(self, step: Step) -> int:
        steps = self.steps()
        if not steps:
            raise CheckpointError(
                f"{self.folder} holds no complete checkpoint; give the --workdir of a training "
                "run, or train one with `hpunet train`."
            )
        if step == "best":
            return self._best(steps[-1])
        if step is not None and step not in steps:
            raise CheckpointError(
                f"{self.folder} holds no checkpoint of step {step}, only {steps}."
            )
        return steps[-1] if step is None else step

    def _best(self, newest: int) -> int:
        """The best checkpoint by what the run itself keeps the best by."""
        score = self.config(newest).get("training", {}).get("keep_best_by", "")
        if not score:
            raise CheckpointError(
                f'{self.folder} has no best checkpoint: its config sets training.keep_best_by="". '
                f"Name a step, of {self.steps()}, or leave it out for the newest."
            )
        found = self.best(score)
        if found is None:
            raise CheckpointError(
                f"{self.folder} has no best checkpoint yet: none has the score {score!r} of "
                f"training.keep_best_by. Name a step, of {self.steps()}."
            )
        return found[0]

    def _restore_like(self, like: Any, step: Step, name: str) -> Any:
        step = self._step(step)
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        restored = self._restore(step, **{name: ocp.args.StandardRestore(target)})
        for (path, a), b in zip(
            jax.tree.leaves_with_path(restored), jax.tree.leaves(target), strict=True
        ):
            if a.shape != b.shape:
                raise CheckpointError(
                    f"the checkpoint {self.folder / str(step)} does not fit the model: "
                    f"{jax.tree_util.keystr(path)} has shape {a.shape} there, but {b.shape} here."
                )
        return restored

    def _place(self, step: int) -> pathlib.Path:
        """The local folder of a checkpoint; of one in a bucket, all but its training state."""
        if self._stage is not None:
            self._stage.fetch(step)
        return self._local / str(step)

    def _delete(self, step: int) -> None:
        if self._stage is None:
            self._manager.delete(step)
        else:
            self._stage.remove(step)

    def _wait_for_upload(self, step: int) -> None:
        """Makes the processes of a run go on together once process 0 has filled the bucket."""
        if self._stage is not None:
            for staged in self._manager.all_steps():
                self._manager.delete(staged)
            ocp.multihost.sync_global_processes(f"checkpoint {step} is in the bucket")

    def _restore(self, step: int, **item: Any) -> Any:
        (name,) = item
        where, local = self.folder / str(step), self._place(step)
        if self._stage is not None:
            self._stage.fetch(step, name)
            self._manager.reload()
        try:
            if is_sealed(local):
                verify(local, step, [name])
        except DamageError as error:
            raise CheckpointError(
                f"the checkpoint {where} cannot be read: its {name!r} is not what was written "
                f"({error}). {self._way_out(step)}"
            ) from error
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
        except PermissionError:
            raise
        except MemoryError as error:
            raise CheckpointError(f"there is too little memory to read {where}.") from error
        except Exception as error:  # Orbax raises whatever its storage layers raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            if is_sealed(local):  # its files are as they were written
                hint = "Its files are undamaged: it may be of another config or version."
            else:
                hint = f"If its files are damaged: {self._way_out(step)}"
            raise CheckpointError(
                f"the checkpoint {where} cannot be read: its {name!r} gives {reason!r}. {hint}"
            ) from error

    def _way_out(self, step: int) -> str:
        before = [other for other in self.steps() if other != step]
        if not before:
            return "There is no other checkpoint in this folder."
        return (
            f"There are others, of the steps {', '.join(map(str, before))}: give "
            f"--step={before[-1]}, or move this folder away, to go on from there."
        )


def whole_on_host(tree: Any) -> Any:
    """A pytree of arrays in this process's memory, also where several processes hold parts."""

    def fetch(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_replicated:
            return multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)

    return jax.tree.map(fetch, tree)


def _rank(score: str, value: float) -> float:
    """What is least for the best value of a score: IoU and precision are to be high."""
    return -value if score.endswith(("iou", "precision", "precision_50")) else value
