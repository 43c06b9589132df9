"""Checkpoint directories: parameters, training state and the config that made them, by Orbax.

<workdir>/checkpoints/<step>/params      the network's parameters, all that sampling needs
<workdir>/checkpoints/<step>/training    optimizer, objective and step, to resume training
<workdir>/checkpoints/<step>/config      the config, and the digest of the data, as JSON
<workdir>/checkpoints/<step>/ema         the moving average of the parameters, where there is one
<workdir>/checkpoints/<step>/validation  the scores of the validation at this step, as JSON

storage.py writes, verifies and reads them.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import ml_collections
import numpy as np
from absl import logging
from etils import epy
from jax.experimental import multihost_utils

from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.checkpoints.storage import CheckpointError, Storage
from hpunet_jax.config import check_config, from_json, to_json
from hpunet_jax.folders import check_no_pattern

with epy.lazy_imports():  # a model file needs none of it
    import orbax.checkpoint as ocp

FOLDER = "checkpoints"
_DATA_DIGEST = "data_digest"
_ITEMS = ("params", "training", "config", "ema", "validation")

Step = int | Literal["best"] | None
"""Which checkpoint: of this step, the best by `training.keep_best_by`, or (None) the newest."""


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
        folder = place(workdir, "the work directory") / FOLDER
        self._storage = Storage(folder, _ITEMS)
        self._keep = keep
        self._validations: dict[int, dict[str, float]] = {}

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info) -> None:
        self._storage.close()

    @property
    def folder(self) -> AnyPath:
        """The folder that they lie in."""
        return self._storage.folder

    def step(self, step: Step = None) -> int:
        """The number of a checkpoint; raises a `CheckpointError` if there is none such."""
        return self._step(step)

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        return self._storage.steps()

    def save(
        self,
        step: int,
        params: Any,
        training: Any,
        config: ml_collections.ConfigDict,
        ema: Any = None,
        validation: Mapping[str, float] | None = None,
        data_digest: str | None = None,
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
          data_digest: the `fingerprint` of the data that made them; None: it is not known.

        Raises:
          ValueError: if the path of the work directory cannot be written to (`check_no_pattern`).
          OSError: if the disk is full; the checkpoints before stay.
        """
        check_no_pattern(self.folder.parent, "--workdir")
        self._storage.begin()
        if self._storage.in_bucket:
            params, training, ema = whole_on_host((params, training, ema))
            if jax.process_index() != 0:
                self._storage.end(step)
                return
        of_data = {} if data_digest is None else {_DATA_DIGEST: data_digest}
        items: dict[str, Any] = {
            "params": ocp.args.StandardSave(params),
            "training": ocp.args.StandardSave(training),
            "config": ocp.args.JsonSave({"json": to_json(config), **of_data}),
        }
        if ema is not None:
            items["ema"] = ocp.args.StandardSave(ema)
        if validation is not None:
            items["validation"] = ocp.args.JsonSave(dict(validation))
        self._storage.write(step, items)
        self._validations[step] = dict(validation or {})
        self._delete_old(config)
        self._storage.end(step)

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
            there = self._storage.holds(self._step(step), "validation")
            found = self._storage.read(step, "validation", ocp.args.JsonRestore()) if there else {}
            self._validations[step] = found
        return self._validations[step]

    def config(self, step: Step = None) -> ml_collections.ConfigDict:
        """The config that made the checkpoint of `step` (default: the newest)."""
        step = self._step(step)
        return read_config(self._made_by(step)["json"], self.folder / str(step))

    def data_digest(self, step: Step = None) -> str | None:
        """The `fingerprint` of the data that made a checkpoint; None: of a run without one."""
        return self._made_by(self._step(step)).get(_DATA_DIGEST)

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
        # Of arrays that lay on other devices than there are here, each is read to one.
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        how = ocp.args.StandardRestore(fallback_sharding=here)
        found = self._storage.read(self._step(step), "training", how)
        raw = (found["params"].get("objective") or {}).get("raw_multiplier")
        return None if raw is None else np.asarray(raw)

    def _made_by(self, step: int) -> dict[str, Any]:
        return self._storage.read(step, "config", ocp.args.JsonRestore())

    def _delete_old(self, config: ml_collections.ConfigDict) -> None:
        """Removes the checkpoints beyond those to keep, but for the best."""
        old = self._storage.written()[: -self._keep] if self._keep else []
        if old and config.get("training", {}).get("keep_best_by", ""):
            best, _ = self.best(config.training.keep_best_by) or (None, None)
            old = [other for other in old if other != best]
        for other in old:
            self._storage.delete(other)

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
        restored = self._storage.read(step, name, ocp.args.StandardRestore(target))
        for (path, a), b in zip(
            jax.tree.leaves_with_path(restored), jax.tree.leaves(target), strict=True
        ):
            if a.shape != b.shape:
                raise CheckpointError(
                    f"the checkpoint {self.folder / str(step)} does not fit the model: "
                    f"{jax.tree_util.keystr(path)} has shape {a.shape} there, but {b.shape} here."
                )
        return restored


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
