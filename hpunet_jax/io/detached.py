"""Volumes of two files: a header that names the file of the values."""

import os
import pathlib
import re

_NAMES = {".mhd": rb"^ElementDataFile *= *(.+?)\s*$", ".nrrd": rb"^data ?file: *(.+?)\s*$"}
_INSIDE = re.compile(r"local|list.*", re.IGNORECASE)  # the values follow, or a list of files
_HEAD = 2**16  # bytes; headers are shorter


def check_parts(path: str | os.PathLike[str]) -> None:
    """Refuses a header of MetaImage or NRRD whose file of values is not there.

    Args:
      path: a file of any format.

    Raises:
      ValueError: it names both files.
    """
    path = pathlib.Path(path)
    pattern = _NAMES.get(path.suffix.lower())
    if pattern is None:
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).split(b"\n\n", 1)[0]
    except PermissionError:  # whoever reads it says so
        return
    match = re.search(pattern, head, re.MULTILINE | re.IGNORECASE)
    name = os.fsdecode(match[1]) if match else ""
    if not name or _INSIDE.fullmatch(name) or "%" in name:
        return
    if not (path.parent / name).is_file():
        raise ValueError(
            f"{path} is a header whose values lie in {name}, which is missing: put it beside the "
            "header."
        )
