"""Checkpoint directories: parameters, training state and the config that made them, by Orbax.

<workdir>/checkpoints/<step>/params      the network's parameters, all that sampling needs
<workdir>/checkpoints/<step>/training    optimizer, objective and step, to resume training
<workdir>/checkpoints/<step>/config      the config as JSON
"""

import pathlib
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from hpunet_jax import config as configs

FOLDER = "checkpoints"
_ITEMS = ("params", "training", "config")


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not the expected one; the message says which."""


class Checkpoints:
    """The checkpoints of one work directory. A context manager: leaving it ends all writing."""

    def __init__(self, workdir: str | pathlib.Path, keep: int | None = None):
        """Args:
        workdir: the folder given as --workdir; it need not exist before the first `save`.
        keep: how many of the newest checkpoints stay; None keeps all.
        """
        self.folder = pathlib.Path(workdir).resolve() / FOLDER
        self._keep = keep
        self._open: ocp.CheckpointManager | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(self._manager.all_steps())

    def save(
        self, step: int, params: Any, training: Any, config: ml_collections.ConfigDict
    ) -> None:
        """Writes a checkpoint aside and renames it; older ones beyond `keep` are removed after."""
        self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                training=ocp.args.StandardSave(training),
                config=ocp.args.JsonSave({"json": configs.to_json(config)}),
            ),
        )

    def config(self, step: int | None = None) -> ml_collections.ConfigDict:
        """The config that made the checkpoint of `step` (default: the newest)."""
        step = self._step(step)
        return configs.from_json(self._restore(step, config=ocp.args.JsonRestore())["json"])

    def params(self, like: Any, step: int | None = None) -> Any:
        """The parameters of a checkpoint.

        Args:
          like: a pytree of arrays or `jax.ShapeDtypeStruct` (with a sharding where it matters)
            that the parameters must match.
          step: which checkpoint; default: the newest.
        """
        return self._restore_like(like, step, "params")

    def training(self, like: Any, step: int | None = None) -> Any:
        """The training state of a checkpoint, matching `like` as in `params`."""
        return self._restore_like(like, step, "training")

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._open is None:
            self._open = ocp.CheckpointManager(
                self.folder,
                item_names=_ITEMS,
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=self._keep, enable_async_checkpointing=False
                ),
            )
        return self._open

    def _step(self, step: int | None) -> int:
        steps = self.steps()
        if not steps:
            raise CheckpointError(
                f"{self.folder} holds no complete checkpoint; give the --workdir of a training "
                "run, or train one with `python -m experiments.train`."
            )
        if step is not None and step not in steps:
            raise CheckpointError(
                f"{self.folder} holds no checkpoint of step {step}, only {steps}."
            )
        return steps[-1] if step is None else step

    def _restore_like(self, like: Any, step: int | None, name: str) -> Any:
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

    def _restore(self, step: int, **item: Any) -> Any:
        (name,) = item
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
        except Exception as error:  # Orbax raises whatever its storage layers raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise CheckpointError(
                f"the checkpoint {self.folder / str(step)} cannot be read: its {name!r} is "
                f"damaged, incomplete or of another config ({reason[0][:200]}). Remove this folder "
                "to go back to the checkpoint before it."
            ) from error
