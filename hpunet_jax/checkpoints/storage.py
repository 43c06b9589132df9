"""The files of a folder of checkpoints, by Orbax: whole and verified, or refused.

<folder>/<step>/<item>            what a checkpoint holds
<folder>/<step>/digests.json      the digests of all its files, written last
<folder>/sealed.txt               says that a checkpoint counts only with its digests

In a bucket the same files are objects, see stage.py.

Folders without sealed.txt were begun before there were digests; their checkpoints count without.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epy

from hpunet_jax.buckets import AnyPath
from hpunet_jax.checkpoints.digests import DamageError, is_sealed, seal, verify
from hpunet_jax.checkpoints.stage import Stage
from hpunet_jax.files import cannot_write, write_aside

with epy.lazy_imports():  # a model file needs none of it
    import orbax.checkpoint as ocp

_SEALED = "sealed.txt"


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not the expected one; the message says which."""


class Storage:
    """The files of the checkpoints in a folder.

    Writing one is `begin`, `write` and `end`, called by all processes of a run.

    Attributes:
      folder: the folder, on a disk or in a bucket.
      in_bucket: whether it is in a bucket. Then process 0 alone writes, of its own memory.
    """

    def __init__(self, folder: AnyPath, items: Sequence[str]):
        """Args:
        folder: the folder; it need not exist before the first `begin`.
        items: the names of all that a checkpoint may hold.
        """
        self.folder: AnyPath
        self._stage: Stage | None = None
        if isinstance(folder, pathlib.Path):
            self.folder = self._local = folder.parent.resolve() / folder.name
        else:
            self.folder = folder
            self._stage = Stage(folder)
            self._local = self._stage.folder
        self.in_bucket = self._stage is not None
        self._items = tuple(items)
        self._open: ocp.CheckpointManager | None = None

    def close(self) -> None:
        """Ends all writing."""
        if self._open is not None:
            self._open.close()
            self._open = None
        if self._stage is not None:
            self._stage.close()

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        if self._stage is not None:
            return self._stage.steps()
        if not self._local.is_dir():
            if self._local.exists():
                raise CheckpointError(
                    f"{self.folder} is a file, but must be the folder of a run's checkpoints: move "
                    "it away, or give another --workdir."
                )
            return []
        steps = sorted(self._manager.all_steps())
        if (self._local / _SEALED).exists():
            return [step for step in steps if is_sealed(self._local / str(step))]
        return steps

    def begin(self) -> None:
        """Makes the folder ready for a checkpoint: what killed writers left there goes."""
        steps = self.steps()
        if not steps and jax.process_index() == 0:
            with write_aside(self.folder / _SEALED) as aside:
                aside.write_text("A checkpoint of this folder counts with its digests.json only.\n")
        for incomplete in set(self._manager.all_steps()) - set(steps):
            self._manager.delete(incomplete)

    def write(self, step: int, items: Mapping[str, Any]) -> None:
        """Writes a checkpoint aside, renames it, and adds its digests: it counts from then on.

        Args:
          step: its step.
          items: what it holds, as arguments of Orbax by their names.

        Raises:
          ValueError: if there is one of this step or a later one.
          OSError: if the disk is full; the checkpoints before stay.
        """
        later = self._stage is not None and step <= max(self.steps(), default=-1)
        if later or not self._save(step, items):
            raise ValueError(
                f"{self.folder} holds a checkpoint of a later step than {step}: nothing was saved. "
                "Use another --workdir."
            )
        if jax.process_index() == 0:
            self._seal(step)
            if self._stage is not None:
                self._stage.publish(step)
        if self._stage is None:  # else `end` waits
            # By what is there the processes choose the best and delete the others together: a
            # process that did not see the newest would choose otherwise, and all would hang.
            ocp.multihost.sync_global_processes(f"checkpoint {step} is sealed")

    def written(self) -> list[int]:
        """The steps of all checkpoints, ascending; also of those without their digests."""
        return sorted(self._manager.all_steps()) if self._stage is None else self.steps()

    def delete(self, step: int) -> None:
        """Removes a checkpoint."""
        if self._stage is None:
            self._manager.delete(step)
        else:
            self._stage.remove(step)

    def end(self, step: int) -> None:
        """Makes the processes of a run go on together once process 0 has filled the bucket."""
        if self._stage is not None:
            for staged in self._manager.all_steps():
                self._manager.delete(staged)
            ocp.multihost.sync_global_processes(f"checkpoint {step} is in the bucket")

    def holds(self, step: int, item: str) -> bool:
        """Whether a checkpoint has an item of this name."""
        return (self._place(step, item) / item).is_dir()

    def read(self, step: int, item: str, how: Any) -> Any:
        """An item of a checkpoint, whose files are compared with their digests before.

        Args:
          step: the step of a complete checkpoint.
          item: the item's name.
          how: an argument of Orbax that says how it is restored.

        Raises:
          CheckpointError: if it is missing, damaged, or something else.
        """
        where, local = self.folder / str(step), self._place(step, item)
        if self._stage is not None:
            self._manager.reload()
        try:
            if is_sealed(local):
                verify(local, step, [item])
        except DamageError as error:
            raise CheckpointError(
                f"the checkpoint {where} cannot be read: its {item!r} is not what was written "
                f"({error}). {self._way_out(step)}"
            ) from error
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{item: how}))[item]
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
                f"the checkpoint {where} cannot be read: its {item!r} gives {reason!r}. {hint}"
            ) from error

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
            self._open = ocp.CheckpointManager(self._local, item_names=self._items, options=options)
        return self._open

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

    def _place(self, step: int, item: str) -> pathlib.Path:
        """The local folder of a checkpoint; from a bucket, this item of it is fetched."""
        if self._stage is not None:
            self._stage.fetch(step, item)
        return self._local / str(step)

    def _way_out(self, step: int) -> str:
        before = [other for other in self.steps() if other != step]
        if not before:
            return "There is no other checkpoint in this folder."
        return (
            f"There are others, of the steps {', '.join(map(str, before))}: move this folder away "
            f"to go on from the newest of them, or name one to a program that takes --step, as "
            f"--step={before[-1]}."
        )
