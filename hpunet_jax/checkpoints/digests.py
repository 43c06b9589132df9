"""Digests of a checkpoint's files, written once it is complete and verified before it is used.

<step>/digests.json holds the step and the SHA-256 of every other file of the folder. A flipped bit,
a lost or a foreign file, and a folder under another step's name are found by it.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Collection

from hpunet_jax.files import write_aside

NAME = "digests.json"


class DamageError(ValueError):
    """Files that are not what was written; the message names the first of them."""


def seal(folder: pathlib.Path, step: int) -> None:
    """Writes the digests of all files of a checkpoint.

    Args:
      folder: the checkpoint's folder, complete.
      step: the step that it holds.
    """
    record = {"step": step, "sha256": {name: _sha256(folder / name) for name in _files(folder)}}
    with write_aside(folder / NAME) as aside:
        aside.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")


def is_sealed(folder: pathlib.Path) -> bool:
    """Whether a checkpoint has its digests: the last file that is written of it."""
    return (folder / NAME).is_file()


def verify(folder: pathlib.Path, step: int, items: Collection[str]) -> None:
    """Compares files with their digests.

    Args:
      folder: the checkpoint's folder.
      step: the step that it should hold.
      items: the subfolders whose files are read; files outside of all subfolders always are.

    Raises:
      DamageError: if a file is missing, too many, or has other bytes, or the step is another.
    """
    try:
        record = json.loads((folder / NAME).read_text(encoding="utf-8"))
        written, digests = record["step"], dict(record["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(f"{NAME} is damaged") from error
    if written != step:
        raise DamageError(f"it holds step {written}, copied or renamed to {step}")

    def concerned(name: str) -> bool:
        first, _, rest = name.partition("/")
        return not rest or first in items

    wanted = {name for name in digests if concerned(name)}
    found = {name for name in _files(folder) if concerned(name)}
    for name in sorted(wanted | found):
        if name not in found:
            raise DamageError(f"{name} is missing")
        if name not in wanted:
            raise DamageError(f"{name} is not of this checkpoint")
        if _sha256(folder / name) != digests[name]:
            raise DamageError(f"{name} is damaged")


def _files(folder: pathlib.Path) -> list[str]:
    """All files below a folder but the digests, as POSIX paths from there."""
    found = []
    for place, _, names in os.walk(folder, onerror=_raise):
        found += [(pathlib.Path(place) / name).relative_to(folder).as_posix() for name in names]
    return sorted(name for name in found if name != NAME)


def _raise(error: OSError) -> None:
    raise error


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
