"""Checkpoints in a bucket: written and read on the local disk, copied object by object.

A checkpoint is uploaded after it is whole and has its digests; `digests.json`, which makes it
count, goes last. When one is removed, it goes first. What a killed writer left therefore has no
digests, does not count, and is removed or overwritten by the next writer. The items of a checkpoint
that are needed are downloaded into a temporary folder, once, and verified there before they are
used.
"""

import pathlib
import tempfile

from hpunet_jax import buckets
from hpunet_jax.buckets import AnyPath
from hpunet_jax.checkpoints.digests import NAME


class Stage:
    """The local side of a folder of checkpoints in a bucket.

    Attributes:
      folder: the local folder.
    """

    def __init__(self, remote: AnyPath):
        """Args:
        remote: the folder in the bucket; it need not exist.
        """
        self._remote = remote
        self._temporary = tempfile.TemporaryDirectory(prefix="hpunet_jax_")
        self.folder = pathlib.Path(self._temporary.name)

    def close(self) -> None:
        """Removes the local folder."""
        self._temporary.cleanup()

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints in the bucket, ascending."""
        files = buckets.files_below(self._remote)
        found = (name.split("/") for name in files)
        return sorted(int(n[0]) for n in found if n[0].isdecimal() and n[1:] == [NAME])

    def fetch(self, step: int, item: str) -> None:
        """Downloads an item of a checkpoint, and the files outside of all items."""
        for name in buckets.files_below(self._remote / str(step)):
            here = self.folder / str(step) / name
            first, _, rest = name.partition("/")
            if here.exists() or (rest and first != item):
                continue
            here.parent.mkdir(parents=True, exist_ok=True)
            aside = here.with_name(f"{here.name}.part")
            buckets.download(self._remote / str(step) / name, aside)
            aside.replace(here)

    def publish(self, step: int) -> None:
        """Uploads a checkpoint, the digests last."""
        self.remove_incomplete()
        here = self.folder / str(step)
        names = [p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file()]
        for name in sorted(names, key=lambda name: (name == NAME, name)):
            buckets.upload(here / name, self._remote / str(step) / name)

    def remove_incomplete(self) -> None:
        """Removes what killed writers left in the bucket; only for who alone writes there."""
        complete = self.steps()
        for name in buckets.files_below(self._remote):
            first = name.partition("/")[0]
            if first.isdecimal() and int(first) not in complete:
                buckets.remove(self._remote / name)

    def remove(self, step: int) -> None:
        """Removes a checkpoint from the bucket, the digests first."""
        place = self._remote / str(step)
        for name in sorted(buckets.files_below(place), key=lambda name: (name != NAME, name)):
            buckets.remove(place / name)
