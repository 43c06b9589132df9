"""Checkpoint directories: parameters, training state and the config that made them, by Orbax.

<workdir>/checkpoints/<step>/params      the network's parameters, all that sampling needs
<workdir>/checkpoints/<step>/training    optimizer, objective and step, to resume training
<workdir>/checkpoints/<step>/config      the config as JSON
<workdir>/checkpoints/<step>/digests.json    the digests of all files, written last
<workdir>/checkpoints/sealed.txt         says that a checkpoint counts only with its digests

Folders without sealed.txt were begun before there were digests; their checkpoints count without.
"""

import pathlib
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp

from hpunet_jax.checkpoints.digests import DamageError, is_sealed, seal, verify
from hpunet_jax.config import check_config, from_json, to_json
from hpunet_jax.files import write_aside
from hpunet_jax.folders import check_local, check_no_pattern

FOLDER = "checkpoints"
_SEALED = "sealed.txt"
_ITEMS = ("params", "training", "config")


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not the expected one; the message says which."""


def read_config(text: str, where: pathlib.Path) -> ml_collections.ConfigDict:
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

    def __init__(self, workdir: str | pathlib.Path, keep: int | None = None):
        """Args:
          workdir: the folder given as --workdir; it need not exist before the first `save`.
          keep: how many of the newest checkpoints stay; None or 0 keeps all.

        Raises:
          ValueError: for a negative `keep`, or an address such as gs://bucket/run.
        """
        if keep is not None and keep < 0:
            raise ValueError(
                f"training.keep_checkpoints is {keep}: expected 1 or more, or 0 for all."
            )
        check_local(workdir, "the work directory")
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
        steps = sorted(self._manager.all_steps())
        if (self.folder / _SEALED).exists():
            return [step for step in steps if is_sealed(self._place(step))]
        return steps

    def save(
        self, step: int, params: Any, training: Any, config: ml_collections.ConfigDict
    ) -> None:
        """Writes a checkpoint aside, renames it, and adds its digests.

        It counts from then on; only then older ones beyond `keep` are removed.

        Raises:
          ValueError: if the path of the work directory cannot be written to (`check_no_pattern`).
        """
        check_no_pattern(self.folder.parent, "--workdir")
        first = jax.process_index() == 0
        if not self.steps() and first:
            self.folder.mkdir(parents=True, exist_ok=True)
            with write_aside(self.folder / _SEALED) as aside:
                aside.write_text("A checkpoint of this folder counts with its digests.json only.\n")
        for incomplete in set(self._manager.all_steps()) - set(self.steps()):
            self._manager.delete(incomplete)  # its writer was killed
        saved = self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                training=ocp.args.StandardSave(training),
                config=ocp.args.JsonSave({"json": to_json(config)}),
            ),
        )
        if not saved:
            raise ValueError(
                f"{self.folder} holds a checkpoint of a later step than {step}: nothing was saved. "
                "Use another --workdir."
            )
        if first:
            seal(self._place(step), step)
        for old in sorted(self._manager.all_steps())[: -self._keep] if self._keep else []:
            self._manager.delete(old)

    def config(self, step: int | None = None) -> ml_collections.ConfigDict:
        """The config that made the checkpoint of `step` (default: the newest)."""
        step = self._step(step)
        text = self._restore(step, config=ocp.args.JsonRestore())["json"]
        return read_config(text, self.folder / str(step))

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
                options=ocp.CheckpointManagerOptions(enable_async_checkpointing=False),
            )
        return self._open

    def _step(self, step: int | None) -> int:
        steps = self.steps()
        if not steps:
            raise CheckpointError(
                f"{self.folder} holds no complete checkpoint; give the --workdir of a training "
                "run, or train one with `hpunet train`."
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

    def _place(self, step: int) -> pathlib.Path:
        return self.folder / str(step)

    def _restore(self, step: int, **item: Any) -> Any:
        (name,) = item
        place = self._place(step)
        try:
            if is_sealed(place):
                verify(place, step, [name])
        except DamageError as error:
            raise CheckpointError(
                f"the checkpoint {place} cannot be read: its {name!r} is not what was written "
                f"({error}). {self._way_out(step)}"
            ) from error
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
        except PermissionError:
            raise
        except MemoryError as error:
            raise CheckpointError(f"there is too little memory to read {place}.") from error
        except Exception as error:  # Orbax raises whatever its storage layers raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            if is_sealed(place):  # its files are as they were written
                hint = "Its files are undamaged: it may be of another config or version."
            else:
                hint = f"If its files are damaged: {self._way_out(step)}"
            raise CheckpointError(
                f"the checkpoint {place} cannot be read: its {name!r} gives {reason!r}. {hint}"
            ) from error

    def _way_out(self, step: int) -> str:
        before = [other for other in self.steps() if other != step]
        if not before:
            return "There is no other checkpoint in this folder."
        return (
            f"There are others, of the steps {', '.join(map(str, before))}: give "
            f"--step={before[-1]}, or move this folder away, to go on from there."
        )
