"""All files below a folder, by one rule for all programs: links to folders are followed."""

import os
import pathlib
from collections.abc import Iterator

from hpunet_jax.io.listing import entries_of


def walk(folder: str | os.PathLike[str]) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """A folder and all folders below it, each with the names of its files, both sorted.

    Links are followed, but for one to a folder that it lies in itself, which would have no end.
    Clutter (`is_clutter`: hidden files and folders, Thumbs.db and the like) does not count.

    Args:
      folder: where to begin.

    Yields:
      The folders, each before those in it.

    Raises:
      ValueError: a name is no text in UTF-8.
      OSError: a folder may not be listed, or there is none, or a link leads nowhere.
    """
    yield from _walk(pathlib.Path(folder), frozenset())


def list_files(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """All files below a folder, sorted; rules and errors as of `walk`."""
    return sorted(place / name for place, names in walk(folder) for name in names)


def _walk(
    folder: pathlib.Path, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[pathlib.Path, list[str]]]:
    state = folder.stat()
    if (this := (state.st_dev, state.st_ino)) in above:
        return
    files, folders = [], []
    for entry in entries_of(folder):
        _check_name(folder, entry.name)
        if entry.is_dir():
            folders.append(entry.name)
        elif entry.is_symlink() and not entry.exists():
            raise FileNotFoundError(
                f"{entry} is a link to nothing ({os.readlink(entry)}): mend it, or remove it."
            )
        else:
            files.append(entry.name)
    yield folder, files
    for name in folders:
        yield from _walk(folder / name, above | {this})


def _check_name(folder: pathlib.Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{ascii(name)[1:-1]} in {ascii(str(folder))[1:-1]} has a name that is no text in "
            "UTF-8 (from an older system?): rename it."
        ) from error
