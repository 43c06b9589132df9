"""Which files of a folder are images, by one rule for all programs; and keeping results apart.

A picture is one image, a volume is its slices. The folder of a DICOM series is one volume.
"""

import os
import pathlib
from typing import NamedTuple

SUFFIXES = (".png", ".jpg", ".jpeg", ".mpo", ".tif", ".tiff", ".bmp", ".webp")
"""Of pictures. A TIFF file of several pages is a volume."""
TIFF, HDF5 = (".tif", ".tiff"), (".h5", ".hdf5")
ITK = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".dcm")
MEDICAL = (*ITK, *HDF5)
"""Of volumes, and of nothing else."""
KNOWN = (*SUFFIXES, *MEDICAL)
"""By which a file's format is known; of others, DICOM is known by its content."""

# What operating systems and programs leave in folders, in lower case.
_CLUTTER = {
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("icon\r", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"),
    "dicomdir",  # which lists DICOM files, and is none with pixels
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
            f"end in {', '.join(KNOWN)}, in capitals or not."
        )


def split_suffix(name: str) -> tuple[str, str]:
    """A file's name without its suffix, and the suffix in small letters.

    `.nii.gz` is one suffix, and so is the `/` at the end of a folder's name.

    Args:
      name: the name, '/' between folders.
    """
    suffix = "/" if name.endswith("/") else suffix_of(name)
    return name[: len(name) - len(suffix)], suffix


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's: hidden, or left by a system.

    Args:
      name: the name alone, without folders.
    """
    return name.startswith((".", "~$")) or name.endswith("~") or name.lower() in _CLUTTER


def entries_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """What a folder holds but for clutter, sorted.

    Args:
      folder: the folder.

    Raises:
      PermissionError: if it may not be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not is_clutter(entry.name))
    except PermissionError as error:
        raise PermissionError(
            f"{folder} may not be listed by this user: change its rights."
        ) from error


def is_image(name: str) -> bool:
    """Whether a file of this name is to be read as an image; capitals do not matter."""
    return pathlib.PurePath(name).suffix.lower() in SUFFIXES and not is_clutter(name)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix in small letters, `.nii.gz` as one."""
    name = pathlib.Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else pathlib.Path(name).suffix


def name_of(path: str | os.PathLike[str]) -> str:
    """What results are named after: a file's name without its suffix, or a folder's name."""
    path = pathlib.Path(path)
    if path.is_dir():
        return path.resolve().name
    return path.name[: len(path.name) - len(suffix_of(path))]


def is_medical(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder is a volume, and nothing else: all but TIFF."""
    suffix = suffix_of(path)
    return (
        suffix in MEDICAL or pathlib.Path(path).is_dir() or (suffix not in KNOWN and is_dicom(path))
    )


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file is DICOM, by its suffix or content."""
    path = pathlib.Path(path)
    return path.is_file() and not is_clutter(path.name) and looks_like_dicom(path)


def looks_like_dicom(path: pathlib.Path) -> bool:
    """The same of a file, whatever its name is otherwise."""
    if suffix_of(path) == ".dcm":
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def find_images(path: str | os.PathLike[str]) -> Listing:
    """The pictures, volumes and DICOM series of a folder, or the one that is given.

    A folder that holds DICOM files is one series. The folders in a folder are not looked into,
    unless they are such series.

    Args:
      path: a folder or a file.

    Returns:
      The files and series, and what else is there.

    Raises:
      FileNotFoundError: if there is no such folder or file, or no image in it.
      PermissionError: if the folder may not be listed.
      ValueError: if two of them differ in their suffix only, so that results would collide; or if
        there are images beside the files of a series.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        if path.name.upper() == "DICOMDIR":
            raise ValueError(
                f"{path} lists DICOM files and holds no image: give the folder of one series."
            )
        return Listing([path], [])
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: expected an image file or a folder.")
    entries = entries_of(path)
    images = [entry for entry in entries if _is_image_or_volume(entry)]
    dicom = [entry for entry in entries if is_dicom(entry)]
    if dicom:
        others = sorted(set(images) - set(dicom))
        if others:
            raise ValueError(
                f"{path} holds DICOM files ({dicom[0].name}) and other images ({others[0].name}): "
                "a series must have a folder of its own."
            )
        return Listing([path], [])
    series = [entry for entry in entries if entry.is_dir() and _is_series(entry)]
    images = sorted([*images, *series])
    if not images:
        raise FileNotFoundError(
            f"{path} holds no image files ({', '.join(KNOWN)}) and no DICOM series; only folders "
            "of such series are looked into."
        )
    names: dict[str, pathlib.Path] = {}
    for file in images:
        if (name := name_of(file)) in names:
            raise ValueError(
                f"{file} and {names[name].name} differ in their suffix only: rename one of "
                "them, since results are named after the file without its suffix."
            )
        names[name] = file
    return Listing(images, sorted(set(entries) - set(images)))


def _is_image_or_volume(path: pathlib.Path) -> bool:
    return path.is_file() and (is_image(path.name) or suffix_of(path) in MEDICAL)


def _is_series(folder: pathlib.Path) -> bool:
    try:
        return any(is_dicom(entry) for entry in folder.iterdir())
    except PermissionError:
        return False


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
