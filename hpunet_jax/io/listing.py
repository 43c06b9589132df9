"""Which files of a folder are images, by one rule for all programs; and keeping results apart."""

import os
import pathlib
from typing import NamedTuple

SUFFIXES = (".png", ".jpg", ".jpeg", ".mpo", ".tif", ".tiff", ".bmp", ".webp")

# What operating systems and programs leave in folders, in lower case.
_CLUTTER = {
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("icon\r", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"),
}


class Listing(NamedTuple):
    """The files of a folder.

    Attributes:
      images: the image files, sorted.
      skipped: the other files and folders, without clutter, sorted.
    """

    images: list[pathlib.Path]
    skipped: list[pathlib.Path]

    def note(self) -> str:
        """A sentence about what was skipped; empty if nothing was."""
        if not self.skipped:
            return ""
        names = ", ".join(path.name for path in self.skipped[:3])
        more = ", ..." if len(self.skipped) > 3 else ""
        return (
            f"{len(self.skipped):,} skipped that are no image files here ({names}{more}); images "
            f"end in {', '.join(SUFFIXES)}, in capitals or not."
        )


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's: hidden, or left by a system.

    Args:
      name: the name alone, without folders.
    """
    return name.startswith((".", "~$")) or name.endswith("~") or name.lower() in _CLUTTER


def is_image(name: str) -> bool:
    """Whether a file of this name is to be read as an image; capitals do not matter."""
    return pathlib.PurePath(name).suffix.lower() in SUFFIXES and not is_clutter(name)


def find_images(path: str | os.PathLike[str]) -> Listing:
    """The image files of a folder (not of the folders in it), or the one file given.

    Args:
      path: a folder or a file.

    Returns:
      The image files, and what else is there.

    Raises:
      FileNotFoundError: if there is no such folder or file, or no image in it.
      PermissionError: if the folder may not be listed.
      ValueError: if two of them differ in their suffix only, so that results would collide.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        return Listing([path], [])
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: expected an image file or a folder.")
    try:
        entries = sorted(entry for entry in path.iterdir() if not is_clutter(entry.name))
    except PermissionError as error:
        raise PermissionError(
            f"{path} may not be listed by this user: change its rights."
        ) from error
    images = [entry for entry in entries if is_image(entry.name) and entry.is_file()]
    if not images:
        raise FileNotFoundError(f"{path} holds no image files ({', '.join(SUFFIXES)}).")
    stems: dict[str, pathlib.Path] = {}
    for file in images:
        if file.stem in stems:
            raise ValueError(
                f"{file} and {stems[file.stem].name} differ in their suffix only: rename one of "
                "them, since results are named after the file without its suffix."
            )
        stems[file.stem] = file
    return Listing(images, sorted(set(entries) - set(images)))


def check_apart(out: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Refuses to write where is read from, so that no result replaces or joins a user's files.

    Args:
      out: the file or folder to write.
      source: the folder that is read, in which `out` must not lie; or the file that is read, which
        must be neither `out` nor directly in the folder `out`.

    Raises:
      ValueError: if they are not apart.
    """
    written, read = (pathlib.Path(path).expanduser().resolve() for path in (out, source))
    if read.is_dir():
        together = written == read or read in written.parents
    else:
        together = written in (read, read.parent)
    if together:
        raise ValueError(
            f"{out} is where {source} is read from: results could overwrite your files, or be "
            "taken for images the next time. Choose a folder beside it."
        )
